//! Object ids of either algorithm in one `Copy` value.

use std::fmt;
use std::str::FromStr;

/// The hash that names the objects of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashAlgorithm {
    /// 20-byte ids; what nearly every repository uses.
    Sha1,
    /// 32-byte ids.
    Sha256,
}

impl HashAlgorithm {
    /// Length of an id in bytes.
    pub const fn id_len(self) -> usize {
        match self {
            HashAlgorithm::Sha1 => 20,
            HashAlgorithm::Sha256 => 32,
        }
    }

    /// Git's name for it, as in `extensions.objectFormat`.
    pub const fn as_str(self) -> &'static str {
        match self {
            HashAlgorithm::Sha1 => "sha1",
            HashAlgorithm::Sha256 => "sha256",
        }
    }
}

/// The id of a Git object: SHA-1 or SHA-256 over Git's framing.
///
/// Ordered by bytes, then by algorithm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// The id, then zeros up to 32 bytes.
    bytes: [u8; 32],
    algorithm: HashAlgorithm,
}

/// Bytes or characters that are no object id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Neither 20 nor 32 bytes.
    #[error("an object id has 20 bytes (SHA-1) or 32 (SHA-256), not {0}")]
    Length(usize),
    /// Not hexadecimal, or of the wrong length, when read from text.
    #[error("{0:?} is no object id: 40 (SHA-1) or 64 (SHA-256) hexadecimal digits expected")]
    Hex(String),
}

impl ObjectId {
    /// Reads an id from its raw bytes; their number tells the algorithm.
    ///
    /// # Errors
    /// [`IdError::Length`] for any other length than 20 or 32.
    pub fn from_bytes(raw: &[u8]) -> Result<Self, IdError> {
        let algorithm = match raw.len() {
            20 => HashAlgorithm::Sha1,
            32 => HashAlgorithm::Sha256,
            other => return Err(IdError::Length(other)),
        };
        let mut bytes = [0; 32];
        bytes[..raw.len()].copy_from_slice(raw);
        Ok(ObjectId { bytes, algorithm })
    }

    /// The raw bytes, 20 or 32 of them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.id_len()]
    }

    /// Which algorithm made this id.
    pub fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// The first eight bytes as a big-endian number: the id's place on the ring, which the chunks
    /// of one repository have in common.
    pub fn prefix_u64(&self) -> u64 {
        self.eight_at(0)
    }

    /// Eight bytes that come from the content, whatever the kind: a ready-made hash of the id.
    pub fn content_u64(&self) -> u64 {
        self.eight_at(12)
    }

    fn eight_at(&self, from: usize) -> u64 {
        let mut eight = [0; 8];
        eight.copy_from_slice(&self.bytes[from..from + 8]);
        u64::from_be_bytes(eight)
    }

    /// Of a chunk, what the chunks of one pack have in common beside their place.
    pub fn pack_tag(&self) -> [u8; 4] {
        [self.bytes[8], self.bytes[9], self.bytes[10], self.bytes[11]]
    }

    /// The same id for a chunk at this place on the ring, of the pack of this tag.
    pub(super) fn of_chunk(mut self, position: u64, tag: [u8; 4]) -> Self {
        self.bytes[..8].copy_from_slice(&position.to_be_bytes());
        self.bytes[8..12].copy_from_slice(&tag);
        self
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ObjectId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let raw = hex::decode(text).map_err(|_| IdError::Hex(text.to_owned()))?;
        Self::from_bytes(&raw).map_err(|_| IdError::Hex(text.to_owned()))
    }
}
