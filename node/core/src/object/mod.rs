//! Git objects: ids, kinds, and the hash that ties them together.
//!
//! An object's id is the hash of `"<kind> <length>\0"` and its data, as Git has it.
//! An [`Object`] can be made in two ways: [`Object::hash`], where an object enters
//! the cluster and SHA-1 is computed with collision detection, and
//! [`Object::claimed`], which believes what a peer or a disk says until
//! [`Object::verified`] has computed the hash. An object remembers that its hash was
//! computed from the bytes it holds, so that a process does it once. This module knows
//! nothing of storage or network.
//!
//! Beside Git's four kinds there is a fifth: a [`Kind::Chunk`] of a pack. Its id says where it
//! lives, whose it is and what it is: the first eight bytes are the same for all of a repository, so
//! that all of it is on the same replicas; four are the same for all of a pack, so that a list of ids
//! tells which packs they are of; and the other 20 are the end of the SHA-256 of its framed data.

mod hasher;
mod id;

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

pub use hasher::{CollisionDetected, ObjectHasher};
pub use id::{HashAlgorithm, IdError, ObjectId};

/// What an object is: of Git's four kinds, or a part of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The contents of a file.
    Blob,
    /// A directory.
    Tree,
    /// A commit.
    Commit,
    /// An annotated tag.
    Tag,
    /// A part of a pack, or of what is known of one: no object of Git.
    Chunk,
}

impl Kind {
    /// The word that an object is framed with, as Git does.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Blob => "blob",
            Kind::Tree => "tree",
            Kind::Commit => "commit",
            Kind::Tag => "tag",
            Kind::Chunk => "chunk",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names none of Git's four kinds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown object kind {0:?}: blob, tree, commit or tag expected")]
pub struct UnknownKind(pub String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        match word {
            "blob" => Ok(Kind::Blob),
            "tree" => Ok(Kind::Tree),
            "commit" => Ok(Kind::Commit),
            "tag" => Ok(Kind::Tag),
            other => Err(UnknownKind(other.to_owned())),
        }
    }
}

/// What is known of an object before its data: enough to place and to announce it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectHead {
    /// The object's id.
    pub id: ObjectId,
    /// The object's kind.
    pub kind: Kind,
    /// Length of its data in bytes.
    pub size_bytes: u64,
}

/// One whole object in memory. Cloning shares the data.
#[derive(Clone, Debug)]
pub struct Object {
    id: ObjectId,
    kind: Kind,
    data: Bytes,
    /// The id was computed from these very bytes.
    verified: bool,
}

/// Equal in id, kind and data, whoever vouches for the id.
impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.kind, &self.data) == (other.id, other.kind, &other.data)
    }
}

impl Eq for Object {}

/// The data does not hash to the id it came under.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("data hashes to {actual}, not to {claimed}")]
pub struct HashMismatch {
    /// The id the object was sent or stored under.
    pub claimed: ObjectId,
    /// What its bytes hash to.
    pub actual: ObjectId,
}

impl Object {
    /// Hashes `data` as Git would and returns the object.
    ///
    /// # Errors
    /// [`CollisionDetected`] when SHA-1 data bears the marks of a collision attack.
    pub fn hash(
        algorithm: HashAlgorithm,
        kind: Kind,
        data: Bytes,
    ) -> Result<Self, CollisionDetected> {
        let mut hasher = ObjectHasher::detecting(algorithm, kind, data.len() as u64);
        hasher.update(&data);
        Ok(Object { id: hasher.finish()?, kind, data, verified: true })
    }

    /// A chunk whose place on the ring is `position`, of the pack of this tag. Costs a SHA-256 of the
    /// data.
    pub fn chunk(position: u64, tag: [u8; 4], data: Bytes) -> Self {
        let mut hasher = ObjectHasher::plain(HashAlgorithm::Sha256, Kind::Chunk, data.len() as u64);
        hasher.update(&data);
        let id = hasher.finish().expect("a plain hasher detects nothing").of_chunk(position, tag);
        Object { id, kind: Kind::Chunk, data, verified: true }
    }

    /// An object as a peer or a disk claims it to be; nothing is computed.
    pub fn claimed(id: ObjectId, kind: Kind, data: Bytes) -> Self {
        Object { id, kind, data, verified: false }
    }

    /// The object, known to be what its id stands for: computes the hash with the plain
    /// algorithm, unless that was done for this object before.
    ///
    /// # Errors
    /// [`HashMismatch`] when the data is not what the id stands for.
    pub fn verified(self) -> Result<Self, HashMismatch> {
        self.verify()?;
        Ok(Object { verified: true, ..self })
    }

    /// As [`Object::verified`], for whoever only wants to know.
    ///
    /// # Errors
    /// [`HashMismatch`] when the data is not what the id stands for.
    pub fn verify(&self) -> Result<(), HashMismatch> {
        if self.verified {
            return Ok(());
        }
        let mut hasher =
            ObjectHasher::plain(self.id.algorithm(), self.kind, self.data.len() as u64);
        hasher.update(&self.data);
        hasher.verify(self.id)
    }

    /// The object's id.
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// The object's kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The object's data, without Git's framing.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// Length of the data in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.data.len() as u64
    }

    /// Id, kind and length.
    pub fn head(&self) -> ObjectHead {
        ObjectHead { id: self.id, kind: self.kind, size_bytes: self.size_bytes() }
    }
}
