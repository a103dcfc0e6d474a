//! Pool statistics.
//!
//! What a pool counts: for each peer since the pool was made, kept in the pool's own value.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gitstratum_core::metrics::{self, Counter, Encoder, Labels, Reading, Registry, Unit};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::Stage;

use super::Connections;

/// Why a connection left the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Eviction {
    /// It broke, or a ping was not answered.
    Broken,
    /// The peer said that it takes no more requests.
    GoAway,
    /// A request timed out and nothing had been heard.
    NoLife,
    /// The probe was not answered, or by another node or another run of it.
    Probe,
    /// It was old, and replaced.
    Aged,
    /// Nobody used it.
    Idle,
    /// The layout gave the peer another address.
    Moved,
    /// The layout has the peer no longer.
    Dropped,
    /// Another peer needed the place, and this one was used least recently.
    Displaced,
}

impl Eviction {
    /// Every reason.
    pub const ALL: [Eviction; 9] = [
        Eviction::Broken,
        Eviction::GoAway,
        Eviction::NoLife,
        Eviction::Probe,
        Eviction::Aged,
        Eviction::Idle,
        Eviction::Moved,
        Eviction::Dropped,
        Eviction::Displaced,
    ];

    /// One word, for tables and for `status --json`.
    pub fn name(self) -> &'static str {
        match self {
            Eviction::Broken => "broken",
            Eviction::GoAway => "go_away",
            Eviction::NoLife => "no_life",
            Eviction::Probe => "probe",
            Eviction::Aged => "aged",
            Eviction::Idle => "idle",
            Eviction::Moved => "moved",
            Eviction::Dropped => "dropped",
            Eviction::Displaced => "displaced",
        }
    }
}

/// Declares what is counted of a peer: each counter once, its help text being its comment.
macro_rules! counters {
    ($(#[doc = $help:literal] $name:ident,)+) => {
        /// The counters of one peer.
        #[derive(Debug, Default)]
        pub(super) struct Numbers {
            $(pub(super) $name: Counter,)+
            dials_failed: [Counter; Stage::ALL.len()],
            evictions: [Counter; Eviction::ALL.len()],
        }

        /// What happened so far.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct PoolCounts {
            $(#[doc = $help] pub $name: u64,)+
            /// Dials that failed, in the order of [`Stage::ALL`].
            pub dials_failed: [u64; Stage::ALL.len()],
            /// Connections that left the pool, in the order of [`Eviction::ALL`].
            pub evictions: [u64; Eviction::ALL.len()],
        }

        impl Numbers {
            pub(super) fn read(&self) -> PoolCounts {
                PoolCounts {
                    $($name: self.$name.get(),)+
                    dials_failed: std::array::from_fn(|at| self.dials_failed[at].get()),
                    evictions: std::array::from_fn(|at| self.evictions[at].get()),
                }
            }
        }

        impl std::ops::AddAssign for PoolCounts {
            fn add_assign(&mut self, other: PoolCounts) {
                $(self.$name += other.$name;)+
                let add = |sums: &mut [u64], more: &[u64]| {
                    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
                };
                add(&mut self.dials_failed, &other.dials_failed);
                add(&mut self.evictions, &other.evictions);
            }
        }

        impl PoolCounts {
            fn readings() -> Vec<Reading<PoolCounts>> {
                vec![$(Reading::counter(
                    concat!("pool_", stringify!($name)),
                    $help.trim(),
                    |counts: &PoolCounts| counts.$name,
                ),)+]
            }
        }
    };
}

counters! {
    /// Leases that were given at once
    hits,
    /// Leases that waited, or were not given
    misses,
    /// Leases refused at a bound
    limited,
    /// Dials begun
    dials,
    /// Dials that gave a connection
    dialled,
    /// Requests that were allowed a second attempt
    retries,
    /// Requests that were not allowed one: the budget was used up
    retries_refused,
    /// Back-offs that ended early because the peer's address changed
    backoffs_cut_short,
}

impl Numbers {
    pub(super) fn dial_failed(&self, stage: Stage) {
        self.dials_failed[stage as usize].inc();
    }

    pub(super) fn evicted(&self, reason: Eviction) {
        self.evictions[reason as usize].inc();
    }
}

impl PoolCounts {
    /// Connections that left the pool for this reason.
    pub fn evicted(&self, reason: Eviction) -> u64 {
        self.evictions[reason as usize]
    }
}

/// A connection in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionNumbers {
    /// Which run of the peer it leads to.
    pub boot_id: u64,
    /// Since it was opened.
    pub age: Duration,
    /// Requests on it.
    pub requests: u32,
}

/// One peer of a pool.
#[derive(Clone, Debug)]
pub struct PeerNumbers {
    /// The peer.
    pub node_id: NodeId,
    /// Where it is dialled.
    pub address: String,
    /// Its connections, the newest first.
    pub connections: Vec<ConnectionNumbers>,
    /// Requests that hold a lease.
    pub requests: usize,
    /// Object data of those, and of the ones that wait, in bytes.
    pub bytes_in_flight: usize,
    /// Callers that wait for a connection.
    pub waiters: usize,
    /// Why the last dial failed, while the pool backs off.
    pub backing_off: Option<String>,
    /// What happened so far.
    pub counts: PoolCounts,
}

/// All of a pool.
#[derive(Clone, Debug, Default)]
pub struct PoolNumbers {
    /// Connections that are open, those that only finish their requests among them.
    pub connections: usize,
    /// Peers of the layout in force, by node id.
    pub peers: Vec<PeerNumbers>,
    /// Of peers that the layout has no longer.
    pub removed_peers: PoolCounts,
}

impl PoolNumbers {
    /// The counts of all peers, present and removed.
    pub fn counts(&self) -> PoolCounts {
        let mut sum = self.removed_peers;
        self.peers.iter().for_each(|peer| sum += peer.counts);
        sum
    }
}

/// Registers all of these connections' numbers, which a peer labels; those of peers that the
/// layout has no longer stand together under a peer without a name.
pub fn register_metrics(registry: &mut Registry, connections: Arc<dyn Connections>) {
    let help = "Connections that are open, those that only finish their requests among them";
    let of_pool = vec![Reading::gauge("pool_connections", help, |open: &u64| *open)];
    let of_peers = vec![
        Reading::gauge(
            "pool_peer_connections",
            "Connections to the peer that take requests",
            |peer| {
                let peer: &PeerNumbers = peer;
                peer.connections.len() as u64
            },
        ),
        Reading::gauge(
            "pool_peer_backing_off",
            "1 while the peer is not dialled because the last dial failed",
            |peer: &PeerNumbers| u64::from(peer.backing_off.is_some()),
        ),
        Reading::gauge("pool_requests_in_flight", "Requests that hold a lease", |peer| {
            let peer: &PeerNumbers = peer;
            peer.requests as u64
        }),
        Reading::gauge("pool_waiters", "Callers that wait for a connection", |peer| {
            peer.waiters as u64
        }),
        Reading::gauge(
            "pool_in_flight",
            "Object data of requests that hold a lease, or wait for one",
            |peer: &PeerNumbers| peer.bytes_in_flight as u64,
        )
        .unit(Unit::Bytes),
    ];
    let counted = PoolCounts::readings();
    metrics::register_encoded(registry, move |encoder| {
        let numbers = connections.numbers();
        metrics::encode(encoder, &of_pool, &[(Labels::new(), numbers.connections as u64)])?;
        let named = |peer: &PeerNumbers| vec![("peer", peer.node_id.to_string())];
        let mut counts: Vec<_> =
            numbers.peers.iter().map(|peer| (named(peer), peer.counts)).collect();
        counts.push((vec![("peer", String::new())], numbers.removed_peers));
        let peers = numbers.peers.into_iter().map(|peer| (named(&peer), peer));
        metrics::encode(encoder, &of_peers, &peers.collect::<Vec<_>>())?;
        metrics::encode(encoder, &counted, &counts)?;
        encode_tallies(encoder, &counts)
    });
}

/// Dials that failed, by their stage, and connections that left the pool, by the reason.
fn encode_tallies(encoder: &mut Encoder<'_>, counts: &[(Labels, PoolCounts)]) -> fmt::Result {
    let mut stages = Vec::new();
    let mut reasons = Vec::new();
    for (peer, counts) in counts {
        let labels = |name, value: &str| [&peer[..], &[(name, value.to_owned())]].concat();
        let failed = Stage::ALL.iter().zip(counts.dials_failed);
        stages.extend(failed.map(|(stage, count)| (labels("stage", stage.name()), count)));
        let evicted = Eviction::ALL.iter().zip(counts.evictions);
        reasons.extend(evicted.map(|(reason, count)| (labels("reason", reason.name()), count)));
    }
    let failed = Reading::counter("pool_dials_failed", "Dials that failed", |count: &u64| *count);
    let evicted =
        Reading::counter("pool_evictions", "Connections that left the pool", |count: &u64| *count);
    metrics::encode(encoder, &[failed], &stages)?;
    metrics::encode(encoder, &[evicted], &reasons)
}
