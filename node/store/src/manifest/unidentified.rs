//! Unidentified records: a file lost them, and nobody can name them one by one.

use std::fmt;

use gitstratum_core::object::ObjectId;

/// What a file lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnidentifiedRecords {
    /// How many records at least; `None` when nobody knows.
    pub(crate) records: Option<u64>,
    /// The lowest and the highest id that the file had; `None` when it may be any.
    pub(crate) ids: Option<(ObjectId, ObjectId)>,
    /// What is wrong with the file, in words.
    pub(crate) reason: String,
}

impl UnidentifiedRecords {
    /// A loss of which no more is known than why.
    pub(crate) fn unknown(reason: String) -> Self {
        UnidentifiedRecords { records: None, ids: None, reason }
    }

    /// Whether this id may be one of those that were lost.
    pub(crate) fn may_have(&self, id: &ObjectId) -> bool {
        self.ids.is_none_or(|(low, high)| (low..=high).contains(id))
    }
}

impl fmt::Display for UnidentifiedRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnidentifiedRecords { records, ids, reason } = self;
        match records {
            Some(records) => write!(f, "{reason}: at least {records} records are lost")?,
            None => write!(f, "{reason}: nobody knows how many records are lost")?,
        }
        match ids {
            Some((low, high)) => write!(f, ", with ids from {low} to {high}"),
            None => write!(f, ", with any ids"),
        }
    }
}
