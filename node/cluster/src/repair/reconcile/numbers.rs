//! Anti-entropy statistics.
//!
//! What anti-entropy did, by peer; kept per node value, since it started.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use gitstratum_core::metrics::{self, Reading, Registry, Unit};
use gitstratum_core::placement::NodeId;
use tokio::time::Instant;

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
    /// Of the differing: deleted on the side that has them no more, and so not transferred there.
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

impl Counts {
    /// All of it as metrics.
    fn readings() -> Vec<Reading<Counts>> {
        type Metric = Reading<Counts>;
        vec![
            Metric::counter("reconcile_rounds", "Comparisons that came to their end", |counts| {
                counts.rounds
            }),
            Metric::counter(
                "reconcile_rounds_failed",
                "Comparisons that did not come to their end, and are gone on with",
                |counts| counts.rounds_failed,
            ),
            Metric::counter("reconcile_round_trips", "Questions that were answered", |counts| {
                counts.round_trips
            }),
            Metric::counter("reconcile_differing", "Ids that one side alone had", |counts| {
                counts.differing
            }),
            Metric::counter(
                "reconcile_pulled",
                "Objects that this node lacked and has now",
                |counts| counts.pulled,
            ),
            Metric::counter(
                "reconcile_pushed",
                "Objects that the peer lacked and has now",
                |counts| counts.pushed,
            ),
            Metric::counter(
                "reconcile_withheld",
                "Objects that were not brought to where they were deleted",
                |counts| counts.withheld,
            ),
            Metric::counter("reconcile_pulled", "Object data that came", |counts| {
                counts.bytes_pulled
            })
            .unit(Unit::Bytes),
            Metric::counter("reconcile_pushed", "Object data that went", |counts| {
                counts.bytes_pushed
            })
            .unit(Unit::Bytes),
            Metric::counter(
                "reconcile_objects_failed",
                "Objects that one side could not give, or not take",
                |counts| counts.objects_failed,
            ),
        ]
    }
}

/// One peer's part of a [`Report`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerReport {
    /// What was done with it.
    pub counts: Counts,
    /// Since the last comparison over everything that came to its end.
    pub compared_ago: Option<Duration>,
    /// How far the comparison under way is; `None` between two.
    pub progress: Option<Progress>,
}

/// How far a comparison is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// How much of the positions is done, in thousandths.
    pub done_permille: u32,
    /// Objects that we lack and the peer has, about, of those not compared yet.
    pub missing_locally: u64,
    /// The other way round.
    pub missing_remotely: u64,
    /// Objects that it transferred so far, to either side.
    pub transferred: u64,
    /// And their data.
    pub bytes_transferred: u64,
    /// Since it began, or was gone on with.
    pub elapsed: Duration,
}

impl Progress {
    /// Objects in a second, so far.
    pub fn rate(&self) -> f64 {
        self.transferred as f64 / self.elapsed.as_secs_f64().max(0.001)
    }

    /// About how long the rest takes: what lacks still, at the rate so far; or, where nothing
    /// was transferred, the positions that are left. `None` as long as nothing tells.
    pub fn eta(&self) -> Option<Duration> {
        let lacking = self.missing_locally + self.missing_remotely;
        let left = match (self.transferred, self.done_permille) {
            (0, 0) => return None,
            (0, done) => {
                self.elapsed.as_secs_f64() * f64::from(1000 - done.min(1000)) / f64::from(done)
            }
            _ => lacking as f64 / self.rate(),
        };
        Duration::try_from_secs_f64(left).ok()
    }
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
    under_way: Option<UnderWay>,
}

/// A comparison under way.
#[derive(Debug)]
struct UnderWay {
    began: Instant,
    /// What was transferred before it.
    transferred_before: u64,
    bytes_before: u64,
    /// Everything below this position was compared.
    position: u64,
    missing_locally: u64,
    missing_remotely: u64,
}

impl Peer {
    fn transferred(&self) -> (u64, u64) {
        let counts = &self.counts;
        (counts.pulled + counts.pushed, counts.bytes_pulled + counts.bytes_pushed)
    }

    fn progress(&self) -> Option<Progress> {
        let under_way = self.under_way.as_ref()?;
        let (transferred, bytes_transferred) = self.transferred();
        Some(Progress {
            done_permille: (under_way.position / (u64::MAX / 1000)) as u32,
            missing_locally: under_way.missing_locally,
            missing_remotely: under_way.missing_remotely,
            transferred: transferred - under_way.transferred_before,
            bytes_transferred: bytes_transferred - under_way.bytes_before,
            elapsed: under_way.began.elapsed(),
        })
    }
}

impl Numbers {
    /// Of a node that compares itself, or of one that was told not to.
    pub fn new(on: bool) -> Self {
        Numbers { on, known: Mutex::default() }
    }

    /// Registers the counts, which a peer labels.
    pub fn register(self: &Arc<Self>, registry: &mut Registry) {
        let (numbers, readings) = (self.clone(), Counts::readings());
        metrics::register_encoded(registry, move |encoder| {
            let counts = |(peer, known): (&NodeId, &Peer)| {
                (vec![("peer", peer.to_string())], known.counts.clone())
            };
            let counts: Vec<_> = numbers.lock().peers.iter().map(counts).collect();
            metrics::encode(encoder, &readings, &counts)
        });
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

    /// Says that a comparison begins, or is gone on with.
    pub(super) fn begun(&self, peer: &NodeId, position: u64) {
        self.change(peer, |peer| {
            let (transferred_before, bytes_before) = peer.transferred();
            peer.under_way = Some(UnderWay {
                began: Instant::now(),
                transferred_before,
                bytes_before,
                position,
                missing_locally: 0,
                missing_remotely: 0,
            });
        });
    }

    /// Says how far the comparison under way is.
    pub(super) fn reached(&self, peer: &NodeId, position: u64) {
        self.change(peer, |peer| {
            if let Some(under_way) = &mut peer.under_way {
                under_way.position = position;
            }
        });
    }

    /// Says how many ids either side has, about, where they were not compared yet.
    pub(super) fn left(&self, peer: &NodeId, ours: u64, theirs: u64) {
        self.change(peer, |peer| {
            if let Some(under_way) = &mut peer.under_way {
                under_way.missing_locally = theirs.saturating_sub(ours);
                under_way.missing_remotely = ours.saturating_sub(theirs);
            }
        });
    }

    /// Says that a comparison was given up.
    pub(super) fn given_up(&self, peer: &NodeId) {
        self.change(peer, |peer| peer.under_way = None);
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
            peer.under_way = None;
        });
    }

    /// All of it.
    pub fn report(&self) -> Report {
        let known = self.lock();
        let report = |peer: &Peer| PeerReport {
            counts: peer.counts.clone(),
            compared_ago: peer.compared_at.map(|at| at.elapsed()),
            progress: peer.progress(),
        };
        Report {
            off: !self.on,
            catching_up: self.on
                && (!known.followed || known.peers.values().any(|peer| peer.compared_at.is_none())),
            peers: known.peers.iter().map(|(id, peer)| (id.clone(), report(peer))).collect(),
        }
    }
}
