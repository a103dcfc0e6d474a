//! What a client's quorums see of its peers: replicas with deadlines that follow their
//! latency, behind circuit breakers.

use std::sync::Arc;

use crate::placement::{CurrentLayout, Member};
use crate::pool::Connections;
use crate::quorum::decorate::{Adaptive, Breakers, Guarded, Latencies};
use crate::wire::replica::RemoteNode;

/// What stands between a quorum and its replicas.
#[derive(Clone)]
pub(super) struct Replicas {
    /// What requests say that they go by.
    pub(super) layout: CurrentLayout,
    pub(super) connections: Arc<dyn Connections>,
    pub(super) breakers: Breakers,
    pub(super) latencies: Latencies,
}

impl Replicas {
    /// The replica of a member. The breaker is outside, so that what it refuses is no latency.
    pub(super) fn replica(&self, member: &Member) -> Guarded<Adaptive<RemoteNode>> {
        let remote = remote(&self.layout, &self.connections, member);
        Guarded::new(Adaptive::new(remote, &self.latencies), &self.breakers)
    }
}

/// The replica of a member, without either: what is asked of one node alone waits for it.
pub(super) fn remote(
    layout: &CurrentLayout,
    connections: &Arc<dyn Connections>,
    member: &Member,
) -> RemoteNode {
    RemoteNode::new(member.node_id.clone(), connections.clone(), layout.clone())
}
