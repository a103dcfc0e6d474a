//! Gzip decoder of request bodies.
//!
//! Inflates part by part, and stops a request that inflates to much more than was received.

use std::io::{self, BufRead, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use flate2::bufread::GzDecoder;
use futures_util::Stream;
use gitstratum_core::limits::{GZIP_BYTES_FREE, GZIP_RATIO_MAX};

use crate::service::PackBody;

/// What is inflated at once.
const PART_BYTES: usize = 32 << 10;

/// A body that is inflated.
pub(super) struct Inflated {
    body: PackBody,
    decoder: GzDecoder<Received>,
    received_bytes: u64,
    inflated_bytes: u64,
    has_ended: bool,
}

impl Inflated {
    /// Inflates this body.
    pub fn new(body: PackBody) -> Self {
        Inflated {
            body,
            decoder: GzDecoder::new(Received::default()),
            received_bytes: 0,
            inflated_bytes: 0,
            has_ended: false,
        }
    }

    /// The next bytes, if enough was received for some; none at the end.
    fn inflate(&mut self) -> io::Result<Option<Bytes>> {
        let mut part = vec![0; PART_BYTES];
        let length = self.decoder.read(&mut part)?;
        self.inflated_bytes += length as u64;
        if self.inflated_bytes > GZIP_BYTES_FREE + GZIP_RATIO_MAX * self.received_bytes {
            let reason = format!(
                "the request inflates to more than {GZIP_RATIO_MAX} times what was received"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        part.truncate(length);
        Ok((length > 0).then(|| part.into()))
    }
}

impl Stream for Inflated {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while !this.has_ended {
            match this.inflate() {
                Ok(Some(part)) => return Poll::Ready(Some(Ok(part))),
                Ok(None) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    this.has_ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
            match ready!(this.body.as_mut().poll_next(cx)) {
                Some(Ok(part)) => {
                    this.received_bytes += part.len() as u64;
                    this.decoder.get_mut().part = part;
                }
                Some(Err(error)) => {
                    this.has_ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => this.decoder.get_mut().is_all = true,
            }
        }
        this.has_ended = true;
        Poll::Ready(None)
    }
}

/// What was received and not inflated yet. Without any, the decoder is told to wait.
#[derive(Default)]
struct Received {
    part: Bytes,
    is_all: bool,
}

impl Read for Received {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Received {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.part.is_empty() && !self.is_all {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(&self.part)
    }

    fn consume(&mut self, length: usize) {
        self.part.advance(length);
    }
}
