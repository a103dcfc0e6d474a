//! What verifying a store's files found, as it is gathered.
//!
//! What was damaged and is whole again is no longer called damaged: a later record of an object,
//! or of its deletion, takes the place of one that does not hold.

use std::collections::BTreeMap;

use gitstratum_core::object::ObjectId;

use crate::error::OpenError;
use crate::manifest::UnidentifiedRecords;

/// What reading everything found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Records and large objects that were read and are sound.
    pub sound: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// One line for everything that is wrong: which file, where, what.
    pub problems: Vec<String>,
    /// What is not as it would be after a clean stop, and is no loss: one line each.
    pub remarks: Vec<String>,
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) verified: Verified,
    /// Objects whose latest record does not hold, and what is wrong with it.
    damaged: BTreeMap<ObjectId, String>,
    /// Objects on the list of damage of which nothing sound was met since.
    noted: BTreeMap<ObjectId, String>,
    /// Records that did not hold, of objects that are whole again or deleted.
    healed: u64,
}

impl Findings {
    /// Notes something that is wrong with the store.
    pub(super) fn problem(&mut self, what: String) {
        self.verified.problems.push(what);
    }

    /// Notes something that is no loss.
    pub(super) fn remark(&mut self, what: String) {
        self.verified.remarks.push(what);
    }

    /// Notes that the disk does not read a file. The others are still to be looked at.
    ///
    /// # Errors
    /// The same, when a newer program wrote the file.
    pub(super) fn unread(&mut self, error: OpenError) -> Result<(), OpenError> {
        match error {
            OpenError::Io { .. } => self.problem(error.to_string()),
            error => return Err(error),
        }
        Ok(())
    }

    /// Notes what a file lost.
    pub(super) fn lost(&mut self, path: &str, lost: &UnidentifiedRecords) {
        self.problem(format!("{path}: {lost}"));
    }

    /// Notes what the list of damage says of an object.
    pub(super) fn noted(&mut self, id: ObjectId, what: String) {
        self.noted.insert(id, what);
    }

    /// Notes that the latest record of an object, so far, does not hold.
    pub(super) fn damaged(&mut self, id: ObjectId, what: String) {
        self.damaged.insert(id, what);
    }

    /// Notes that the latest record of an object, so far, is sound.
    pub(super) fn sound(&mut self, id: ObjectId) {
        self.noted.remove(&id);
        self.healed += u64::from(self.damaged.remove(&id).is_some());
    }

    /// All that was found.
    pub(super) fn end(self) -> Verified {
        let Findings { mut verified, damaged, noted, healed } = self;
        let noted = noted.into_iter().filter(|(id, _)| !damaged.contains_key(id));
        let noted: Vec<_> = noted.map(|(_, what)| what).collect();
        verified.problems.extend(damaged.into_values().chain(noted));
        if healed > 0 {
            let objects = "objects that are whole again or were deleted";
            verified.remarks.push(format!("{healed} damaged records of {objects}"));
        }
        verified
    }
}
