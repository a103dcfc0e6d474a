//! Log storage for the engine: entries in memory, and the journal that has them on the disk.
//!
//! All entries that are not purged are in memory, so that a follower that lags is served without
//! reading; how many there may be is bounded by the snapshots that purge them.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};

use super::stages::Stages;
use super::types::{LogId, RaftEntry, Types, Vote, raft_entry};
use crate::entry::{Entry, Position};
use crate::journal::{Journal, Record, Replay};

/// Entries of about this many bytes are sent at once, or a single longer one.
const SEND_BYTES: usize = 1 << 20;

/// The log of a group. Clones are the same log.
#[derive(Clone)]
pub(crate) struct Log {
    shared: Arc<Shared>,
    stages: Stages,
}

struct Shared {
    journal: Journal,
    state: Mutex<State>,
}

struct State {
    vote: Option<Vote>,
    committed: Option<LogId>,
    purged: Option<LogId>,
    entries: VecDeque<RaftEntry>,
}

impl State {
    fn last(&self) -> Option<LogId> {
        self.entries.back().map(|entry| entry.log_id).or(self.purged)
    }
}

impl Log {
    /// A log that the journal held.
    pub(crate) fn new(journal: Journal, replay: Replay) -> io::Result<Self> {
        let entries = replay.entries.into_iter().map(raft_entry).collect::<Result<_, _>>();
        let state = State {
            vote: replay.ballot.map(Vote::from),
            committed: replay.committed.map(LogId::from),
            purged: replay.purged.map(LogId::from),
            entries: entries.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
        };
        let shared = Arc::new(Shared { journal, state: Mutex::new(state) });
        Ok(Log { shared, stages: Stages::default() })
    }

    /// The same log, of which these are told how far its entries are.
    pub(crate) fn followed_by(self, stages: Stages) -> Self {
        Log { stages, ..self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the journal.
    pub(crate) async fn close(&self) {
        self.shared.journal.close().await;
    }
}

fn size(entry: &RaftEntry) -> usize {
    Entry::from(entry).bytes()
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<RaftEntry>, io::Error> {
        let state = self.state();
        let begin = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(index) => index + 1,
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        };
        let within = |entry: &&RaftEntry| entry.log_id.index < end;
        let first = state.entries.front().map_or(0, |entry| entry.log_id.index);
        let skipped = usize::try_from(begin.saturating_sub(first)).unwrap_or(usize::MAX);
        Ok(state.entries.iter().skip(skipped).take_while(within).cloned().collect())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.state().vote)
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<RaftEntry>, io::Error> {
        let mut entries = self.try_get_log_entries(start..end).await?;
        let mut bytes = 0;
        let fitting = entries.iter().take_while(|entry| {
            bytes += size(entry);
            bytes <= SEND_BYTES
        });
        let fitting = fitting.count().max(1);
        entries.truncate(fitting);
        Ok(entries)
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let state = self.state();
        Ok(LogState { last_purged_log_id: state.purged, last_log_id: state.last() })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        self.shared.journal.append_and_wait(vec![Record::Ballot(vote.into())]).await?;
        self.state().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        if let Some(committed) = committed {
            self.shared.journal.note_committed((&committed).into());
            self.state().committed = Some(committed);
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.state().committed)
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = RaftEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut records = Vec::new();
        let entries: Vec<RaftEntry> = entries.into_iter().collect();
        let (stages, followed) = (self.stages.clone(), self.stages.appending(&entries));
        {
            // Readable from here on, and durable when that is told.
            let mut state = self.state();
            for entry in entries {
                records.push(Record::Append(Entry::from(&entry)));
                state.entries.push_back(entry);
            }
        }
        let done = Box::new(move |written: Result<(), _>| {
            stages.appended(&followed);
            flushed.io_completed(written.map_err(io::Error::from));
        });
        self.shared.journal.append(records, done).await;
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        let from = last.map_or(0, |last| last.index + 1);
        {
            let mut state = self.state();
            while state.entries.back().is_some_and(|entry| entry.log_id.index >= from) {
                state.entries.pop_back();
            }
        }
        Ok(self.shared.journal.append_and_wait(vec![Record::TruncateFrom(from)]).await?)
    }

    async fn purge(&mut self, up_to: LogId) -> Result<(), io::Error> {
        {
            let mut state = self.state();
            while state.entries.front().is_some_and(|entry| entry.log_id.index <= up_to.index) {
                state.entries.pop_front();
            }
            state.purged = state.purged.max(Some(up_to));
        }
        Ok(self.shared.journal.append_and_wait(vec![Record::Purge(Position::from(&up_to))]).await?)
    }
}
