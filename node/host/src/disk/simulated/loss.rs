//! Torn and lost writes.
//!
//! What a power loss leaves of what was not synced.
//!
//! # What may happen
//!
//! Of one file, any subset of the writes and resizes since its last sync survives, each
//! apart from the others. Survivors take effect in the order they were made in, because a
//! cache holds one version of a byte. A write that survives may be torn: a beginning, an
//! end, all but a middle part, or any set of its pages, cut at any byte. Where a write was
//! lost stands what the file held before, or zeros where it did not reach; the length that
//! a lost write gave to the file may survive without its bytes.
//!
//! Of the names, any subset of the changes since the last sync of their directory
//! survives, whatever becomes of other names and of the files. One loss in four takes all
//! that was not synced; others take nothing, or all behind one point of each sequence, as
//! a journal does.
//!
//! # What does not happen
//!
//! What was synced is as it was written: neither lost, nor torn by an unsynced write next
//! to it, nor replaced by an older version. A rename is one change: there is never neither
//! name. Bytes of other files do not appear. ext4 and xfs with ordered data keep all this,
//! and more: they commit changes of names and sizes in the order they were made in, on the
//! whole file system. A store that needs that order would pass on them and not here.
//!
//! Rot, misdirected writes and a sync that lies are no part of a power loss: they are
//! faults of their own.

use std::ops::Range;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::contents::PAGE_BYTES;

/// Which changes that were not synced a power loss may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loss {
    /// None: a switch-off that wrote all back before.
    Nothing,
    /// All of them, always.
    Everything,
    /// Any subset, whole writes only.
    Subset,
    /// Any subset, and parts of writes.
    #[default]
    Torn,
}

/// How one power loss goes about it.
#[derive(Clone, Copy, Debug)]
enum Manner {
    None,
    All,
    /// Of each sequence of changes, those behind a point.
    Behind,
    /// Each with this chance.
    Each(f64),
}

/// What becomes of one change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Lost,
    Torn,
    Kept,
}

/// One power loss: draws the fates of changes, a stream for each sequence of them.
pub(super) struct Outcome {
    seed: u64,
    manner: Manner,
    tears: bool,
}

/// The generator for one purpose.
pub(super) fn stream(seed: u64, purpose: u64) -> ChaCha12Rng {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    rng.set_stream(purpose);
    rng
}

impl Outcome {
    pub(super) fn new(loss: Loss, seed: u64) -> Self {
        let mut rng = stream(seed, 0);
        let manner = match (loss, rng.random_range(0..8)) {
            (Loss::Nothing, _) => Manner::None,
            (Loss::Everything, _) | (_, 0 | 1) => Manner::All,
            (_, 2) => Manner::None,
            (_, 3 | 4) => Manner::Behind,
            _ => Manner::Each(rng.random_range(0.1..0.9)),
        };
        Outcome { seed, manner, tears: loss == Loss::Torn }
    }

    /// The generator for sequence `number` of changes, the names' first.
    pub(super) fn stream(&self, number: u64) -> ChaCha12Rng {
        stream(self.seed, number + 1)
    }

    /// The fates of a sequence of changes. A name that is torn is lost.
    pub(super) fn fates(&self, count: usize, rng: &mut ChaCha12Rng) -> Vec<Fate> {
        let point = match self.manner {
            Manner::Behind => rng.random_range(0..=count),
            _ => count,
        };
        let draw = |at: usize| match self.manner {
            Manner::None => Fate::Kept,
            Manner::All => Fate::Lost,
            Manner::Behind if at < point => Fate::Kept,
            Manner::Behind if at == point && self.tears => Fate::Torn,
            Manner::Behind => Fate::Lost,
            Manner::Each(lost) if rng.random_bool(lost) => Fate::Lost,
            Manner::Each(_) if self.tears && rng.random_bool(0.5) => Fate::Torn,
            Manner::Each(_) => Fate::Kept,
        };
        (0..count).map(draw).collect()
    }

    /// Whether the length that a lost write gave to its file survives.
    pub(super) fn keeps_length(&self, rng: &mut ChaCha12Rng) -> bool {
        self.tears && !matches!(self.manner, Manner::All) && rng.random_ratio(1, 4)
    }
}

/// The parts of a torn write of `len` bytes at `offset` that survive, within the write.
pub(super) fn torn(offset: u64, len: u64, rng: &mut ChaCha12Rng) -> Vec<Range<u64>> {
    let (a, b) = (rng.random_range(0..=len), rng.random_range(0..=len));
    match rng.random_range(0..4) {
        0 => std::iter::once(0..a).collect(),
        1 => std::iter::once(a..len).collect(),
        2 => vec![0..a.min(b), a.max(b)..len],
        _ => {
            let pages = offset / PAGE_BYTES..(offset + len).div_ceil(PAGE_BYTES);
            let kept = pages.filter(|_| rng.random_bool(0.5));
            let part = |page: u64| {
                let start = (page * PAGE_BYTES).max(offset) - offset;
                start..((page + 1) * PAGE_BYTES - offset).min(len)
            };
            kept.map(part).collect()
        }
    }
}
