//! The pack of a push: lent to the repository, and what it left of it.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;

use super::super::input;
use crate::service::PackBody;

/// Whether a body has ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Ended(Arc<AtomicBool>);

impl Ended {
    /// Whether it has.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Where a body lies while it is not lent.
type Slot = Arc<Mutex<Option<PackBody>>>;

/// Lends a body, once, and gets back what was not read.
pub(super) struct Lender {
    slot: Slot,
    ended: Ended,
    was_lent: bool,
}

impl Lender {
    /// Lends this one.
    pub fn of(body: PackBody) -> Self {
        let slot = Arc::new(Mutex::new(Some(body)));
        Lender { slot, ended: Ended::default(), was_lent: false }
    }

    /// The body. When it is dropped, what it still holds comes back.
    pub fn lend(&mut self) -> PackBody {
        self.was_lent = true;
        let body = take(&self.slot);
        Box::pin(Lent { body, slot: self.slot.clone(), ended: self.ended.clone() })
    }

    /// Whether the body has ended; of one that nobody reads, that it may be answered.
    pub fn watch(&self) -> Ended {
        if !self.was_lent {
            self.ended.set();
        }
        self.ended.clone()
    }

    /// Receives and drops what is left.
    pub async fn drain(self) {
        if let Some(body) = take(&self.slot) {
            input::drain(body).await;
        }
    }
}

fn take(slot: &Slot) -> Option<PackBody> {
    slot.lock().expect("nothing panics while it holds a body").take()
}

struct Lent {
    /// Until it has ended.
    body: Option<PackBody>,
    slot: Slot,
    ended: Ended,
}

impl Stream for Lent {
    type Item = Result<Bytes, io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let next = std::task::ready!(body.as_mut().poll_next(cx));
        if !matches!(next, Some(Ok(_))) {
            self.body = None;
            self.ended.set();
        }
        Poll::Ready(next)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.slot.lock().expect("nothing panics while it holds a body") = self.body.take();
    }
}
