//! Pack of a remote as the body of a push: what arrives is handed on, and counted.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gitstratum_git::service::PackBody;

use super::super::progress::Counters;
use super::remote::{PackAnswer, RemoteError};

/// `PACK`, a version, and the number of objects.
const HEADER_BYTES: usize = 12;

/// Why a pack broke off: a push is told of that in words alone.
#[derive(Clone, Default)]
pub(super) struct Broken(Arc<Mutex<Option<RemoteError>>>);

impl Broken {
    pub(super) fn take(&self) -> Option<RemoteError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, error: RemoteError) -> io::Error {
        let words = io::Error::other(error.to_string());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        words
    }
}

/// A pack under way.
struct Arriving {
    answer: PackAnswer,
    counters: Arc<Counters>,
    broken: Broken,
    /// Its header, as far as it has come.
    header: Vec<u8>,
}

/// The body of the push.
pub(super) fn body(answer: PackAnswer, counters: Arc<Counters>, broken: Broken) -> PackBody {
    let begun = Arriving { answer, counters, broken, header: Vec::new() };
    Box::pin(futures_util::stream::unfold(Some(begun), |arriving| async move {
        let mut arriving = arriving?;
        match arriving.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(arriving))),
            Ok(None) => None,
            Err(error) => Some((Err(arriving.broken.set(error)), None)),
        }
    }))
}

impl Arriving {
    async fn next(&mut self) -> Result<Option<Bytes>, RemoteError> {
        let counters = &self.counters;
        let mut hear = |words: String| counters.remark(format!("remote: {words}"));
        let Some(bytes) = self.answer.next(&mut hear).await? else { return Ok(None) };
        self.counters.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if self.header.len() < HEADER_BYTES {
            let lacking = HEADER_BYTES - self.header.len();
            self.header.extend_from_slice(&bytes[..lacking.min(bytes.len())]);
            if let [.., a, b, c, d] = self.header[..]
                && self.header.len() == HEADER_BYTES
            {
                let objects = u32::from_be_bytes([a, b, c, d]);
                self.counters.objects.fetch_add(objects.into(), Ordering::Relaxed);
            }
        }
        Ok(Some(bytes))
    }
}
