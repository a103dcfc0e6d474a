//! pkt-line and side-band encoder.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::{LENGTH_BYTES, PACKET_BYTES_MAX, PACKET_DATA_BYTES_MAX};

/// Packets that are being written, one after another.
#[derive(Debug, Default)]
pub struct Packets {
    bytes: BytesMut,
}

impl Packets {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a packet that carries this.
    ///
    /// # Panics
    /// When it is more than a packet carries: whoever writes knows how long its words are.
    pub fn data(&mut self, data: &[u8]) -> &mut Self {
        assert!(data.len() <= PACKET_DATA_BYTES_MAX, "{} bytes for one packet", data.len());
        put_length(&mut self.bytes, data.len());
        self.bytes.put_slice(data);
        self
    }

    /// Adds a packet that carries this line, with its line feed. What a packet cannot hold is cut
    /// off.
    pub fn line(&mut self, line: fmt::Arguments<'_>) -> &mut Self {
        let mut line = line.to_string();
        line.truncate(line.floor_char_boundary(PACKET_DATA_BYTES_MAX - 1));
        line.push('\n');
        self.data(line.as_bytes())
    }

    /// Adds a packet that says why there is no answer, or no more of it. Nothing may follow it.
    pub fn error(&mut self, reason: &str) -> &mut Self {
        self.line(format_args!("ERR {reason}"))
    }

    /// Adds a flush packet.
    pub fn flush(&mut self) -> &mut Self {
        self.bytes.put_slice(b"0000");
        self
    }

    /// Adds a delimiter packet.
    pub fn delimiter(&mut self) -> &mut Self {
        self.bytes.put_slice(b"0001");
        self
    }

    /// Adds this as one stream of several, in as many packets as it takes.
    pub fn band(&mut self, side_band: SideBand, band: Band, data: &[u8]) -> &mut Self {
        for part in data.chunks(side_band.payload_bytes_max()) {
            put_length(&mut self.bytes, 1 + part.len());
            self.bytes.put_u8(band as u8);
            self.bytes.put_slice(part);
        }
        self
    }

    /// Adds packets that were written elsewhere.
    pub fn raw(&mut self, packets: &[u8]) -> &mut Self {
        self.bytes.put_slice(packets);
        self
    }

    /// How many bytes they are.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Their bytes; none are left.
    pub fn take(&mut self) -> Bytes {
        self.bytes.split().freeze()
    }
}

fn put_length(bytes: &mut BytesMut, data: usize) {
    bytes.put_slice(format!("{:04x}", LENGTH_BYTES + data).as_bytes());
}

/// How several streams are carried in one: in packets whose first byte tells of which they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SideBand {
    /// `side-band`: packets of a thousand bytes.
    Small,
    /// `side-band-64k`: packets of any length.
    Large,
}

impl SideBand {
    /// What one packet carries.
    pub const fn payload_bytes_max(self) -> usize {
        match self {
            SideBand::Small => 1000 - LENGTH_BYTES - 1,
            SideBand::Large => PACKET_BYTES_MAX - LENGTH_BYTES - 1,
        }
    }
}

/// A stream of a side-band.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Band {
    /// What was asked for: a pack, or a report.
    Data = 1,
    /// What a person is to see.
    Progress = 2,
    /// Why it ends here. Nothing may follow it.
    Error = 3,
}
