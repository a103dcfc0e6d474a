//! gRPC client.
//!
//! A replica on another machine: the traits of [`gitstratum_core::replica`] over gRPC.
//!
//! As a replica it makes one attempt at each request; who wants a second puts
//! [`crate::quorum::decorate::Retry`] around it. What is asked beside objects has no decorator
//! around it, and is repeated as that one does. A broken connection is evicted so that the
//! next caller dials.

mod agreement;
mod comparing;
mod operator;
mod reading;
mod stamped;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use gitstratum_core::placement::{CurrentLayout, NodeId};
use gitstratum_core::replica::NodeError;
use tokio::time::Instant;
use tonic::{Request, Streaming};

use crate::quorum::decorate::repeated;
use crate::transport::{Connections, Lease, Want};
use crate::wire::codec::Malformed;
use crate::wire::status::node_error_of;
use stamped::{Rpc, rpc};

/// So long, at least, a new member's connection is waited for.
const POOL_FOLLOWS_WITHIN_MS: u32 = 20;

/// A peer, reached over connections on lease.
#[derive(Clone)]
pub struct RemoteNode {
    node_id: NodeId,
    connections: Arc<dyn Connections>,
    /// What the caller goes by: stated with every request.
    layout: CurrentLayout,
    /// Nobody waits for its requests.
    background: bool,
    /// Its requests are second attempts at such as began then.
    first_began: Option<Instant>,
}

impl From<Malformed> for NodeError {
    fn from(error: Malformed) -> Self {
        NodeError::Protocol { reason: error.0 }
    }
}

impl RemoteNode {
    /// The peer `node_id`, for a caller that goes by `layout`.
    pub fn new(node_id: NodeId, connections: Arc<dyn Connections>, layout: CurrentLayout) -> Self {
        RemoteNode { node_id, connections, layout, background: false, first_began: None }
    }

    /// The same for repair: the peer does not count its requests among those that clients
    /// wait for.
    pub fn in_background(self) -> Self {
        RemoteNode { background: true, ..self }
    }

    /// The same for the second attempt at a request that began then; `None` when this is one,
    /// or there may be none.
    fn second(&self, first_began: Instant) -> Option<RemoteNode> {
        let may = self.first_began.is_none() && self.connections.may_retry(&self.node_id);
        may.then(|| RemoteNode { first_began: Some(first_began), ..self.clone() })
    }

    /// Runs one request that is asked beside objects, twice at most: as
    /// [`crate::quorum::decorate::Retry`] has it. `bytes` of object data go with it.
    pub(crate) async fn call<T, F, Fut>(
        &self,
        timeout: Duration,
        bytes: usize,
        request: F,
    ) -> Result<T, NodeError>
    where
        F: Fn(Rpc, Duration) -> Fut,
        Fut: Future<Output = Result<T, tonic::Status>>,
    {
        let again = |first_began, left| {
            let (node, request) = (self.second(first_began)?, &request);
            Some(async move { node.once(left, bytes, request).await })
        };
        repeated(timeout, self.once(timeout, bytes, &request), again).await
    }

    /// Makes one attempt at a request. `bytes` of object data go with it.
    async fn once<T, F, Fut>(
        &self,
        timeout: Duration,
        bytes: usize,
        request: F,
    ) -> Result<T, NodeError>
    where
        F: FnOnce(Rpc, Duration) -> Fut,
        Fut: Future<Output = Result<T, tonic::Status>>,
    {
        let deadline = Instant::now() + timeout;
        let lease = self.lease(bytes, deadline, timeout).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = match tokio::time::timeout(
            left,
            request(rpc(&lease, &self.layout, self.background), left),
        )
        .await
        {
            Ok(answer) => answer.map_err(|status| failed(&lease, &status, timeout)),
            Err(_) => Err(late("waiting for the answer", timeout)),
        };
        self.connections.ended(&self.node_id, &lease, answer.as_ref().map(drop));
        answer
    }

    async fn lease(
        &self,
        bytes: usize,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Lease, NodeError> {
        let patient = self.first_began.is_some();
        let want = Want { bytes, opened_after: self.first_began, patient };
        let left = deadline.saturating_duration_since(Instant::now());
        let leased = tokio::time::timeout(left, self.lease_of_member(want)).await;
        let lease = leased.map_err(|_| late("waiting for a connection", timeout))??;
        self.layout.learn(&lease.connection().identity().layout);
        Ok(lease)
    }

    /// A lease of a node that the layout has. The pool follows the layout in a task of its
    /// own, so a member that is new may have to wait for that, a moment.
    async fn lease_of_member(&self, want: Want) -> Result<Lease, NodeError> {
        for _ in 0..POOL_FOLLOWS_WITHIN_MS {
            match self.connections.lease(&self.node_id, want).await {
                Err(NodeError::NotMember(_)) if self.layout.get().is_read_from(&self.node_id) => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                leased => return leased,
            }
        }
        self.connections.lease(&self.node_id, want).await
    }
}

fn late(stage: &'static str, after: Duration) -> NodeError {
    NodeError::TimedOut { stage, after }
}

fn failed(lease: &Lease, status: &tonic::Status, timeout: Duration) -> NodeError {
    node_error_of(status, lease.connection().address(), timeout)
}

fn with_timeout<T>(message: T, timeout: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    request
}

fn same_number(answered: usize, asked: usize) -> Result<(), Malformed> {
    if answered == asked {
        Ok(())
    } else {
        Err(Malformed(format!("{asked} objects asked for, {answered} answered")))
    }
}

async fn collect<M, T>(
    mut messages: Streaming<M>,
    outcomes: impl Fn(M) -> Vec<T>,
) -> Result<Vec<T>, tonic::Status> {
    let mut all = Vec::new();
    while let Some(message) = messages.message().await? {
        all.extend(outcomes(message));
    }
    Ok(all)
}
