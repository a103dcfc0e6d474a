//! Seeded random streams.
//!
//! One generator per purpose.

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use sha2::{Digest, Sha256};

/// The generator of a run for one purpose. The same seed and purpose always give the
/// same draws; different purposes give unrelated ones.
pub fn stream(seed: u64, purpose: &str) -> ChaCha12Rng {
    let mut key = Sha256::new();
    key.update(seed.to_le_bytes());
    key.update(purpose.as_bytes());
    ChaCha12Rng::from_seed(key.finalize().into())
}

/// A length of time from a range, to the microsecond.
pub fn draw_duration(rng: &mut impl Rng, range: &RangeInclusive<Duration>) -> Duration {
    let micros = |duration: &Duration| {
        u64::try_from(duration.as_micros()).expect("scenario times are far below an age")
    };
    Duration::from_micros(rng.random_range(micros(range.start())..=micros(range.end())))
}
