//! Packets of a request's body.

use bytes::Bytes;
use futures_util::StreamExt;
use gitstratum_core::limits::{REFUSED_BODY_BYTES_MAX, REFUSED_BODY_TIMEOUT};

use super::error::{ProtocolError, shown};
use crate::pkt_line::{Decoder, LENGTH_BYTES, Packet};
use crate::service::PackBody;

/// Reads a body packet by packet, up to a number of bytes.
pub(super) struct Input {
    body: PackBody,
    decoder: Decoder,
    taken_bytes: u64,
    bytes_max: u64,
}

impl Input {
    /// Reads packets of no more than `bytes_max` bytes in all.
    pub fn new(body: PackBody, bytes_max: u64) -> Self {
        Input { body, decoder: Decoder::new(), taken_bytes: 0, bytes_max }
    }

    /// The next packet; none where the body ends.
    ///
    /// # Errors
    /// [`ProtocolError`], where the body does not come, is cut off, or is no packets or too many.
    pub async fn next(&mut self) -> Result<Option<Packet>, ProtocolError> {
        loop {
            if let Some(packet) = self.decoder.next_packet()? {
                let carried = match &packet {
                    Packet::Data(data) => data.len(),
                    Packet::Flush | Packet::Delimiter | Packet::ResponseEnd => 0,
                };
                self.taken_bytes += (LENGTH_BYTES + carried) as u64;
                if self.taken_bytes > self.bytes_max {
                    return Err(ProtocolError::TooLarge { bytes_max: self.bytes_max });
                }
                return Ok(Some(packet));
            }
            match self.body.next().await {
                Some(Ok(bytes)) => self.decoder.feed(&bytes),
                Some(Err(error)) => return Err(ProtocolError::Body(error)),
                None => {
                    // Whoever drains the rest is not to ask a body that has ended.
                    self.body = Box::pin(futures_util::stream::empty());
                    self.decoder.finish()?;
                    return Ok(None);
                }
            }
        }
    }

    /// The next line of a list that ends with a flush packet; none at its end.
    ///
    /// # Errors
    /// As [`Input::next`]; and where the body, or its section, ends before the list does.
    pub async fn line(&mut self, list: &str) -> Result<Option<Bytes>, ProtocolError> {
        match self.next().await? {
            Some(Packet::Data(data)) => Ok(Some(data.slice(..Packet::line(&data).len()))),
            Some(Packet::Flush) => Ok(None),
            Some(Packet::Delimiter | Packet::ResponseEnd) | None => {
                Err(ProtocolError::Malformed(format!("expected flush after {list}")))
            }
        }
    }

    /// What follows the last packet that was taken. Nothing is left here.
    pub fn take_rest(&mut self) -> PackBody {
        let body = std::mem::replace(&mut self.body, Box::pin(futures_util::stream::empty()));
        let rest = std::mem::take(&mut self.decoder).into_rest();
        if rest.is_empty() {
            return body;
        }
        Box::pin(futures_util::stream::iter([Ok(rest)]).chain(body))
    }
}

/// Receives and drops what is left of the body of a request that was refused, if it is not too much
/// and does not take too long: the client would not read why otherwise.
pub(crate) async fn drain(mut body: PackBody) {
    let mut left_bytes = REFUSED_BODY_BYTES_MAX;
    let draining = async {
        while let Some(Ok(bytes)) = body.next().await {
            match left_bytes.checked_sub(bytes.len() as u64) {
                Some(left) => left_bytes = left,
                None => return,
            }
        }
    };
    // However it ends, the answer was given.
    let _ = tokio::time::timeout(REFUSED_BODY_TIMEOUT, draining).await;
}

/// What is said of a line that has no place where it stands.
pub(super) fn unexpected(line: &[u8]) -> ProtocolError {
    ProtocolError::Malformed(format!("unexpected line: '{}'", shown(line)))
}
