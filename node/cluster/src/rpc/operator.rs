//! Administrative client.
//!
//! What operators and peers ask of a node beside objects: who it is, how it is, and that it
//! take a snapshot, a layout, or an order to one of its jobs.

use std::sync::Arc;
use std::time::Duration;

use gitstratum_core::job::{JobKind, JobOrder};
use gitstratum_core::placement::Layout;
use gitstratum_core::replica::NodeError;
use gitstratum_proto::v1;
use tokio::time::Instant;

use super::{RemoteNode, Rpc, with_timeout};
use crate::wire::PROTOCOL_VERSION;
use crate::wire::codec::{self, Malformed};
use crate::wire::words::{clean_job, clean_status, words};

impl RemoteNode {
    /// What the node knows of itself.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn status(&self, timeout: Duration) -> Result<v1::StatusResponse, NodeError> {
        let answer = self.call(timeout, 0, |mut rpc, timeout| async move {
            rpc.status(with_timeout(v1::StatusRequest {}, timeout)).await
        });
        let mut status = answer.await?.into_inner();
        clean_status(&mut status);
        Ok(status)
    }

    /// Has the node make a snapshot of its store.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn snapshot(
        &self,
        name: &str,
        timeout: Duration,
    ) -> Result<v1::SnapshotResponse, NodeError> {
        // A snapshot is not repeated: its name would be taken.
        let request = |mut rpc: Rpc, timeout| {
            let request = v1::SnapshotRequest { name: name.to_owned() };
            async move { rpc.snapshot(with_timeout(request, timeout)).await }
        };
        let made = self.once(timeout, 0, request).await?.into_inner();
        Ok(v1::SnapshotResponse { path: words(&made.path), ..made })
    }

    /// Has a background job of the node do something; says how it stands then.
    ///
    /// # Errors
    /// [`NodeError`]; [`NodeError::Invalid`] when the node has no such job.
    pub async fn job(
        &self,
        kind: JobKind,
        order: JobOrder,
        timeout: Duration,
    ) -> Result<v1::JobStatus, NodeError> {
        let order = match order {
            JobOrder::Start => v1::JobOrder::Start,
            JobOrder::Pause => v1::JobOrder::Pause,
            JobOrder::Cancel => v1::JobOrder::Cancel,
        };
        let answer = self.call(timeout, 0, |mut rpc, timeout| async move {
            let request = v1::JobRequest { job: kind.name().to_owned(), order: order.into() };
            rpc.job(with_timeout(request, timeout)).await
        });
        let mut job = answer.await?.into_inner().job.unwrap_or_default();
        clean_job(&mut job);
        Ok(job)
    }

    /// Brings a layout into force at the node; says which version is then in force there,
    /// and whether that changed anything.
    ///
    /// # Errors
    /// [`NodeError`]; [`NodeError::Invalid`] when the node refused it.
    pub async fn apply_layout(
        &self,
        layout: &Layout,
        timeout: Duration,
    ) -> Result<(u64, bool), NodeError> {
        let applied = self.call(timeout, 0, |mut rpc, timeout| {
            let request = v1::ApplyLayoutRequest { layout: Some(codec::layout_to_wire(layout)) };
            async move { rpc.apply_layout(with_timeout(request, timeout)).await }
        });
        let v1::ApplyLayoutResponse { version, changed } = applied.await?.into_inner();
        Ok((version, changed))
    }

    /// Asks the node who it is; returns the layout that it holds, and how long the answer
    /// took.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn identify(
        &self,
        caller: &str,
        timeout: Duration,
    ) -> Result<(Arc<Layout>, Duration), NodeError> {
        let asked = self.call(timeout, 0, |mut rpc, timeout| {
            let caller = caller.to_owned();
            let request = v1::IdentifyRequest { caller, protocol_version: PROTOCOL_VERSION };
            async move {
                let began = Instant::now();
                let answer = rpc.identify(with_timeout(request, timeout)).await?;
                Ok((answer.into_inner().layout, began.elapsed()))
            }
        });
        let (layout, took) = asked.await?;
        let layout = layout.ok_or_else(|| Malformed("a node without a layout".into()))?;
        let layout = codec::held_layout_from_wire(layout)
            .map_err(|error| Malformed(format!("a node with a wrong layout: {error}")))?;
        Ok((Arc::new(layout), took))
    }
}
