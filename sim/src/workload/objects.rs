//! Object generator.
//!
//! Objects made from a seed and a key, sized as Git's are.

use bytes::Bytes;
use gitstratum_core::limits::OBJECT_BYTES_WHOLE_MAX;
use gitstratum_core::object::{HashAlgorithm, Kind, Object};
use rand::{Rng, RngCore};
use sha2::{Digest, Sha256};

use super::streams::stream;

/// Sizes of objects in real repositories, before packing: (parts per thousand that are
/// smaller, bytes). Between two points the size is drawn evenly. Half are below 600
/// bytes, 6 % above 16 KiB, the mean is some 6 KB.
pub const SIZE_QUANTILES: &[(u32, u64)] = &[
    (0, 0),
    (100, 80),
    (400, 480),
    (500, 600),
    (750, 2_500),
    (940, 16 << 10),
    (990, 80_000),
    (999, 200_000),
    (1_000, OBJECT_BYTES_WHOLE_MAX as u64),
];

/// Most bytes of an object that goes in parts; just enough for more than a handful.
const LARGE_BYTES_MAX: u64 = 3 << 20;

/// What an object will be, before its bytes are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blueprint {
    seed: u64,
    key: String,
    /// Its kind.
    pub kind: Kind,
    /// Its length.
    pub size_bytes: u64,
}

impl Blueprint {
    /// The object that `key` stands for in the run with this seed: one of the sizes of
    /// [`SIZE_QUANTILES`], or too large for one message.
    pub fn new(seed: u64, key: String, large: bool) -> Self {
        let mut rng = stream(seed, &format!("shape/{key}"));
        let kind = match rng.random_range(0..100) {
            0..50 => Kind::Blob,
            50..80 => Kind::Tree,
            80..98 => Kind::Commit,
            _ => Kind::Tag,
        };
        let size_bytes = if large {
            rng.random_range(OBJECT_BYTES_WHOLE_MAX as u64 + 1..=LARGE_BYTES_MAX)
        } else {
            ordinary_size(&mut rng)
        };
        Blueprint { seed, key, kind, size_bytes }
    }

    /// The object itself.
    ///
    /// # Panics
    /// Never in practice: random bytes bear no marks of a collision attack.
    pub fn object(&self) -> Object {
        let mut rng = stream(self.seed, &format!("bytes/{}", self.key));
        let mut data = vec![0; usize::try_from(self.size_bytes).expect("a few MiB at most")];
        rng.fill_bytes(&mut data);
        Object::hash(HashAlgorithm::Sha1, self.kind, Bytes::from(data))
            .expect("random bytes are no collision attack")
    }
}

fn ordinary_size(rng: &mut impl Rng) -> u64 {
    let place = rng.random_range(0..1_000);
    let upper = SIZE_QUANTILES
        .iter()
        .position(|&(below, _)| below > place)
        .expect("the last quantile is above every draw");
    let (least, most) = (SIZE_QUANTILES[upper - 1].1, SIZE_QUANTILES[upper].1);
    rng.random_range(least..=most)
}

/// The testbed's own hash of an object. It shares no code with the node's ids, so that
/// what the node verified wrongly still shows.
#[derive(Clone, Debug)]
pub struct ContentHash(Sha256);

impl ContentHash {
    /// Begins with the kind.
    pub fn new(kind: Kind) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(kind.as_str().as_bytes());
        hasher.update([0]);
        ContentHash(hasher)
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash, cut to what tells a few thousand objects apart.
    pub fn finish(self) -> String {
        hex::encode(&self.0.finalize()[..8])
    }

    /// The hash of a whole object.
    pub fn of(object: &Object) -> String {
        let mut hash = ContentHash::new(object.kind());
        hash.update(object.data());
        hash.finish()
    }
}
