//! Write-ahead log of a group: votes and entries, durable before they are acknowledged.
//!
//! A chain of files in one directory, and a manifest that names the first and the last of them.
//! Each file is made at its full length, of zeros, and filled with frames ([`crate::frame`]); a frame
//! holds the records of all who waited, and is written and synced at once. So at most the last frame
//! of the last file can be torn, and a file that is shorter than it was made was cut.
//!
//! Invariant: what was acknowledged is found again at the next opening, or the opening fails. A
//! log that forgot a vote would vote twice, and one that forgot an entry would let it be replaced:
//! both break agreement, so a damaged log is never opened as far as it goes. After a write or
//! sync that failed nothing is acknowledged any more; where there is no room for a new file, or no
//! descriptor, writing waits until there is.

mod files;
mod record;
mod recover;
mod replay;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use gitstratum_host::Disk;
use gitstratum_host::disk::is_shortage;
use rand_chacha::ChaCha12Rng;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::entry::Position;
pub use record::{Identity, Record};
pub use replay::Replay;
use writer::{Request, Write, Writer};

/// Writes that may wait for the one before them.
const QUEUE: usize = 1024;

/// Why a log cannot be read or written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    /// There is no log in the directory, or its manifest was lost.
    #[error("{directory}: there is no log: the manifest {file} is missing", file = files::MANIFEST)]
    Missing {
        /// The directory.
        directory: String,
    },
    /// What was acknowledged is not all there.
    #[error(
        "{file}: {what}; a member that forgot a vote or an entry must not vote again: replace it"
    )]
    Damaged {
        /// Which file.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// A newer program wrote it.
    #[error(
        "{file} has format {format}, and this program reads formats up to {FORMAT}: start the version of \
         gitstratum that wrote it, or a newer one; nothing was changed",
        FORMAT = record::FORMAT
    )]
    Format {
        /// Which file.
        file: String,
        /// Its format.
        format: u32,
    },
    /// It is another member's, or another group's.
    #[error("{file}: the log of member {} of group {}, not of member {} of group {}",
        found.member, found.group, expected.member, expected.group)]
    Foreign {
        /// Which file.
        file: String,
        /// Whose it is.
        found: Identity,
        /// Who opens it.
        expected: Identity,
    },
    /// The disk refused.
    #[error("{0}")]
    Disk(#[source] Arc<io::Error>),
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
}

impl JournalError {
    /// Whether it is for want of what may be there later.
    fn is_shortage(&self) -> bool {
        matches!(self, JournalError::Disk(error) if is_shortage(error))
    }
}

impl From<io::Error> for JournalError {
    fn from(error: io::Error) -> Self {
        JournalError::Disk(Arc::new(error))
    }
}

impl From<JournalError> for io::Error {
    fn from(error: JournalError) -> Self {
        let kind = match &error {
            JournalError::Disk(source) => source.kind(),
            JournalError::Closed => io::ErrorKind::BrokenPipe,
            _ => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}

/// What is told when a write is durable, or failed.
pub(crate) type Done = Box<dyn FnOnce(Result<(), JournalError>) + Send>;

/// A log that is open.
pub(crate) struct Journal {
    queue: mpsc::Sender<Request>,
    /// Written with the next frame: what it says is learnt again if it is lost.
    committed: Arc<Mutex<Option<Position>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Journal {
    /// Makes an empty log; whatever is left in the directory of one that was never used goes.
    pub(crate) async fn create(
        disk: &Disk,
        directory: &str,
        identity: Identity,
        rng: ChaCha12Rng,
    ) -> Result<(), JournalError> {
        Writer::create(disk, directory, identity, None, rng).await
    }

    /// Makes an empty log behind a snapshot that ends with this entry, of a member that leads in the
    /// entry's term; whatever is left in the directory of another log goes.
    pub(crate) async fn create_behind(
        disk: &Disk,
        directory: &str,
        identity: Identity,
        saved: Position,
        rng: ChaCha12Rng,
    ) -> Result<(), JournalError> {
        Writer::create(disk, directory, identity, Some(saved), rng).await
    }

    /// Opens the log that [`Journal::create`] made, and says what it holds.
    pub(crate) async fn open(
        disk: &Disk,
        directory: &str,
        identity: Identity,
        rng: ChaCha12Rng,
    ) -> Result<(Self, Replay), JournalError> {
        let (writer, replay) = recover::recover(disk, directory, identity, rng).await?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        let committed = Arc::default();
        let writer = tokio::spawn(writer.run(waiting, Arc::clone(&committed)));
        let writer = Mutex::new(Some(writer));
        Ok((Journal { queue, committed, writer }, replay))
    }

    /// Has records written behind all that were handed in before; `done` is called when they are
    /// durable. Waits while too many wait already.
    pub(crate) async fn append(&self, records: Vec<Record>, done: Done) {
        let write = Request::Write(Write { records, done });
        if let Err(mpsc::error::SendError(Request::Write(refused))) = self.queue.send(write).await {
            (refused.done)(Err(JournalError::Closed));
        }
    }

    /// As [`Journal::append`], and waits until they are durable.
    pub(crate) async fn append_and_wait(&self, records: Vec<Record>) -> Result<(), JournalError> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let done = Box::new(move |result| {
            // Nobody may wait any more.
            let _ = answer.send(result);
        });
        self.append(records, done).await;
        answered.await.unwrap_or(Err(JournalError::Closed))
    }

    /// Notes what is agreed, for the next frame that is written.
    pub(crate) fn note_committed(&self, position: Position) {
        *self.committed.lock().unwrap_or_else(PoisonError::into_inner) = Some(position);
    }

    /// Waits until what was handed in is written, then closes the log: what comes later is refused.
    pub(crate) async fn close(&self) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writer) = writer else { return };
        // It may have ended already.
        let _ = self.queue.send(Request::Close).await;
        if let Err(error) = writer.await {
            tracing::error!(%error, "the task that writes the log has failed");
        }
    }
}
