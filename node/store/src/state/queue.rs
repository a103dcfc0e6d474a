//! Write queue: what the committer is asked for, how much of it may wait, and how it answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use gitstratum_core::limits;
use gitstratum_core::replica::{Durability, StoreError, Stored};
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument, Span, debug_span};

use super::health::Health;
use super::view::Seen;
use crate::codec::encode::EncodedRecord;
use crate::format::record::Content;

/// The records of one put or deletion, to be stored together.
pub(crate) struct Queued {
    pub(crate) records: Vec<EncodedRecord>,
    pub(crate) bytes: usize,
    /// How far it was looked whether they bring anything new.
    pub(crate) seen: Seen,
    pub(crate) answer: oneshot::Sender<Vec<Result<Stored, StoreError>>>,
    /// From here to the answer; those of its flushes are below it.
    pub(crate) span: Span,
}

/// What the committer is asked for.
pub(crate) enum Request {
    /// Store these.
    Write(Queued),
    /// Begin a new segment, and answer when the index of the old one is written.
    Seal(oneshot::Sender<Result<(), StoreError>>),
}

/// The queue, as those see it who put and delete.
pub(crate) struct WriteQueue {
    /// Until the store is closed. Bounded in bytes by [`WriteQueue::claim`].
    requests: Mutex<Option<mpsc::UnboundedSender<Request>>>,
    bytes: AtomicUsize,
    health: Arc<Health>,
}

impl WriteQueue {
    /// A queue whose other end the committer has.
    pub(crate) fn new(requests: mpsc::UnboundedSender<Request>, health: Arc<Health>) -> Self {
        WriteQueue { requests: Mutex::new(Some(requests)), bytes: AtomicUsize::default(), health }
    }

    fn lock(&self) -> MutexGuard<'_, Option<mpsc::UnboundedSender<Request>>> {
        self.requests.lock().expect("nothing panics while it holds the queue")
    }

    /// Takes no more requests. The committer ends when it has done what is queued.
    pub(crate) fn close(&self) {
        // Dropping a store calls it, which is no place to panic.
        if let Ok(mut requests) = self.requests.lock() {
            requests.take();
        }
    }

    /// Gives the committer a request; `Closed` when the store is.
    fn send(&self, request: Request) -> Result<(), StoreError> {
        let requests = self.lock();
        let Some(requests) = &*requests else { return Err(StoreError::Closed) };
        requests.send(request).map_err(|_| self.health.fail("the committer ended".into()))
    }

    /// Takes room in the queue for a put of so many bytes. One put may pass the bound alone,
    /// or a large batch could never be stored.
    fn claim(&self, bytes: usize) -> Result<(), StoreError> {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before > 0 && before + bytes > limits::STORE_QUEUE_BYTES_MAX {
            self.release(bytes);
            return Err(self.health.overloaded(format!("{before} bytes wait to be written")));
        }
        Ok(())
    }

    fn release(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Has the committer store these, of which nothing new was known when so much had been
    /// seen; one answer each, in order.
    pub(crate) async fn write(
        &self,
        records: Vec<EncodedRecord>,
        seen: Seen,
    ) -> Vec<Result<Stored, StoreError>> {
        let count = records.len();
        let all = |error| vec![Err(error); count];
        if let Err(error) = self.health.check_writable() {
            return all(error);
        }
        let bytes = records.iter().map(|record| record.len() as usize).sum();
        if let Err(error) = self.claim(bytes) {
            return all(error);
        }
        let (answer, answered) = oneshot::channel();
        let span = debug_span!("append", records = count, bytes);
        let queued = Queued { records, bytes, seen, answer, span: span.clone() };
        if let Err(error) = self.send(Request::Write(queued)) {
            self.release(bytes);
            return all(error);
        }
        answered.instrument(span).await.unwrap_or_else(|_| all(StoreError::Closed))
    }

    /// Has the committer end the segment that puts are appended to, and waits until its index is
    /// written.
    ///
    /// # Errors
    /// As a put.
    pub(crate) async fn seal(&self) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(Request::Seal(answer))?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Tells every put of a group what became of it, and gives its room in the queue back.
    /// `committed` says of every record whether it brought something that was not there.
    pub(crate) fn answer(
        &self,
        group: Vec<Queued>,
        committed: Result<Vec<bool>, StoreError>,
        durability: Durability,
    ) {
        let mut fresh = committed.as_deref().unwrap_or_default().iter();
        for queued in group {
            let answers = queued.records.iter().map(|record| match &committed {
                Ok(_) => Ok(Stored {
                    bytes: match record.head.content {
                        Content::Object { size, .. } => size.into(),
                        Content::Tombstone { .. } | Content::Void { .. } => 0,
                    },
                    durability,
                    already_present: !fresh.next().expect("every record was looked up"),
                }),
                Err(error) => Err(error.clone()),
            });
            // A caller that went away needs no answer.
            let _ = queued.answer.send(answers.collect());
            self.release(queued.bytes);
        }
    }
}
