//! Disk latency model.
//!
//! How long the operations of a disk take.

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::Rng;
use rand_chacha::ChaCha12Rng;

/// What can be slow or made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Reading file contents.
    Read,
    /// Writing or resizing a file.
    Write,
    /// Syncing a file or a directory.
    Sync,
    /// Opening, listing, locking, creating, renaming, linking, removing: no time, no device.
    Entry,
}

/// How long the operations of a disk take.
#[derive(Clone, Debug)]
pub struct DiskProfile {
    /// A read that is served.
    pub read_latency: RangeInclusive<Duration>,
    /// A write into the cache.
    pub write_latency: RangeInclusive<Duration>,
    /// `fdatasync`, of a file or a directory.
    pub sync_latency: RangeInclusive<Duration>,
    /// Share of reads, writes and syncs that take longer, 0.0 to 1.0.
    pub spike_share: f64,
    /// By how much.
    pub spike_latency: RangeInclusive<Duration>,
}

impl DiskProfile {
    /// A disk on which nothing takes time.
    pub fn instant() -> Self {
        let none = Duration::ZERO..=Duration::ZERO;
        DiskProfile {
            read_latency: none.clone(),
            write_latency: none.clone(),
            sync_latency: none.clone(),
            spike_share: 0.0,
            spike_latency: none,
        }
    }
}

/// Draws how long operations take.
#[derive(Debug)]
pub(super) struct Latencies {
    pub(super) usual: ChaCha12Rng,
    pub(super) spikes: ChaCha12Rng,
}

impl Latencies {
    pub(super) fn draw(&mut self, profile: &DiskProfile, operation: Operation) -> Duration {
        let range = match operation {
            Operation::Read => &profile.read_latency,
            Operation::Write => &profile.write_latency,
            Operation::Sync => &profile.sync_latency,
            Operation::Entry => return Duration::ZERO,
        };
        let mut latency = draw(&mut self.usual, range);
        if profile.spike_share > 0.0 && self.spikes.random_bool(profile.spike_share) {
            latency += draw(&mut self.spikes, &profile.spike_latency);
        }
        latency
    }
}

fn draw(rng: &mut ChaCha12Rng, range: &RangeInclusive<Duration>) -> Duration {
    let (least, most) = (range.start().as_nanos() as u64, range.end().as_nanos() as u64);
    if most == 0 { Duration::ZERO } else { Duration::from_nanos(rng.random_range(least..=most)) }
}
