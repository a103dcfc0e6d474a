//! How large the objects are: a table of quantiles, or the sizes in a given repository.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use gitstratum_core::limits::OBJECT_BYTES_WHOLE_MAX;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Outcome, system};

/// Sizes of objects in real repositories before packing, as the testbed has them: (parts
/// per thousand that are smaller, bytes). Between two points sizes are drawn evenly.
const QUANTILES: &[(u32, u32)] = &[
    (0, 0),
    (100, 80),
    (400, 480),
    (500, 600),
    (750, 2_500),
    (940, 16 << 10),
    (990, 80_000),
    (999, 200_000),
    (1_000, OBJECT_BYTES_WHOLE_MAX as u32),
];

/// Draws from which a mean is estimated.
const MEAN_DRAWS: u32 = 100_000;

/// A distribution of sizes, cut off above a greatest one.
#[derive(Clone, Debug)]
pub struct Sizes {
    source: Source,
    bytes_max: u32,
}

#[derive(Clone, Debug)]
enum Source {
    Table,
    /// The sizes of all objects of a repository.
    Repository(Arc<[u32]>),
    Fixed(u32),
}

impl Sizes {
    /// Those of the table.
    pub fn table() -> Self {
        Sizes { source: Source::Table, bytes_max: OBJECT_BYTES_WHOLE_MAX as u32 }
    }

    /// All of one size.
    pub fn fixed(bytes: u32) -> Self {
        Sizes { source: Source::Fixed(bytes), bytes_max: bytes }
    }

    /// Those of a repository's objects, packed and loose. Objects that are too large for
    /// one message are left out: they travel in parts and get files of their own.
    ///
    /// # Errors
    /// When git fails, or the repository has no object.
    pub fn of_repository(repository: &Path) -> Outcome<Self> {
        let mut git = Command::new("git");
        git.arg("-C").arg(repository).args(["cat-file", "--batch-all-objects"]);
        let listed = system::output(git.arg("--batch-check=%(objectsize)"))?;
        let mut sizes = Vec::new();
        for line in listed.lines() {
            let size: u64 = line.parse()?;
            sizes.extend(u32::try_from(size).ok().filter(|&s| s <= OBJECT_BYTES_WHOLE_MAX as u32));
        }
        if sizes.is_empty() {
            return Err(format!("{} has no objects", repository.display()).into());
        }
        let source = Source::Repository(sizes.into());
        Ok(Sizes { source, bytes_max: OBJECT_BYTES_WHOLE_MAX as u32 })
    }

    /// The same below a greatest size.
    pub fn below(&self, bytes_max: u32) -> Self {
        Sizes { source: self.source.clone(), bytes_max }
    }

    /// The least upper bound of two to the power of at most 14 under which so many objects
    /// fit into so many bytes.
    pub fn fitting(&self, objects: u64, bytes: u64) -> Self {
        let bounds = (10..=14).rev().map(|power| self.below(1 << power));
        let fits = |sizes: &Sizes| sizes.mean() * objects as f64 <= bytes as f64;
        bounds.clone().find(fits).unwrap_or_else(|| self.below(1 << 10))
    }

    /// The greatest size.
    pub fn bytes_max(&self) -> u32 {
        self.bytes_max
    }

    /// The mean, estimated.
    pub fn mean(&self) -> f64 {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let sum: u64 = (0..MEAN_DRAWS).map(|_| u64::from(self.draw(&mut rng))).sum();
        sum as f64 / f64::from(MEAN_DRAWS)
    }

    /// One size, in bytes.
    pub fn draw(&self, rng: &mut impl Rng) -> u32 {
        loop {
            let size = match &self.source {
                Source::Table => draw_from_table(rng),
                Source::Repository(sizes) => *sizes.choose(rng).expect("checked when made"),
                Source::Fixed(bytes) => *bytes,
            };
            if size <= self.bytes_max {
                return size;
            }
        }
    }
}

fn draw_from_table(rng: &mut impl Rng) -> u32 {
    let place = rng.random_range(0..1_000);
    let upper = QUANTILES.iter().position(|&(below, _)| below > place);
    let upper = upper.expect("the last quantile is above every draw");
    rng.random_range(QUANTILES[upper - 1].1..=QUANTILES[upper].1)
}
