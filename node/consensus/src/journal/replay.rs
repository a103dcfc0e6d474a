//! What the records of a log amount to.

use std::collections::VecDeque;

use super::record::Record;
use crate::entry::{Ballot, Entry, Position};

/// What a log holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replay {
    /// The last vote.
    pub ballot: Option<Ballot>,
    /// The last entry that is no more, because a snapshot has it.
    pub purged: Option<Position>,
    /// The last entry that was known to be agreed.
    pub committed: Option<Position>,
    /// The entries, without a gap.
    pub entries: VecDeque<Entry>,
}

impl Replay {
    /// Takes the next record into account.
    ///
    /// # Errors
    /// What is wrong, when it cannot follow those before it.
    pub(crate) fn apply(&mut self, record: Record) -> Result<(), String> {
        match record {
            Record::Ballot(ballot) => self.ballot = Some(ballot),
            Record::Append(entry) => self.append(entry)?,
            Record::TruncateFrom(index) => {
                while self.entries.back().is_some_and(|entry| entry.position.index >= index) {
                    self.entries.pop_back();
                }
            }
            Record::Purge(position) => {
                let purged = |entry: &Entry| entry.position.index <= position.index;
                while self.entries.front().is_some_and(purged) {
                    self.entries.pop_front();
                }
                self.purged = Some(position);
            }
            Record::Committed(position) => self.committed = Some(position),
        }
        Ok(())
    }

    fn append(&mut self, entry: Entry) -> Result<(), String> {
        let index = entry.position.index;
        if let Some(last) = self.entries.back()
            && last.position.index + 1 != index
        {
            return Err(format!("entry {index} follows entry {}", last.position.index));
        }
        self.entries.push_back(entry);
        Ok(())
    }

    /// Whether the entries begin where those that were purged end. Only then is all of the log
    /// there: files whose entries are purged are removed, and what purged them is in a later one.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn is_whole(&self) -> Result<(), String> {
        let expected = self.purged.map_or(0, |position| position.index + 1);
        match self.entries.front() {
            Some(first) if first.position.index != expected => {
                let found = first.position.index;
                Err(format!("the entries begin with {found} instead of {expected}"))
            }
            _ => Ok(()),
        }
    }
}
