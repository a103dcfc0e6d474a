//! Answers of a remote, packet by packet.

use bytes::Bytes;
use gitstratum_core::limits;
use gitstratum_git::pkt_line::{Band, Decoder, Packet};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Body;

use super::error::{RemoteError, one_line};

/// The packets of an answer's body.
pub(super) struct Answer {
    url: String,
    body: UnsyncBoxBody<Bytes, hyper::Error>,
    decoder: Decoder,
}

/// A part of what follows the last packet that stands by itself.
pub(super) enum Part {
    /// Of the pack.
    Pack(Bytes),
    /// Words for whoever waits.
    Progress(String),
}

impl Answer {
    pub(super) fn new<B>(url: String, body: B) -> Self
    where
        B: Body<Data = Bytes, Error = hyper::Error> + Send + 'static,
    {
        Answer { url, body: body.boxed_unsync(), decoder: Decoder::new() }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// An error of this remote.
    pub(super) fn protocol(&self, what: impl Into<String>) -> RemoteError {
        RemoteError::Protocol { url: self.url.clone(), what: what.into() }
    }

    /// The same, about words that were not expected.
    pub(super) fn unexpected(&self, found: &[u8]) -> RemoteError {
        self.protocol(format!("its answer has {:?} where it should not", one_line(found)))
    }

    /// The next packet; nothing where the answer ends.
    pub(super) async fn next(&mut self) -> Result<Option<Packet>, RemoteError> {
        loop {
            let packet = self.decoder.next_packet();
            let packet =
                packet.map_err(|source| RemoteError::Packet { url: self.url.clone(), source })?;
            if packet.is_some() {
                return Ok(packet);
            }
            let timeout = limits::MIRROR_STALL_TIMEOUT;
            match tokio::time::timeout(timeout, self.body.frame()).await {
                Err(_) => {
                    return Err(RemoteError::Stalled { url: self.url.clone(), after: timeout });
                }
                Ok(Some(Err(source))) => {
                    return Err(RemoteError::Broken { url: self.url.clone(), source });
                }
                Ok(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.decoder.feed(&bytes);
                    }
                }
                Ok(None) => {
                    return match self.decoder.finish() {
                        Ok(()) => Ok(None),
                        Err(_) => Err(self.truncated()),
                    };
                }
            }
        }
    }

    fn truncated(&self) -> RemoteError {
        RemoteError::Truncated { url: self.url.clone() }
    }

    /// The next packet, which must come, outside of side-bands.
    pub(super) async fn expect(&mut self) -> Result<Packet, RemoteError> {
        let packet = self.next().await?.ok_or_else(|| self.truncated())?;
        match &packet {
            Packet::Data(data) if data.starts_with(b"ERR ") => {
                let reason = one_line(&data[b"ERR ".len()..]);
                Err(RemoteError::Said { url: self.url.clone(), reason })
            }
            _ => Ok(packet),
        }
    }

    /// The next line; nothing at a mark, which is taken too.
    pub(super) async fn line(&mut self) -> Result<Option<Bytes>, RemoteError> {
        match self.expect().await? {
            Packet::Data(data) => {
                let len = Packet::line(&data).len();
                Ok(Some(data.slice(..len)))
            }
            Packet::Flush | Packet::Delimiter | Packet::ResponseEnd => Ok(None),
        }
    }

    /// The next part of the side-bands; nothing at their end.
    pub(super) async fn part(&mut self) -> Result<Option<Part>, RemoteError> {
        match self.expect().await? {
            Packet::Flush => Ok(None),
            Packet::Data(data) => self.unbanded(data).map(Some),
            mark => Err(self.protocol(format!("its pack has {mark:?} in it"))),
        }
    }

    /// What a packet of a side-band carries.
    pub(super) fn unbanded(&self, data: Bytes) -> Result<Part, RemoteError> {
        match data.first() {
            Some(&band) if band == Band::Data as u8 => Ok(Part::Pack(data.slice(1..))),
            Some(&band) if band == Band::Progress as u8 => {
                // Of several lines the last one is how far it is.
                let mut lines = data[1..].rsplit(|byte| matches!(byte, b'\r' | b'\n'));
                let last = lines.find(|line| !line.is_empty()).unwrap_or_default();
                Ok(Part::Progress(one_line(last)))
            }
            Some(&band) if band == Band::Error as u8 => {
                Err(RemoteError::Said { url: self.url.clone(), reason: one_line(&data[1..]) })
            }
            _ => Err(self.unexpected(&data)),
        }
    }
}
