//! Request body.
//!
//! A request as it comes: what it may bring, and that it comes on.
//!
//! Bytes count from when they are received until the message that they belong to is taken. More
//! than the caller's share of them, too many elements in one message, and a rest that does not come
//! each end the request with an error that says so.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use gitstratum_core::limits;
use http_body::Frame;
use hyper::body::Incoming;
use tonic::Status;

use super::fields::{APPLY_LAYOUT, FLAT, Fields, Shape};
use super::lifetime::Exchange;
use super::numbers::Bound;
use super::shares::Held;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What comes before a message: a flag, and its length in four bytes.
const PREFIX_BYTES: usize = 5;

/// The body of a request.
pub(super) struct Received {
    body: Incoming,
    exchange: Arc<Exchange>,
    /// Of what was received and not taken.
    bytes: Held,
    messages: Messages,
    /// Told what is refused.
    reached: Box<dyn Fn(Bound) + Send>,
}

impl Received {
    pub(super) fn new(
        body: Incoming,
        path: &str,
        exchange: Arc<Exchange>,
        bytes: Held,
        reached: impl Fn(Bound) + Send + 'static,
    ) -> Self {
        let messages = Messages::of(path);
        Received { body, exchange, bytes, messages, reached: Box::new(reached) }
    }

    fn take_in(&mut self, data: &Bytes) -> Result<(), Status> {
        self.bytes.grow(data.len()).map_err(|exhausted| {
            (self.reached)(Bound::ReceivedBytes);
            let words = exhausted.of("bytes of requests");
            Status::resource_exhausted(format!("{words} are being received"))
        })?;
        self.messages.read(data).inspect_err(|_| (self.reached)(Bound::Elements))
    }
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.exchange.is_late() {
            let words = "the rest of the request did not come, or too slowly";
            return Poll::Ready(Some(Err(Status::deadline_exceeded(words).into())));
        }
        // Whoever asks for more has taken the messages that were complete.
        let rest = self.messages.incomplete();
        self.bytes.shrink_to(rest);
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            self.exchange.waits();
            return Poll::Pending;
        };
        let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).cloned();
        let data = data.unwrap_or_default();
        self.exchange.received(data.len());
        if let Err(refused) = self.take_in(&data) {
            return Poll::Ready(Some(Err(refused.into())));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// Where messages begin and end in a stream of bytes, and how many elements each has.
struct Messages {
    shape: &'static Shape,
    prefix: [u8; PREFIX_BYTES],
    prefix_len: usize,
    /// Of the message that is being received; none between two.
    left: usize,
    received: usize,
    fields: Fields,
}

impl Messages {
    /// Of a call by its path.
    fn of(path: &str) -> Self {
        let shape = if path.ends_with("/ApplyLayout") { &APPLY_LAYOUT } else { &FLAT };
        Messages {
            shape,
            prefix: [0; PREFIX_BYTES],
            prefix_len: 0,
            left: 0,
            received: 0,
            fields: Fields::of(shape),
        }
    }

    /// Bytes of the message that is not complete.
    fn incomplete(&self) -> usize {
        self.received
    }

    /// # Errors
    /// One of the messages has too many elements, or something that is none.
    fn read(&mut self, mut data: &[u8]) -> Result<(), Status> {
        while !data.is_empty() {
            if self.left == 0 {
                let part = data.len().min(PREFIX_BYTES - self.prefix_len);
                self.prefix[self.prefix_len..][..part].copy_from_slice(&data[..part]);
                data.advance(part);
                self.prefix_len += part;
                self.received += part;
                if self.prefix_len < PREFIX_BYTES {
                    break;
                }
                let [_, a, b, c, d] = self.prefix;
                self.left = u32::from_be_bytes([a, b, c, d]) as usize;
                self.prefix_len = 0;
                self.fields = Fields::of(self.shape);
            } else {
                let part = data.len().min(self.left);
                let fields = self.fields.read(&data[..part]);
                data.advance(part);
                self.left -= part;
                self.received += part;
                let limit = limits::MESSAGE_ELEMENTS_MAX;
                if fields.is_none_or(|fields| fields > limit) {
                    return Err(Status::invalid_argument(format!(
                        "a message has over {limit} elements, or something that is none"
                    )));
                }
            }
            if self.left == 0 {
                self.received = 0;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap();
        [&[0][..], &length.to_be_bytes(), message].concat()
    }

    #[test]
    fn messages_end_where_they_say_however_their_bytes_come() {
        let stream = [framed(&[0x0a, 3, 1, 2, 3]), framed(&[]), framed(&[0x10, 1])].concat();
        for size in 1..=stream.len() {
            let mut messages = Messages::of("/Put");
            stream.chunks(size).for_each(|part| messages.read(part).unwrap());
            assert_eq!((messages.incomplete(), messages.left), (0, 0), "in parts of {size}");
        }
        let mut messages = Messages::of("/Put");
        messages.read(&stream[..8]).unwrap();
        assert_eq!(messages.incomplete(), 8);
    }

    #[test]
    fn too_many_elements_are_refused_before_the_message_is_complete() {
        let (limit, mut messages) = (limits::MESSAGE_ELEMENTS_MAX, Messages::of("/PutBatch"));
        messages.read(&framed(&[0x0a, 0].repeat(limit))).unwrap();
        let refused = messages.read(&framed(&[0x0a, 0].repeat(2 * limit))[..3 * limit]);
        assert_eq!(refused.unwrap_err().code(), tonic::Code::InvalidArgument);
        assert!(messages.left > 0);
    }
}
