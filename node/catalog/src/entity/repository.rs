//! A repository: its name, its settings, and whether it was deleted.

use gitstratum_core::object::HashAlgorithm;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::codec::{cbor, json};
use crate::ids::RepositoryId;
use crate::names::RepositoryName;

/// A repository. Its refs and packs are kept beside it; its default branch is where `HEAD` points.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// Its name, or the one that it had when it was deleted.
    #[n(0)]
    pub name: RepositoryName,
    /// The hash of its objects, for good.
    #[cbor(n(1), with = "cbor::algorithm")]
    #[serde(with = "json::algorithm")]
    pub object_format: HashAlgorithm,
    /// What it says of itself.
    #[n(2)]
    pub description: String,
    /// Its own bounds, within those of the program.
    #[n(3)]
    pub limits: RepositoryLimits,
    /// Refs by these names and beneath them are told to nobody, and pushes to them are refused.
    #[n(4)]
    pub hidden_refs: Vec<String>,
    /// When it was created, in unix milliseconds.
    #[n(5)]
    pub created_at_ms: u64,
    /// Grows whenever objects are dropped from it: whoever proved that a push is complete says
    /// which generation the proof is of.
    #[n(6)]
    pub generation: u64,
    /// Its deletion, while that can be undone or is not yet purged.
    #[n(7)]
    pub deleted: Option<Deletion>,
    /// Whether it may be read without an access token.
    #[cbor(n(8), with = "cbor::flag", has_nil)]
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub public: bool,
    /// Where it was restored from, if it came from a backup.
    #[n(9)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Box<Restored>>,
    /// Refs that it has. Counted by the state.
    #[cbor(skip)]
    #[serde(skip)]
    pub refs: u64,
    /// Packs that it has. Counted by the state.
    #[cbor(skip)]
    #[serde(skip)]
    pub packs: u64,
}

/// Bounds of one repository; without one, that of the program counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryLimits {
    /// Refs that it may have.
    #[n(0)]
    pub refs_max: Option<u64>,
    /// Bytes of packs that one push may bring.
    #[n(1)]
    pub push_bytes_max: Option<u64>,
    /// Bytes of all its packs. For whoever takes pushes: the state does not add them up.
    #[n(2)]
    pub repository_bytes_max: Option<u64>,
}

impl Repository {
    /// Whether it is being restored, and has no name until all of it is there.
    pub fn is_being_restored(&self) -> bool {
        self.restored.as_ref().is_some_and(|restored| restored.under_way)
    }
}

/// Where a repository was restored from.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restored {
    /// The cluster that it was backed up from.
    #[n(0)]
    pub cluster: String,
    /// Its number there.
    #[n(1)]
    pub repository: RepositoryId,
    /// The position of the catalog that the backup is of.
    #[n(2)]
    pub position: u64,
    /// Not all of it is here yet. Until then it is kept as a deleted one is: nobody reads it, and its
    /// packs have an owner.
    #[n(3)]
    pub under_way: bool,
}

/// That a repository was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deletion {
    /// When, in unix milliseconds.
    #[n(0)]
    pub at_ms: u64,
    /// Before this it can be undone, and from then on purged.
    #[n(1)]
    pub until_ms: u64,
}
