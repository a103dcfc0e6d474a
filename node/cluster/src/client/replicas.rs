//! Decorator stack of a replica.
//!
//! What a client's quorums see of its peers: replicas whose requests are repeated when their
//! connection failed, to which small puts go together, traced and counted, with deadlines that
//! follow their latency, behind circuit breakers.

use std::sync::Arc;

use gitstratum_core::placement::{CurrentLayout, Member};

use crate::quorum::decorate::{
    Adaptive, Batched, Batches, Breakers, Guarded, Latencies, Metered, Meters, Retried, Traced,
};
use crate::rpc::RemoteNode;
use crate::transport::Connections;

/// The decorators of a replica, outermost first.
pub(super) type Replica = Guarded<Adaptive<Metered<Traced<Batched<Retried<RemoteNode>>>>>>;

/// What stands between a quorum and its replicas.
#[derive(Clone)]
pub(super) struct Replicas {
    /// What requests say that they go by.
    pub(super) layout: CurrentLayout,
    pub(super) connections: Arc<dyn Connections>,
    pub(super) breakers: Breakers,
    pub(super) latencies: Latencies,
    pub(super) meters: Meters,
    pub(super) batches: Batches,
}

impl Replicas {
    /// The replica of a member.
    ///
    /// The breaker is outermost, so that what it refuses is neither latency nor request. The
    /// retry is innermost, so that both attempts are one request to all others: one span, one
    /// count, one latency, one deadline, and a circuit that hears of a lost connection only
    /// when a fresh one did not help. Batches are around it alone, so that they are repeated as
    /// wholes, and to all others each caller's request is one.
    pub(super) fn replica(&self, member: &Member) -> Replica {
        let remote = remote(&self.layout, &self.connections, member);
        let together = Batched::new(Retried::new(remote), &self.batches);
        let counted = Metered::new(Traced::new(together), &self.meters);
        Guarded::new(Adaptive::new(counted, &self.latencies), &self.breakers)
    }
}

/// The replica of a member, with none of them: what is asked of one node alone waits for it.
pub(super) fn remote(
    layout: &CurrentLayout,
    connections: &Arc<dyn Connections>,
    member: &Member,
) -> RemoteNode {
    RemoteNode::new(member.node_id.clone(), connections.clone(), layout.clone())
}
