//! A ref: where it points, and its last updates (the reflog).

use std::sync::Arc;

use gitstratum_core::object::ObjectId;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::codec::{cbor, json};
use crate::names::RefName;

/// Where a ref points.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(flat)]
#[serde(rename_all = "snake_case")]
pub enum RefTarget {
    /// To an object.
    #[n(0)]
    Object(
        #[cbor(n(0), with = "cbor::oid")]
        #[serde(with = "json::oid")]
        ObjectId,
    ),
    /// To another ref, which may not exist yet.
    #[n(1)]
    Symbolic(#[n(0)] RefName),
}

impl std::fmt::Display for RefTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RefTarget::Object(id) => id.fmt(f),
            RefTarget::Symbolic(name) => write!(f, "ref {name}"),
        }
    }
}

/// A ref of a repository. There are millions of them: what few have is boxed, and what many have
/// alike is shared.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ref {
    /// Where it points.
    #[n(0)]
    pub target: RefTarget,
    /// What an annotated tag comes to, however many tags stand between. Not checked here: whoever
    /// proposes it has read the objects.
    #[cbor(n(1), with = "cbor::boxed_oid_option", has_nil)]
    #[serde(with = "json::boxed_oid_option", default)]
    pub peeled: Option<Box<ObjectId>>,
    /// Its last updates, oldest first.
    #[n(2)]
    pub log: Box<[LogEntry]>,
}

/// One update of a ref, as it is kept: where the ref pointed afterwards is what the next entry
/// says it pointed to before, or where it points now.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogEntry {
    /// Where it pointed before; nothing where it was made by this update.
    #[n(0)]
    pub old: Option<Box<RefTarget>>,
    /// When, in unix milliseconds.
    #[n(1)]
    pub at_ms: u64,
    /// Who asked for it, and what was said: the same for all refs of a push.
    #[cbor(n(2), with = "cbor::shared")]
    #[serde(with = "json::shared")]
    pub note: Arc<Note>,
}

/// Who asked for an update, and what was said of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// Who asked for it.
    #[n(0)]
    pub who: Box<str>,
    /// What was said of it.
    #[n(1)]
    pub message: Box<str>,
}

/// One update of a ref, as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedUpdate<'a> {
    /// Where the ref pointed before; nothing where it was made.
    pub old: Option<&'a RefTarget>,
    /// Where it pointed afterwards.
    pub new: &'a RefTarget,
    /// Who asked for it.
    pub who: &'a str,
    /// When, in unix milliseconds.
    pub at_ms: u64,
    /// What was said of it.
    pub message: &'a str,
}

impl Ref {
    /// The last updates, the latest first.
    pub fn updates(&self) -> impl Iterator<Item = LoggedUpdate<'_>> {
        let after = self.log.iter().skip(1).map(|entry| entry.old.as_deref());
        let after = after.chain([Some(&self.target)]);
        // Within a log the ref is never gone, since its log goes with it.
        let pairs: Vec<_> = self.log.iter().zip(after).collect();
        pairs.into_iter().rev().filter_map(|(entry, new)| {
            Some(LoggedUpdate {
                old: entry.old.as_deref(),
                new: new?,
                who: &entry.note.who,
                at_ms: entry.at_ms,
                message: &entry.note.message,
            })
        })
    }
}
