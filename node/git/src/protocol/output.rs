//! Response parts on their way to the client, and keepalives between them.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use gitstratum_core::limits::{
    GIT_KEEPALIVE_INTERVAL, GIT_STALL_TIMEOUT, RESPONSE_PARTS_WAITING_MAX,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::service::RepositoryError;

/// Takes the parts of an answer, whole packets each, while the client is slow no more than a few.
#[derive(Clone, Debug)]
pub struct Output {
    parts: mpsc::Sender<Bytes>,
    /// When the last part was taken.
    last: Arc<Mutex<Instant>>,
}

impl Output {
    /// An output, and where its parts come out.
    pub fn channel() -> (Self, mpsc::Receiver<Bytes>) {
        let (parts, receiver) = mpsc::channel(RESPONSE_PARTS_WAITING_MAX);
        (Output { parts, last: Arc::new(Mutex::new(Instant::now())) }, receiver)
    }

    /// Sends a part, when there is room for it.
    ///
    /// # Errors
    /// [`RepositoryError::Gone`] where nobody takes it any more, or nothing was taken for
    /// [`GIT_STALL_TIMEOUT`].
    pub async fn send(&self, part: Bytes) -> Result<(), RepositoryError> {
        if part.is_empty() {
            return Ok(());
        }
        match tokio::time::timeout(GIT_STALL_TIMEOUT, self.parts.send(part)).await {
            Ok(Ok(())) => {
                self.note();
                Ok(())
            }
            Ok(Err(_)) | Err(_) => Err(RepositoryError::Gone),
        }
    }

    /// Does `work`, and meanwhile sends `packet` whenever nothing was sent for
    /// [`GIT_KEEPALIVE_INTERVAL`] and `may` says so. Where the client is slow, nothing need be sent.
    pub(super) async fn keep_alive<T>(
        &self,
        packet: &'static [u8],
        may: impl Fn() -> bool,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = std::pin::pin!(work);
        let mut from = self.last();
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::time::sleep_until(from + GIT_KEEPALIVE_INTERVAL) => {}
            }
            let now = Instant::now();
            from = self.last();
            if from + GIT_KEEPALIVE_INTERVAL <= now {
                if may() && self.parts.try_send(Bytes::from_static(packet)).is_ok() {
                    self.note();
                }
                from = now;
            }
        }
    }

    fn last(&self) -> Instant {
        *self.last.lock().expect("nothing panics while it holds a time")
    }

    fn note(&self) {
        *self.last.lock().expect("nothing panics while it holds a time") = Instant::now();
    }
}
