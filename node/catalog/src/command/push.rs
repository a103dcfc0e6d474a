//! A push: updates of refs, and the packs that they need.

use gitstratum_core::object::ObjectId;
use minicbor::{Decode, Encode};

use crate::codec::cbor;
use crate::entity::Pack;
use crate::ids::RepositoryId;

/// A push to one repository: the only way in which refs change, `HEAD` included.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Push {
    /// Which repository.
    #[n(0)]
    pub repository: RepositoryId,
    /// The repository's generation when it was proved that all is there which the new values need.
    #[n(1)]
    pub generation: u64,
    /// Whether it is all or nothing.
    #[n(2)]
    pub atomic: bool,
    /// Whether hidden refs may be updated: for those who keep them, never for a user's push.
    #[n(3)]
    pub may_update_hidden: bool,
    /// The updates. Deletions come first; else they are done in this order.
    #[n(4)]
    pub updates: Vec<RefUpdate>,
    /// The packs that it brings, durable already. They are kept if any update is done.
    #[n(5)]
    pub packs: Vec<Pack>,
    /// For the reflog.
    #[n(6)]
    pub message: String,
}

/// The update of one ref. A symbolic ref is itself updated, and not what it points to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RefUpdate {
    /// The full name.
    #[n(0)]
    pub name: String,
    /// What the ref has to be for this to be done.
    #[n(1)]
    pub expected: Expected,
    /// What it is to be.
    #[n(2)]
    pub new: NewTarget,
}

/// What a ref has to be before an update.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Expected {
    /// Whatever it is.
    #[n(0)]
    Any,
    /// Nothing.
    #[n(1)]
    Absent,
    /// This object.
    #[n(2)]
    Object(#[cbor(n(0), with = "cbor::oid")] ObjectId),
    /// A symbolic ref to this name.
    #[n(3)]
    Symbolic(#[n(0)] String),
}

/// What a ref is to be after an update.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum NewTarget {
    /// Nothing: it is deleted.
    #[n(0)]
    Deleted,
    /// This object.
    #[n(1)]
    Object {
        /// The object.
        #[cbor(n(0), with = "cbor::oid")]
        id: ObjectId,
        /// What it comes to, where it is an annotated tag.
        #[cbor(n(1), with = "cbor::oid_option", has_nil)]
        peeled: Option<ObjectId>,
    },
    /// A symbolic ref to this name: for `HEAD` alone.
    #[n(2)]
    Symbolic(#[n(0)] String),
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Expected::Any => f.write_str("anything"),
            Expected::Absent => f.write_str("absent"),
            Expected::Object(id) => id.fmt(f),
            Expected::Symbolic(name) => write!(f, "ref {name}"),
        }
    }
}
