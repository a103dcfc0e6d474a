//! The task that writes the log: one frame and one sync for all who wait.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gitstratum_host::Disk;
use gitstratum_host::disk::{File, OpenMode};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::RngCore;
use tokio::sync::mpsc;

use super::files::{self, FILE_BYTES, Manifest, path};
use super::record::{self, FORMAT, Head, Identity, Record};
use super::recover::Tail;
use super::replay::Replay;
use super::{Done, JournalError};
use crate::entry::{Ballot, Position};
use crate::frame;
use crate::shortage::until_it_passes;

/// Records of this many bytes, about, share a frame at most.
const FRAME_BYTES: usize = 1 << 20;

/// Records that wait, and whoever waits for them.
pub(super) struct Write {
    pub(super) records: Vec<Record>,
    pub(super) done: Done,
}

/// What the task is asked.
pub(super) enum Request {
    Write(Write),
    /// Nothing comes behind it.
    Close,
}

/// A file of the chain.
pub(super) struct LogFile {
    pub(super) first_sequence: u64,
    /// The last entry that is in it.
    pub(super) last_index: Option<u64>,
}

/// The end of a log.
pub(super) struct Writer {
    disk: Disk,
    directory: String,
    identity: Identity,
    /// Of the salts.
    rng: ChaCha12Rng,
    file: File,
    salt: u64,
    end: usize,
    len: usize,
    next_sequence: u64,
    files: VecDeque<LogFile>,
    ballot: Option<Ballot>,
    purged: Option<Position>,
    committed: Option<Position>,
}

impl Writer {
    pub(super) async fn create(
        disk: &Disk,
        directory: &str,
        identity: Identity,
        saved: Option<Position>,
        mut rng: ChaCha12Rng,
    ) -> Result<(), JournalError> {
        disk.create_dir_all(directory).await?;
        for sequence in files::list(disk, directory).await? {
            disk.remove(&path(directory, sequence)).await?;
        }
        let salt = rng.next_u64();
        let ballot =
            |saved: Position| Ballot { term: saved.term, candidate: saved.leader, elected: true };
        let (ballot, purged, committed) = (saved.map(ballot), saved, saved);
        let head = Head { format: FORMAT, identity, salt, ballot, purged, committed };
        begin(disk, directory, 0, &head, 0).await?;
        Manifest::new(identity, 0, 0).write(disk, directory).await
    }

    #[expect(clippy::too_many_arguments, reason = "what a log's opening found, and nothing else")]
    pub(super) fn behind(
        disk: Disk,
        directory: &str,
        identity: Identity,
        rng: ChaCha12Rng,
        file: File,
        tail: Tail,
        files: Vec<LogFile>,
        replay: &Replay,
    ) -> Self {
        Writer {
            disk,
            directory: directory.to_owned(),
            identity,
            rng,
            file,
            salt: tail.salt,
            end: tail.end,
            len: tail.len,
            next_sequence: tail.next_sequence,
            files: files.into(),
            ballot: replay.ballot,
            purged: replay.purged,
            committed: replay.committed,
        }
    }

    /// Writes what is handed in, until nobody can any more.
    pub(super) async fn run(
        mut self,
        mut waiting: mpsc::Receiver<Request>,
        committed: Arc<Mutex<Option<Position>>>,
    ) {
        let noted = || committed.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut failed = None;
        while let Some(Request::Write(first)) = waiting.recv().await {
            let mut bytes = bytes_of(&first);
            let (mut records, mut waiters) = (first.records, vec![first.done]);
            let mut closes = false;
            while bytes < FRAME_BYTES
                && let Ok(next) = waiting.try_recv()
            {
                let Request::Write(next) = next else {
                    closes = true;
                    break;
                };
                bytes += bytes_of(&next);
                records.extend(next.records);
                waiters.push(next.done);
            }
            records.extend(noted().map(Record::Committed));
            if failed.is_none() {
                failed = self.write(&records, &waiting).await.err();
                if let Some(error) = &failed {
                    tracing::error!(%error, "the log takes no more entries and no votes");
                }
            }
            for done in waiters {
                done(failed.clone().map_or(Ok(()), Err));
            }
            if closes {
                break;
            }
        }
        if failed.is_none()
            && let Some(position) = noted()
            && let Err(error) = self.write(&[Record::Committed(position)], &waiting).await
        {
            // It is learnt again.
            tracing::warn!(%error, "what is agreed was not written at the end");
        }
    }

    async fn write(
        &mut self,
        records: &[Record],
        waiting: &mpsc::Receiver<Request>,
    ) -> Result<(), JournalError> {
        let body = record::encode(records);
        let bytes = frame::HEADER_BYTES + body.len();
        if self.end + bytes > self.len {
            self.next_file(bytes, waiting).await?;
        }
        let frame = frame::encode(self.next_sequence, self.salt, &body);
        self.file.write_at_and_sync(self.end as u64, vec![frame]).await?;
        self.end += bytes;
        self.next_sequence += 1;
        let purged = self.purged;
        records.iter().for_each(|record| self.note(record));
        if self.purged != purged {
            self.remove_purged().await?;
        }
        Ok(())
    }

    fn note(&mut self, record: &Record) {
        match record {
            Record::Ballot(ballot) => self.ballot = Some(*ballot),
            Record::Append(entry) => {
                let file = self.files.back_mut().expect("a log has a file");
                file.last_index = file.last_index.max(Some(entry.position.index));
            }
            Record::TruncateFrom(_) => {}
            Record::Purge(position) => self.purged = Some(*position),
            Record::Committed(position) => self.committed = Some(*position),
        }
    }

    /// Goes on in a new file, as soon as there is room for it and a descriptor.
    async fn next_file(
        &mut self,
        bytes: usize,
        waiting: &mpsc::Receiver<Request>,
    ) -> Result<(), JournalError> {
        let (identity, sequence) = (self.identity, self.next_sequence);
        let Writer { ballot, purged, committed, .. } = *self;
        let salt = self.rng.next_u64();
        let head = Head { format: FORMAT, identity, salt, ballot, purged, committed };
        let first = self.files.front().map_or(sequence, |file| file.first_sequence);
        let manifest = Manifest::new(identity, first, sequence);
        let passes = |error: &JournalError| error.is_shortage() && !waiting.is_closed();
        let begin = || begin_next(&self.disk, &self.directory, &head, bytes, manifest);
        let (file, end, len) = until_it_passes("the log", passes, begin).await?;
        self.files.push_back(LogFile { first_sequence: sequence, last_index: None });
        (self.file, self.end, self.len, self.salt) = (file, end, len, salt);
        self.next_sequence += 1;
        Ok(())
    }

    /// Removes the files of which every entry is purged, but for the one that is written. What finds no
    /// room for the manifest, or no descriptor, is left to the next purge: nothing is in need of it.
    async fn remove_purged(&mut self) -> Result<(), JournalError> {
        let purged = self.purged.map(|position| position.index);
        let removable = self.files.iter().take(self.files.len() - 1);
        let removable = removable.take_while(|file| file.last_index <= purged).count();
        if removable == 0 {
            return Ok(());
        }
        let first = self.files[removable].first_sequence;
        let last = self.files.back().map_or(first, |file| file.first_sequence);
        let manifest = Manifest::new(self.identity, first, last);
        // First, so that none that it names is missing.
        match manifest.write(&self.disk, &self.directory).await {
            Err(error) if error.is_shortage() => {
                tracing::warn!(%error, "files of the log that are not needed stay for now");
                return Ok(());
            }
            written => written?,
        }
        for file in self.files.drain(..removable) {
            self.disk.remove(&path(&self.directory, file.first_sequence)).await?;
        }
        Ok(())
    }
}

fn bytes_of(write: &Write) -> usize {
    let bytes = |record: &Record| match record {
        Record::Append(entry) => entry.bytes(),
        _ => 16,
    };
    write.records.iter().map(bytes).sum()
}

/// Makes the next file of a chain, and names it in the manifest.
async fn begin_next(
    disk: &Disk,
    directory: &str,
    head: &Head,
    bytes: usize,
    manifest: Manifest,
) -> Result<(File, usize, usize), JournalError> {
    let begun = begin(disk, directory, manifest.last, head, bytes).await?;
    if let Err(error) = manifest.write(disk, directory).await {
        // Where it stays, the next opening takes it for what it is.
        let _ = disk.remove(&path(directory, manifest.last)).await;
        return Err(error);
    }
    Ok(begun)
}

/// Makes a file with its head and room for a frame of so many bytes. One that could not be made
/// whole is removed: it would take the room that somebody makes.
async fn begin(
    disk: &Disk,
    directory: &str,
    sequence: u64,
    head: &Head,
    bytes: usize,
) -> Result<(File, usize, usize), JournalError> {
    let mut body = Vec::new();
    crate::entry::encode_to(&mut body, head);
    let frame = frame::encode(sequence, 0, &body);
    let end = frame.len();
    let len = FILE_BYTES.max(end + bytes);
    let name = path(directory, sequence);
    if disk.exists(&name).await? {
        // Of an attempt that failed, and could not be removed.
        disk.remove(&name).await?;
    }
    let file = disk.open(&name, OpenMode::CreateNew).await?;
    let zeros = Bytes::from(vec![0; len - end]);
    if let Err(error) = file.write_at_and_sync(0, vec![frame, zeros]).await {
        // The next attempt removes it at the latest.
        let _ = disk.remove(&name).await;
        return Err(error.into());
    }
    disk.sync_dir(directory).await?;
    Ok((file, end, len))
}
