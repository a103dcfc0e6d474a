//! What a pool counts: for each peer since the pool was made, kept in the pool's own value.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::Stage;

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

/// One counter that many tasks raise.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one peer.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    pub(super) hits: Count,
    pub(super) misses: Count,
    pub(super) limited: Count,
    pub(super) dials: Count,
    pub(super) dialled: Count,
    dials_failed: [Count; Stage::ALL.len()],
    evictions: [Count; Eviction::ALL.len()],
    pub(super) retries: Count,
    pub(super) retries_refused: Count,
    pub(super) backoffs_cut_short: Count,
}

impl Numbers {
    pub(super) fn dial_failed(&self, stage: Stage) {
        self.dials_failed[stage as usize].up();
    }

    pub(super) fn evicted(&self, reason: Eviction) {
        self.evictions[reason as usize].up();
    }

    pub(super) fn read(&self) -> PoolCounts {
        PoolCounts {
            hits: self.hits.get(),
            misses: self.misses.get(),
            limited: self.limited.get(),
            dials: self.dials.get(),
            dialled: self.dialled.get(),
            dials_failed: std::array::from_fn(|at| self.dials_failed[at].get()),
            evictions: std::array::from_fn(|at| self.evictions[at].get()),
            retries: self.retries.get(),
            retries_refused: self.retries_refused.get(),
            backoffs_cut_short: self.backoffs_cut_short.get(),
        }
    }
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolCounts {
    /// Leases that were given at once.
    pub hits: u64,
    /// Leases that waited, or were not given.
    pub misses: u64,
    /// Leases refused at a bound.
    pub limited: u64,
    /// Dials begun.
    pub dials: u64,
    /// Of those, the ones that gave a connection.
    pub dialled: u64,
    /// And the ones that failed, in the order of [`Stage::ALL`].
    pub dials_failed: [u64; Stage::ALL.len()],
    /// Connections that left the pool, in the order of [`Eviction::ALL`].
    pub evictions: [u64; Eviction::ALL.len()],
    /// Requests that were allowed a second attempt.
    pub retries: u64,
    /// Requests that were not: the budget was used up.
    pub retries_refused: u64,
    /// Back-offs that ended early because the peer's address changed.
    pub backoffs_cut_short: u64,
}

impl PoolCounts {
    /// Connections that left the pool for this reason.
    pub fn evicted(&self, reason: Eviction) -> u64 {
        self.evictions[reason as usize]
    }
}

impl std::ops::AddAssign for PoolCounts {
    fn add_assign(&mut self, other: PoolCounts) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.limited += other.limited;
        self.dials += other.dials;
        self.dialled += other.dialled;
        self.retries += other.retries;
        self.retries_refused += other.retries_refused;
        self.backoffs_cut_short += other.backoffs_cut_short;
        let add = |sums: &mut [u64], more: &[u64]| {
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        };
        add(&mut self.dials_failed, &other.dials_failed);
        add(&mut self.evictions, &other.evictions);
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

/// All of a pool, as `status` reports it.
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
