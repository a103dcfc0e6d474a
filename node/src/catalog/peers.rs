//! The group's way to its other members: the node's own connections.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum_cluster::rpc::RemoteNode;
use gitstratum_cluster::transport::Connections;
use gitstratum_consensus::{Member, PeerError, Peers};
use gitstratum_core::placement::{CurrentLayout, NodeId};

/// Members by the node that each is.
#[derive(Clone)]
pub(super) struct PooledPeers {
    pub(super) connections: Arc<dyn Connections>,
    pub(super) layout: CurrentLayout,
}

impl PooledPeers {
    pub(super) fn node(&self, node: &NodeId) -> RemoteNode {
        RemoteNode::new(node.clone(), self.connections.clone(), self.layout.clone())
    }
}

#[async_trait]
impl Peers for PooledPeers {
    async fn call(
        &self,
        to: &Member,
        request: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, PeerError> {
        match self.node(&NodeId::new(to.node.as_str())).agree(request, deadline).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(PeerError::NotSent("it is no member of the group yet".into())),
            Err(error) if error.was_not_begun() => Err(PeerError::NotSent(error.into())),
            Err(error) => Err(PeerError::NoAnswer(error.into())),
        }
    }
}
