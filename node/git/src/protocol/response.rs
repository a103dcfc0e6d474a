//! The response so far, and how an error is said in it.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use super::error::ProtocolError;
use super::output::Output;
use crate::pkt_line::{Band, Packets, SideBand};
use crate::service::{PackRequest, PackSink, Repository, RepositoryError};

/// What tells the client, by an empty packet of the first band, that a pack or report is still
/// worked on.
pub(super) const KEEPALIVE: &[u8] = b"0005\x01";

/// How what follows is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// In packets.
    Packets,
    /// In packets of a side-band.
    SideBand(SideBand),
    /// Not at all: what comes is a pack.
    Raw,
}

/// A response that is being written.
pub(super) struct Response<'a> {
    output: &'a Output,
    request_id: &'a str,
    framing: Framing,
}

impl<'a> Response<'a> {
    /// One of which nothing was sent.
    pub fn new(output: &'a Output, request_id: &'a str) -> Self {
        Response { output, request_id, framing: Framing::Packets }
    }

    /// What the logs call the request that it is to.
    pub fn request_id(&self) -> &'a str {
        self.request_id
    }

    /// Where its parts go.
    pub fn output(&self) -> &'a Output {
        self.output
    }

    /// Sends packets.
    ///
    /// # Errors
    /// [`RepositoryError::Gone`].
    pub async fn send(&mut self, packets: &mut Packets) -> Result<(), ProtocolError> {
        Ok(self.output.send(packets.take()).await?)
    }

    /// From now on a side-band is used.
    pub fn begin_side_band(&mut self, side_band: SideBand) {
        self.framing = Framing::SideBand(side_band);
    }

    /// The side-band has ended, and packets follow.
    pub fn end_side_band(&mut self) {
        self.framing = Framing::Packets;
    }

    /// Tells the client why there is no more; whether that was possible.
    pub async fn refuse(&mut self, error: &ProtocolError) -> bool {
        match error {
            ProtocolError::Told(_) => return true,
            // Nobody takes it, or too slowly to be waited for once more.
            ProtocolError::Repository(RepositoryError::Gone) => return false,
            _ => {}
        }
        let mut packets = Packets::new();
        let reason = format!("{} (request {})", error.reason(), self.request_id);
        match self.framing {
            Framing::Packets => packets.error(&reason),
            Framing::SideBand(side_band) => {
                let reason = format!("{reason}\n");
                packets.band(side_band, Band::Error, reason.as_bytes())
            }
            Framing::Raw => return false,
        };
        self.send(&mut packets).await.is_ok()
    }

    /// Sends a pack: in a side-band where there is one, with progress where it is wanted.
    ///
    /// # Errors
    /// Those of the repository, to be told by [`Response::refuse`].
    pub async fn send_pack(
        &mut self,
        repository: &dyn Repository,
        request: PackRequest,
        side_band: Option<SideBand>,
        progress: bool,
    ) -> Result<(), ProtocolError> {
        self.framing = side_band.map_or(Framing::Raw, Framing::SideBand);
        let mut sink = Sink::new(self.output, side_band, progress);
        let work = repository.pack(request, &mut sink);
        self.output.keep_alive(KEEPALIVE, || side_band.is_some(), work).await?;
        sink.finish().await?;
        if side_band.is_some() {
            self.send(Packets::new().flush()).await?;
            self.end_side_band();
        }
        Ok(())
    }
}

/// Cuts a pack into packets.
struct Sink<'a> {
    output: &'a Output,
    side_band: Option<SideBand>,
    progress: bool,
    /// Bytes of the pack that do not fill a part yet.
    waiting: BytesMut,
    /// What a part carries of the pack: packets that are full.
    part_bytes: usize,
}

impl<'a> Sink<'a> {
    fn new(output: &'a Output, side_band: Option<SideBand>, progress: bool) -> Self {
        let largest = SideBand::Large.payload_bytes_max();
        let one = side_band.unwrap_or(SideBand::Large).payload_bytes_max();
        let part_bytes = largest / one * one;
        Sink { output, side_band, progress, waiting: BytesMut::new(), part_bytes }
    }

    async fn send(&self, pack: Bytes) -> Result<(), RepositoryError> {
        let Some(side_band) = self.side_band else { return self.output.send(pack).await };
        let mut packets = Packets::new();
        packets.band(side_band, Band::Data, &pack);
        self.output.send(packets.take()).await
    }

    async fn finish(&mut self) -> Result<(), RepositoryError> {
        let rest = self.waiting.split().freeze();
        self.send(rest).await
    }
}

#[async_trait]
impl PackSink for Sink<'_> {
    async fn pack(&mut self, mut bytes: Bytes) -> Result<(), RepositoryError> {
        if !self.waiting.is_empty() {
            let missing = self.part_bytes - self.waiting.len();
            self.waiting.extend_from_slice(&bytes.split_to(missing.min(bytes.len())));
            if self.waiting.len() < self.part_bytes {
                return Ok(());
            }
            let full = self.waiting.split().freeze();
            self.send(full).await?;
        }
        while bytes.len() >= self.part_bytes {
            self.send(bytes.split_to(self.part_bytes)).await?;
        }
        self.waiting.extend_from_slice(&bytes);
        Ok(())
    }

    async fn progress(&mut self, text: &str) -> Result<(), RepositoryError> {
        let Some(side_band) = self.side_band.filter(|_| self.progress) else { return Ok(()) };
        let mut packets = Packets::new();
        packets.band(side_band, Band::Progress, text.as_bytes());
        self.output.send(packets.take()).await
    }
}
