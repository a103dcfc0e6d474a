//! pkt-line decoder.

use bytes::{Buf, Bytes, BytesMut};

use super::{LENGTH_BYTES, PACKET_BYTES_MAX, Packet};

/// Bytes that are no packets. The words are git's, where it has some.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Its length is not four hexadecimal digits.
    #[error("protocol error: bad line length character: {0:?}")]
    LengthDigits(String),
    /// Its length is 3, which stands for nothing, or more than a packet may have.
    #[error("protocol error: bad line length {0}")]
    Length(usize),
    /// The bytes end within it.
    #[error("protocol error: the request ends within a packet, {missing} bytes before its end")]
    Truncated {
        /// How many bytes are missing, at least.
        missing: usize,
    },
}

/// Finds packets in a stream of bytes.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
}

impl Decoder {
    /// One that was fed nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next packet, once all of it was fed. After an error there is no next one.
    ///
    /// # Errors
    /// [`PacketError::LengthDigits`] and [`PacketError::Length`].
    pub fn next_packet(&mut self) -> Result<Option<Packet>, PacketError> {
        let Some(digits) = self.buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = length(digits)?;
        let mark = match length {
            0 => Packet::Flush,
            1 => Packet::Delimiter,
            2 => Packet::ResponseEnd,
            _ if self.buffer.len() < length => return Ok(None),
            _ => {
                let mut packet = self.buffer.split_to(length);
                packet.advance(LENGTH_BYTES);
                return Ok(Some(Packet::Data(packet.freeze())));
            }
        };
        self.buffer.advance(LENGTH_BYTES);
        Ok(Some(mark))
    }

    /// Makes sure that no packet is cut off, where no more bytes come.
    ///
    /// # Errors
    /// [`PacketError`].
    pub fn finish(&self) -> Result<(), PacketError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let whole = match self.buffer.first_chunk() {
            Some(digits) => length(digits)?.max(LENGTH_BYTES),
            None => LENGTH_BYTES,
        };
        match whole.checked_sub(self.buffer.len()) {
            Some(missing) if missing > 0 => Err(PacketError::Truncated { missing }),
            _ => Ok(()),
        }
    }

    /// What was fed and is in no packet that was taken: a pack follows the last one.
    pub fn into_rest(self) -> Bytes {
        self.buffer.freeze()
    }
}

/// The length that four digits say; of the marks, 0 to 2.
fn length(digits: &[u8; LENGTH_BYTES]) -> Result<usize, PacketError> {
    let mut length = 0;
    for &digit in digits {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            b'A'..=b'F' => digit - b'A' + 10,
            _ => {
                let shown = String::from_utf8_lossy(digits).into_owned();
                return Err(PacketError::LengthDigits(shown));
            }
        };
        length = length << 4 | usize::from(value);
    }
    match length {
        0..=2 | LENGTH_BYTES..=PACKET_BYTES_MAX => Ok(length),
        _ => Err(PacketError::Length(length)),
    }
}
