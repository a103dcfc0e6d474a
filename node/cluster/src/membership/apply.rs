//! Layout push.
//!
//! Telling nodes a layout, whatever layout they, or we, went by before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use gitstratum_core::placement::{CurrentLayout, Layout, Member, NodeId};
use gitstratum_core::replica::NodeError;

use crate::rpc::RemoteNode;
use crate::transport::{Connections, Dialler, Lease, Want};

/// Hands `layout` to each of `members`, all at once, at the address that it has there. Says
/// for each which version is then in force, and whether that changed anything.
pub async fn apply(
    dialler: Dialler,
    layout: &Layout,
    members: Vec<Member>,
    timeout: Duration,
) -> Vec<(Member, Result<(u64, bool), NodeError>)> {
    let addresses = members.iter().map(|member| (member.node_id.clone(), member.address.clone()));
    let dialler = dialler.of_cluster(layout.cluster.clone());
    let direct = Direct { dialler, addresses: addresses.collect() };
    let direct: Arc<dyn Connections> = Arc::new(direct);
    let stated = CurrentLayout::new(layout.clone());
    let asked = members.into_iter().map(|member| {
        let node = RemoteNode::new(member.node_id.clone(), direct.clone(), stated.clone());
        async move { (member, node.apply_layout(layout, timeout).await) }
    });
    join_all(asked).await
}

/// A connection a request, to nodes that no layout in force need have.
struct Direct {
    dialler: Dialler,
    addresses: BTreeMap<NodeId, String>,
}

#[async_trait]
impl Connections for Direct {
    async fn lease(&self, peer: &NodeId, _want: Want) -> Result<Lease, NodeError> {
        let address = self.addresses.get(peer);
        let address = address.ok_or_else(|| NodeError::NotMember(peer.clone()))?;
        Ok(Lease::uncounted(self.dialler.open(address, Some(peer)).await?))
    }

    fn ended(&self, _peer: &NodeId, _lease: &Lease, _outcome: Result<(), &NodeError>) {}

    fn may_retry(&self, _peer: &NodeId) -> bool {
        false
    }
}
