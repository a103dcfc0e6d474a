//! Draws from the stream that decides a scenario.

use rand::Rng;
use rand_chacha::ChaCha12Rng;

use crate::workload::stream;

/// What is drawn for a seed, one thing after another.
pub(super) struct Draw(ChaCha12Rng);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Draw(stream(seed, "explore"))
    }

    /// Whether something is so that is so with this share, 0.0 to 1.0.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.0.random_bool(share)
    }

    /// A number from `least` to `most`.
    pub(super) fn whole(&mut self, least: usize, most: usize) -> usize {
        self.0.random_range(least..=most)
    }

    /// One of these.
    ///
    /// # Panics
    /// When there are none.
    pub(super) fn one_of<'a, T>(&mut self, these: &'a [T]) -> &'a T {
        &these[self.whole(0, these.len() - 1)]
    }

    /// `count` of these, in their order; all where there are no more.
    pub(super) fn some_of<T: Clone>(&mut self, these: &[T], count: usize) -> Vec<T> {
        let mut left = count.min(these.len());
        let mut some = Vec::with_capacity(left);
        for (index, it) in these.iter().enumerate() {
            if self.whole(1, these.len() - index) <= left {
                some.push(it.clone());
                left -= 1;
            }
        }
        some
    }
}
