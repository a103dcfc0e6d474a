//! What anti-entropy did, by peer; kept per node value, since it started.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::placement::NodeId;

/// Counts of the comparisons that this node began with one peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Comparisons that came to their end.
    pub rounds: u64,
    /// Those that did not; they are gone on with.
    pub rounds_failed: u64,
    /// Questions that were answered.
    pub round_trips: u64,
    /// Ids that one side alone had, as it seemed.
    pub differing: u64,
    /// Objects that we lacked and have now.
    pub pulled: u64,
    /// Objects that the peer lacked and has now.
    pub pushed: u64,
    /// Of the differing: deleted on the side that has them no more, and so not brought there.
    pub withheld: u64,
    /// Object data that came.
    pub bytes_pulled: u64,
    /// Object data that went.
    pub bytes_pushed: u64,
    /// Objects that one side could not give, or not take.
    pub objects_failed: u64,
    /// The last thing that went wrong.
    pub last_error: Option<String>,
}

/// One peer's part of a [`Report`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerReport {
    /// What was done with it.
    pub counts: Counts,
    /// Since the last comparison over everything that came to its end.
    pub compared_ago: Option<Duration>,
    /// How much of the comparison under way is done, in thousandths; `None` between two.
    pub done_permille: Option<u32>,
}

/// What anti-entropy says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// This node begins no comparisons.
    pub off: bool,
    /// Not yet compared with every peer since the node started.
    pub catching_up: bool,
    /// By peer.
    pub peers: BTreeMap<NodeId, PeerReport>,
}

/// The numbers of a node.
#[derive(Debug)]
pub struct Numbers {
    /// Whether anything is compared at all.
    on: bool,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    peers: BTreeMap<NodeId, Peer>,
    /// Whether it is known who the peers are.
    followed: bool,
}

#[derive(Debug, Default)]
struct Peer {
    counts: Counts,
    compared_at: Option<Instant>,
    /// Everything below this position was compared.
    position: Option<u64>,
}

impl Numbers {
    /// Of a node that compares itself, or of one that was told not to.
    pub fn new(on: bool) -> Self {
        Numbers { on, known: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("nothing panics while it counts")
    }

    fn change(&self, peer: &NodeId, change: impl FnOnce(&mut Peer)) {
        // One that shares nothing with us any more has no numbers either.
        if let Some(peer) = self.lock().peers.get_mut(peer) {
            change(peer);
        }
    }

    /// Begins to count for these peers, and ends for all others.
    pub(super) fn follow(&self, peers: &[NodeId]) {
        let mut known = self.lock();
        known.followed = true;
        known.peers.retain(|peer, _| peers.contains(peer));
        for peer in peers {
            known.peers.entry(peer.clone()).or_default();
        }
    }

    /// Changes the counts of a peer; nothing happens when it is none any more.
    pub(super) fn count(&self, peer: &NodeId, change: impl FnOnce(&mut Counts)) {
        self.change(peer, |peer| change(&mut peer.counts));
    }

    /// Says how far the comparison under way is, or that there is none.
    pub(super) fn reached(&self, peer: &NodeId, position: Option<u64>) {
        self.change(peer, |peer| peer.position = position);
    }

    /// Objects that could not be exchanged with a peer so far.
    pub(super) fn objects_failed(&self, peer: &NodeId) -> u64 {
        self.lock().peers.get(peer).map_or(0, |peer| peer.counts.objects_failed)
    }

    /// Counts a comparison that came to its end, and whether it was over everything.
    pub(super) fn compared(&self, peer: &NodeId, all: bool) {
        self.change(peer, |peer| {
            peer.counts.rounds += 1;
            if all {
                peer.compared_at = Some(Instant::now());
            }
            peer.position = None;
        });
    }

    /// All of it.
    pub fn report(&self) -> Report {
        let known = self.lock();
        let report = |peer: &Peer| PeerReport {
            counts: peer.counts.clone(),
            compared_ago: peer.compared_at.map(|at| at.elapsed()),
            done_permille: peer.position.map(|at| (at / (u64::MAX / 1000)) as u32),
        };
        Report {
            off: !self.on,
            catching_up: self.on
                && (!known.followed || known.peers.values().any(|peer| peer.compared_at.is_none())),
            peers: known.peers.iter().map(|(id, peer)| (id.clone(), report(peer))).collect(),
        }
    }
}
