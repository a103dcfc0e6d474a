//! Object hasher.
//!
//! Hashing over Git's framing, whole or in parts.
//!
//! Detection of SHA-1 collision attacks costs more than the plain hash, so it is
//! done once, where an object enters the cluster; replicas check with the plain one.

#[cfg(test)]
mod tests;

use sha1::Digest;

use super::{HashAlgorithm, HashMismatch, Kind, ObjectId};

/// The data was built to collide with other data under SHA-1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("SHA-1 collision attack detected in {kind} {id}")]
pub struct CollisionDetected {
    /// What the data hashes to.
    pub id: ObjectId,
    /// Its kind.
    pub kind: Kind,
}

enum State {
    Sha1(sha1::Sha1),
    // Boxed: its state is some kilobytes.
    Sha1Detecting(Box<sha1dc::Hasher>),
    Sha256(sha2::Sha256),
}

/// Computes an object id from data that arrives in parts.
pub struct ObjectHasher {
    kind: Kind,
    state: State,
}

impl ObjectHasher {
    /// A hasher that detects SHA-1 collision attacks, for objects that enter the cluster.
    pub fn detecting(algorithm: HashAlgorithm, kind: Kind, size_bytes: u64) -> Self {
        let state = match algorithm {
            HashAlgorithm::Sha1 => State::Sha1Detecting(Box::new(sha1dc::Hasher::new())),
            HashAlgorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
        };
        Self::framed(kind, state, size_bytes)
    }

    /// A hasher for objects that were checked when they entered.
    pub fn plain(algorithm: HashAlgorithm, kind: Kind, size_bytes: u64) -> Self {
        let state = match algorithm {
            HashAlgorithm::Sha1 => State::Sha1(sha1::Sha1::new()),
            HashAlgorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
        };
        Self::framed(kind, state, size_bytes)
    }

    fn framed(kind: Kind, state: State, size_bytes: u64) -> Self {
        let mut hasher = ObjectHasher { kind, state };
        hasher.update(format!("{kind} {size_bytes}\0").as_bytes());
        hasher
    }

    /// Takes the next part of the data.
    pub fn update(&mut self, part: &[u8]) {
        match &mut self.state {
            State::Sha1(state) => state.update(part),
            State::Sha1Detecting(state) => state.update(part),
            State::Sha256(state) => state.update(part),
        }
    }

    /// The id of all that was taken.
    ///
    /// # Errors
    /// [`CollisionDetected`], from a detecting hasher only.
    pub fn finish(self) -> Result<ObjectId, CollisionDetected> {
        let kind = self.kind;
        match self.state {
            State::Sha1(state) => Ok(id_of(&state.finalize())),
            State::Sha256(state) => Ok(id_of(&state.finalize())),
            State::Sha1Detecting(state) => match state.finalize() {
                Ok(digest) => Ok(id_of(digest.as_bytes())),
                Err(attack) => {
                    let id = id_of(attack.digest().as_bytes());
                    Err(CollisionDetected { id, kind })
                }
            },
        }
    }

    /// Compares what was taken with the id it came under. A chunk may be at any place and
    /// of any pack, and of one the rest of the id is compared.
    ///
    /// # Errors
    /// [`HashMismatch`] when they differ.
    pub fn verify(self, claimed: ObjectId) -> Result<(), HashMismatch> {
        let kind = self.kind;
        let actual = match self.finish() {
            Ok(actual) => actual,
            Err(collision) => collision.id,
        };
        let actual = match (kind, claimed.algorithm()) {
            (Kind::Chunk, HashAlgorithm::Sha256) => {
                actual.of_chunk(claimed.prefix_u64(), claimed.pack_tag())
            }
            _ => actual,
        };
        if actual == claimed { Ok(()) } else { Err(HashMismatch { claimed, actual }) }
    }
}

fn id_of(digest: &[u8]) -> ObjectId {
    ObjectId::from_bytes(digest).expect("both algorithms give 20 or 32 bytes")
}
