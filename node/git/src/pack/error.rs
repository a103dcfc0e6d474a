//! Pack errors: why a pack is refused.
//!
//! Each says what is wrong with the pack and where, so that a client's report can be understood
//! without the pack at hand. Offsets are those of the body: 12 less than in a pack file.

use gitstratum_core::object::{CollisionDetected, Kind, ObjectId};

use super::delta::DeltaError;
use crate::fsck::Finding;
use crate::object::Malformed;

/// Why a pack is refused, or could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// It does not begin as packs do.
    #[error("pack signature mismatch: it begins with {found:02x?}")]
    Signature {
        /// Its first four bytes.
        found: [u8; 4],
    },
    /// A version that nobody writes.
    #[error("pack version {0} is not supported: 2 or 3 expected")]
    Version(u32),
    /// It says that it has more objects than are taken at once.
    #[error("the pack has {declared} objects, and {max} is the limit: push in parts")]
    TooManyObjects {
        /// What its header says.
        declared: u32,
        /// The limit.
        max: u32,
    },
    /// It is larger than bodies can be.
    #[error("the pack is larger than {max} bytes: push in parts")]
    TooLarge {
        /// The limit.
        max: u64,
    },
    /// Its stream ends where something must follow.
    #[error("early end of the pack: {0}")]
    Ended(String),
    /// Entries are complete, and something other than the checksum follows.
    #[error("garbage at the end of the pack, after its last object (offset {offset})")]
    TrailingBytes {
        /// Where the last entry ends.
        offset: u64,
    },
    /// Its checksum is not that of its bytes: it was damaged on the way.
    #[error("the pack is corrupt: its checksum is {actual}, and it says {claimed}")]
    Checksum {
        /// What stands at its end.
        claimed: ObjectId,
        /// What its bytes hash to.
        actual: ObjectId,
    },
    /// An entry is of none of the six types.
    #[error("the entry at offset {offset} is of unknown type {code}")]
    EntryType {
        /// Where.
        offset: u64,
        /// Its three bits.
        code: u8,
    },
    /// A number in the header of an entry does not fit 64 bits.
    #[error("the header of the entry at offset {offset} has a number that is too large")]
    EntryNumber {
        /// Where.
        offset: u64,
    },
    /// A delta names a base at a place where no entry begins.
    #[error("the delta at offset {offset} has its base {distance} bytes before, where no entry is")]
    BaseOffset {
        /// Where the delta is.
        offset: u64,
        /// How far before it the base should be.
        distance: u64,
    },
    /// An entry's compressed data is no zlib stream, or one that is damaged or wants a dictionary.
    #[error("the entry at offset {offset} cannot be inflated")]
    Inflate {
        /// Where.
        offset: u64,
    },
    /// An entry inflates to more or less than its header says.
    #[error(
        "the entry at offset {offset} inflates to {actual} bytes, and its header says {claimed}"
    )]
    EntrySize {
        /// Where.
        offset: u64,
        /// What the header says.
        claimed: u64,
        /// What came; when it is more, so much of it as was read.
        actual: u64,
    },
    /// An object is larger than what can be held of its kind.
    #[error("the {what} at offset {offset} has {size} bytes, and {max} is the limit")]
    ObjectTooLarge {
        /// Where.
        offset: u64,
        /// What it is.
        what: &'static str,
        /// Its size.
        size: u64,
        /// The limit.
        max: u64,
    },
    /// A delta cannot be applied to its base.
    #[error("the delta at offset {offset} cannot be applied")]
    Delta {
        /// Where.
        offset: u64,
        /// Why.
        source: DeltaError,
    },
    /// Deltas have bases that are neither in the pack nor in the repository, or that build on each
    /// other in a circle.
    #[error("{deltas} unresolved deltas: missing bases {}", list(ids, *count))]
    MissingBases {
        /// The first of them.
        ids: Vec<ObjectId>,
        /// How many they are.
        count: usize,
        /// Deltas that stay unresolved.
        deltas: usize,
    },
    /// A base was brought that is not what its id says.
    #[error("base {wanted} was brought with data that hash to {actual}")]
    WrongBase {
        /// What was asked for.
        wanted: ObjectId,
        /// What came.
        actual: ObjectId,
    },
    /// An object bears the marks of a collision attack on SHA-1.
    #[error(transparent)]
    Collision(#[from] CollisionDetected),
    /// An object's links cannot be read.
    #[error("object {id} cannot be read")]
    Malformed {
        /// Which.
        id: ObjectId,
        /// Why not.
        source: Malformed,
    },
    /// An object breaks a rule that the policy enforces.
    #[error("{0}")]
    Fsck(Box<Finding>),
    /// An object is named as something that it is not.
    #[error("object {id} is a {actual}, and is named as a {expected}")]
    WrongKind {
        /// Which.
        id: ObjectId,
        /// What others say that it is.
        expected: Kind,
        /// What it is, or what still others say.
        actual: Kind,
    },
    /// Its objects name too many others.
    #[error("the objects of the pack name more than {max} others: push in parts")]
    TooManyLinks {
        /// The limit.
        max: u32,
    },
    /// Its objects are too much work.
    #[error("the pack inflates to more than {max} bytes: push in parts")]
    TooMuchWork {
        /// The limit.
        max: u64,
    },
    /// The body that was read again is not the one that was fed.
    #[error("the stored body of the pack has changed at offset {offset}")]
    BodyChanged {
        /// Where the entry begins.
        offset: u64,
    },
    /// More or fewer objects were written than the header says.
    #[error("{written} objects were written to a pack of {declared}")]
    WrittenCount {
        /// What its header says.
        declared: u32,
        /// What was written.
        written: u64,
    },
    /// An object was to be written twice, which clients that check what they get refuse.
    #[error("object {0} is in the pack already")]
    WrittenTwice(ObjectId),
    /// A delta was to be written without saying what its base is.
    #[error("object {0} is a delta, and its base was not named")]
    BaseUnnamed(ObjectId),
}

fn list(ids: &[ObjectId], count: usize) -> String {
    let mut text = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if count > ids.len() {
        text.push_str(&format!(" and {} more", count - ids.len()));
    }
    text
}
