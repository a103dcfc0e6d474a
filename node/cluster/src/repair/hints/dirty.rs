//! Dirty ranges.
//!
//! Ranges of ids of which a node may lack objects that nobody lists one by one.
//!
//! Invariant: a range stays dirty over any crash until somebody reconciled it and said so,
//! and what was marked while it was being reconciled is not cleared by that.

use std::fmt;
use std::sync::Arc;

use gitstratum_core::object::ObjectId;
use gitstratum_core::placement::NodeId;
use tokio::sync::futures::Notified;

use super::{HintError, HintLog};

/// Ids that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IdPrefix {
    /// All ids.
    All,
    /// Those with this first byte.
    Byte(u8),
}

impl IdPrefix {
    /// The range that an id is in.
    pub fn of(id: &ObjectId) -> Self {
        IdPrefix::Byte(id.as_bytes()[0])
    }

    /// Whether an id is in the range.
    pub fn contains(self, id: &ObjectId) -> bool {
        match self {
            IdPrefix::All => true,
            IdPrefix::Byte(first) => id.as_bytes()[0] == first,
        }
    }

    /// What the ids begin with: nothing, or one byte.
    pub fn as_bytes(self) -> Vec<u8> {
        match self {
            IdPrefix::All => Vec::new(),
            IdPrefix::Byte(first) => vec![first],
        }
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [] => Some(IdPrefix::All),
            [first] => Some(IdPrefix::Byte(*first)),
            _ => None,
        }
    }
}

impl fmt::Display for IdPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdPrefix::All => f.write_str("*"),
            IdPrefix::Byte(first) => write!(f, "{first:02x}*"),
        }
    }
}

/// A node may lack objects of this range that we, or other replicas, have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirtyRange {
    /// Who may lack some. It may have left the layout since.
    pub target: NodeId,
    /// Of which ids.
    pub prefix: IdPrefix,
    /// Which marking this is: one that came later is not cleared with it.
    pub(super) marking: u64,
}

/// The dirty ranges of a node, for whoever reconciles them. Cheap to clone.
#[derive(Clone)]
pub struct DirtyRanges {
    log: Arc<HintLog>,
}

impl DirtyRanges {
    /// Those that are kept in this log.
    pub fn of(log: &Arc<HintLog>) -> Self {
        DirtyRanges { log: log.clone() }
    }

    /// All of them, by target.
    pub fn list(&self) -> Vec<DirtyRange> {
        self.log.dirty()
    }

    /// Marks a range; durable when this returns.
    ///
    /// # Errors
    /// [`HintError`].
    pub async fn mark(&self, target: &NodeId, prefix: IdPrefix) -> Result<(), HintError> {
        self.log.mark(target.clone(), prefix).await
    }

    /// Says that these ranges, as they were listed, were reconciled with their targets. One
    /// that was marked once more since it was listed stays dirty. Says how many do not.
    ///
    /// # Errors
    /// [`HintError`]; then all of them are dirty still.
    pub async fn clear(&self, ranges: &[DirtyRange]) -> Result<usize, HintError> {
        self.log.clear(ranges.to_vec()).await
    }

    /// Ready when something was marked or cleared, or a hint recorded or settled, after it
    /// was enabled.
    pub fn changed(&self) -> Notified<'_> {
        self.log.changed()
    }
}
