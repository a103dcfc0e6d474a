//! Progress counters.
//!
//! How far a long transfer is, told to whoever shows it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const INTERVAL: Duration = Duration::from_millis(200);

/// Hears of the progress of a transfer; called from one task.
pub trait Progress: Send + Sync {
    /// Work on this many objects begins.
    fn begin(&self, doing: &str, objects: u64);
    /// Work begins of which only the bytes are counted.
    fn begin_bytes(&self, doing: &str) {
        self.begin(doing, 0);
    }
    /// So many more are done, with so many bytes of data.
    fn advance(&self, objects: u64, bytes: u64);
    /// What is being done at this moment, in words that the next ones replace.
    fn remark(&self, _words: &str) {}
    /// All are done.
    fn end(&self);
}

/// What a transfer counts while it goes on, in whichever task.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) objects: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// What was said last, if it was not shown yet.
    remark: Mutex<Option<String>>,
}

impl Counters {
    /// Says what is being done.
    pub(super) fn remark(&self, words: String) {
        *self.remark.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
    }

    fn take_remark(&self) -> Option<String> {
        self.remark.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Tells of progress while `work` goes on.
pub(crate) async fn showing<T>(
    work: impl Future<Output = T>,
    counters: &Counters,
    progress: &dyn Progress,
) -> T {
    let mut work = std::pin::pin!(work);
    let (mut objects, mut bytes) = (0, 0);
    let mut tell = || {
        if let Some(words) = counters.take_remark() {
            progress.remark(&words);
        }
        let (objects_now, bytes_now) =
            (counters.objects.load(Ordering::Relaxed), counters.bytes.load(Ordering::Relaxed));
        progress.advance(objects_now - objects, bytes_now - bytes);
        (objects, bytes) = (objects_now, bytes_now);
    };
    loop {
        tokio::select! {
            biased;
            done = &mut work => {
                tell();
                return done;
            }
            () = tokio::time::sleep(INTERVAL) => tell(),
        }
    }
}
