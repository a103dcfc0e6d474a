//! Pack checksum: the hash over a whole pack that stands at its end.
//!
//! It guards against damage on the way, not against attacks, so it is the plain hash.

use gitstratum_core::object::{HashAlgorithm, ObjectId};
use sha1::Digest;

/// Computes it from parts.
pub(crate) enum Checksum {
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
}

impl Checksum {
    pub(crate) fn new(algorithm: HashAlgorithm) -> Self {
        match algorithm {
            HashAlgorithm::Sha1 => Checksum::Sha1(sha1::Sha1::new()),
            HashAlgorithm::Sha256 => Checksum::Sha256(sha2::Sha256::new()),
        }
    }

    pub(crate) fn update(&mut self, part: &[u8]) {
        match self {
            Checksum::Sha1(state) => state.update(part),
            Checksum::Sha256(state) => state.update(part),
        }
    }

    /// The checksum of all parts. It has the form of an object id, and names the pack.
    pub(crate) fn finish(self) -> ObjectId {
        match self {
            Checksum::Sha1(state) => ObjectId::from_bytes(&state.finalize()),
            Checksum::Sha256(state) => ObjectId::from_bytes(&state.finalize()),
        }
        .expect("both algorithms give 20 or 32 bytes")
    }
}
