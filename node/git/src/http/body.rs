//! Request bodies: as a stream that fails when the client stalls.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use gitstratum_core::limits::{GIT_STALL_BYTES_MIN, GIT_STALL_TIMEOUT};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::Instant;

use super::gzip::Inflated;
use super::requests::Requests;
use crate::protocol;
use crate::service::PackBody;

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// It is not.
    Identity,
    /// `gzip`.
    Gzip,
}

impl Encoding {
    /// That of a `Content-Encoding` header; nothing for one that is not known.
    pub fn of(header: Option<&str>) -> Option<Self> {
        match header.unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Encoding::Identity),
            "gzip" | "x-gzip" => Some(Encoding::Gzip),
            _ => None,
        }
    }
}

/// The bytes of a body, decoded.
pub(super) fn stream(body: Incoming, encoding: Encoding, requests: Arc<Requests>) -> PackBody {
    let received = received(body, requests);
    match encoding {
        Encoding::Identity => received,
        Encoding::Gzip => Box::pin(Inflated::new(received)),
    }
}

fn received(body: Incoming, requests: Arc<Requests>) -> PackBody {
    let begun = (Some(body), Progress::default());
    Box::pin(futures_util::stream::unfold(begun, move |(body, mut progress)| {
        let requests = requests.clone();
        async move {
            let mut body = body?;
            let next = loop {
                let asked = Instant::now();
                let next = match tokio::time::timeout(GIT_STALL_TIMEOUT, body.frame()).await {
                    Ok(Some(Ok(frame))) => match frame.into_data() {
                        Ok(data) => progress.note(asked.elapsed(), data.len()).map(|()| data),
                        // Trailers, which say nothing here.
                        Err(_) => continue,
                    },
                    Ok(Some(Err(error))) => Err(io::Error::other(error)),
                    Ok(None) => return None,
                    Err(_) => Err(stalled()),
                };
                break next;
            };
            match next {
                Ok(data) => {
                    requests.received(data.len());
                    Some((Ok(data), (Some(body), progress)))
                }
                Err(error) => Some((Err(error), (None, progress))),
            }
        }
    }))
}

fn stalled() -> io::Error {
    let seconds = GIT_STALL_TIMEOUT.as_secs();
    let reason = format!("hardly anything came for {seconds} seconds");
    io::Error::new(io::ErrorKind::TimedOut, reason)
}

/// How fast a body comes while it is waited for. The time in which nobody reads does not count.
#[derive(Debug, Default)]
struct Progress {
    waited: Duration,
    bytes: u64,
}

impl Progress {
    fn note(&mut self, waited: Duration, bytes: usize) -> io::Result<()> {
        self.waited += waited;
        self.bytes += bytes as u64;
        if self.waited < GIT_STALL_TIMEOUT {
            return Ok(());
        }
        let is_enough = self.bytes >= GIT_STALL_BYTES_MIN;
        *self = Progress::default();
        if is_enough { Ok(()) } else { Err(stalled()) }
    }
}

/// Receives and drops the body of a request that is refused, so that the client reads why.
pub(super) fn drain(body: Incoming, requests: Arc<Requests>) {
    if !body.is_end_stream() {
        tokio::spawn(protocol::drain(received(body, requests)));
    }
}
