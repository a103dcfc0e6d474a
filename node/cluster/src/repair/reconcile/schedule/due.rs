//! Schedule of one peer.
//!
//! One peer: what it is compared over next, and when.

use std::collections::BTreeSet;
use std::time::Duration;

use gitstratum_core::backoff::exponential;
use gitstratum_core::limits;
use gitstratum_core::replica::compare::Span;
use rand::Rng;
use rand_chacha::ChaCha12Rng;
use tokio::time::Instant;

use super::Compared;
use crate::repair::hints::{DirtyRange, IdPrefix};

/// A peer's comparisons.
pub(super) struct Due {
    /// When it is compared over everything; `None`: the peer begins, when it is time.
    all_at: Option<Instant>,
    /// Not before this, whatever is dirty.
    not_before: Instant,
    begun: Option<Begun>,
    failures: u32,
}

/// A comparison that was begun, and may have been interrupted.
pub(super) struct Begun {
    /// Over what, ascending.
    pub(super) spans: Vec<Span>,
    /// Whether that is everything.
    pub(super) all: bool,
    /// Below this it is done.
    pub(super) position: u64,
    /// Ranges that are clean when it is done.
    pub(super) cleans: Vec<DirtyRange>,
    /// Whether it brought all that it found so far, before interruptions too.
    pub(super) complete: bool,
}

impl Due {
    /// Everything, soon.
    pub(super) fn new(rng: &mut ChaCha12Rng) -> Self {
        let now = Instant::now();
        let mut due = Due { all_at: None, not_before: now, begun: None, failures: 0 };
        due.all_soon(rng);
        due
    }

    /// Everything is compared without delay, from the beginning.
    pub(super) fn all_now(&mut self) {
        let now = Instant::now();
        (self.all_at, self.not_before, self.begun) = (Some(now), now, None);
    }

    /// Gives up what was begun; over everything it is compared when `interval` has passed.
    pub(super) fn give_up(&mut self, interval: Duration) {
        if self.begun.take().is_some_and(|begun| begun.all) {
            self.all_at = Some(Instant::now() + interval);
        }
        self.not_before = Instant::now() + limits::RECONCILE_BACKOFF_MAX;
    }

    /// Everything is compared soon, from the beginning.
    pub(super) fn all_soon(&mut self, rng: &mut ChaCha12Rng) {
        let after = limits::RECONCILE_START_AFTER.mul_f64(rng.random_range(0.5..1.5));
        self.all_at = Some(Instant::now() + after);
        self.begun = None;
    }

    /// When something is to be done, if ever.
    pub(super) fn at(&self, is_dirty: bool) -> Option<Instant> {
        let at_once = self.begun.is_some() || is_dirty;
        let at = if at_once { Some(self.not_before) } else { self.all_at };
        at.map(|at| at.max(self.not_before))
    }

    /// Begins a comparison over everything if that is due, or else over what is dirty; or
    /// leaves that be which was begun before.
    pub(super) fn begin(&mut self, dirty: impl Iterator<Item = DirtyRange>) {
        if self.begun.is_some() {
            return;
        }
        let cleans: Vec<_> = dirty.collect();
        let all = self.all_at.is_some_and(|at| at <= Instant::now());
        let prefixes = cleans.iter().map(|range| range.prefix);
        let spans = if all { vec![Span::ALL] } else { joined(prefixes) };
        if all {
            self.all_at = None;
        }
        self.begun = Some(Begun { spans, all, position: 0, cleans, complete: true });
    }

    /// What was begun.
    ///
    /// # Panics
    /// When nothing was.
    pub(super) fn begun(&mut self) -> &mut Begun {
        self.begun.as_mut().expect("a comparison that was begun")
    }

    /// The comparison came to its end; the next over everything is `interval` away, if it is
    /// ours to begin. An incomplete one is repeated when some time has passed. Says what was
    /// compared, unless it is incomplete.
    pub(super) fn ended(
        &mut self,
        interval: Option<Duration>,
        rng: &mut ChaCha12Rng,
    ) -> Option<Compared> {
        let now = Instant::now();
        let Begun { all, cleans: ranges, complete, .. } = self.begun.take()?;
        self.failures = 0;
        let pause = match complete {
            true => limits::RECONCILE_START_AFTER,
            false => limits::RECONCILE_BACKOFF_MAX,
        };
        self.not_before = now + pause;
        if all {
            let again = match complete {
                true => interval.map(|interval| interval.mul_f64(rng.random_range(0.75..1.25))),
                false => Some(limits::RECONCILE_BACKOFF_MAX),
            };
            self.all_at = again.map(|after| now + after);
        }
        complete.then_some(Compared { all, ranges })
    }

    /// It was interrupted, and goes on when some time has passed.
    pub(super) fn failed(&mut self, rng: &mut ChaCha12Rng) {
        let (least, most) = (limits::RECONCILE_BACKOFF_MIN, limits::RECONCILE_BACKOFF_MAX);
        let after = exponential(least, most, self.failures);
        self.not_before = Instant::now() + after.mul_f64(rng.random_range(0.5..1.0));
        self.failures += 1;
    }
}

/// The positions of these prefixes, in whatever order they come, as spans that ascend and do not
/// touch.
fn joined(prefixes: impl Iterator<Item = IdPrefix>) -> Vec<Span> {
    let prefixes: BTreeSet<IdPrefix> = prefixes.collect();
    let mut spans: Vec<Span> = Vec::new();
    for prefix in prefixes {
        let span = match prefix {
            IdPrefix::All => Span::ALL,
            IdPrefix::Byte(byte) => Span::of_first_byte(byte),
        };
        match spans.last_mut() {
            Some(last) if last.last >= span.first.saturating_sub(1) => {
                last.last = last.last.max(span.last);
            }
            _ => spans.push(span),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn what_was_not_brought_before_an_interruption_leaves_the_comparison_incomplete() {
        let rng = &mut ChaCha12Rng::seed_from_u64(1);
        let mut due = Due::new(rng);
        let mut compare = |brought_all: [bool; 2]| {
            due.all_now();
            for brought in brought_all {
                due.begin(std::iter::empty());
                due.begun().complete &= brought;
                due.failed(rng);
            }
            due.ended(None, rng).map(|compared| compared.all)
        };
        assert_eq!(compare([true, true]), Some(true));
        assert_eq!(compare([false, true]), None);
        assert_eq!(compare([true, true]), Some(true), "the next one is another");
    }

    #[test]
    fn ranges_that_touch_are_compared_as_one() {
        let bytes = [0u8, 1, 2, 7, 9, 10, 255];
        let spans = joined(bytes.into_iter().map(IdPrefix::Byte));
        let of = |first: u8, last: u8| Span {
            first: Span::of_first_byte(first).first,
            last: Span::of_first_byte(last).last,
        };
        assert_eq!(spans, [of(0, 2), of(7, 7), of(9, 10), of(255, 255)]);
        assert_eq!(joined((0..=255).map(IdPrefix::Byte)), [Span::ALL]);
        assert_eq!(joined([IdPrefix::All].into_iter()), [Span::ALL]);
        assert_eq!(joined([].into_iter()), []);
    }

    #[test]
    fn none_is_left_out_whatever_the_order_in_which_they_became_dirty() {
        let of = Span::of_first_byte;
        let later = joined([200u8, 5, 7, 5].into_iter().map(IdPrefix::Byte));
        assert_eq!(later, [of(5), of(7), of(200)]);
        assert_eq!(joined([IdPrefix::Byte(9), IdPrefix::All].into_iter()), [Span::ALL]);
    }
}
