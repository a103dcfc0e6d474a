//! Pack scanner: header, body and trailer of a pack that arrives in parts.
//!
//! The body is handed out as it comes, for the caller to store. Where it ends only the end of the
//! stream says: as many bytes as a checksum has are held back until then. So a stream that ends
//! early, or goes on after its checksum, has a wrong checksum at its end; and whoever reads the
//! entries too knows which of the two it is.

#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};
use gitstratum_core::limits::{PACK_BODY_BYTES_MAX, PACK_OBJECTS_MAX};
use gitstratum_core::object::{HashAlgorithm, ObjectId};

use super::PackError;
use super::checksum::Checksum;

/// Bytes before the first entry.
pub const HEADER_BYTES: usize = 12;
const SIGNATURE: [u8; 4] = *b"PACK";

/// The header of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackHeader {
    /// 2 or 3, which are read alike.
    pub version: u32,
    /// How many entries there are.
    pub objects: u32,
}

impl PackHeader {
    /// Reads a header.
    ///
    /// # Errors
    /// [`PackError::Signature`], [`PackError::Version`], or [`PackError::TooManyObjects`].
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, PackError> {
        let word = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        if word(0) != SIGNATURE {
            return Err(PackError::Signature { found: word(0) });
        }
        let version = u32::from_be_bytes(word(4));
        if version != 2 && version != 3 {
            return Err(PackError::Version(version));
        }
        let objects = u32::from_be_bytes(word(8));
        if objects > PACK_OBJECTS_MAX {
            return Err(PackError::TooManyObjects { declared: objects, max: PACK_OBJECTS_MAX });
        }
        Ok(PackHeader { version, objects })
    }

    /// The header of a pack of version 2.
    pub fn bytes(objects: u32) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&SIGNATURE);
        bytes[4..8].copy_from_slice(&2u32.to_be_bytes());
        bytes[8..].copy_from_slice(&objects.to_be_bytes());
        bytes
    }
}

/// What is known of a pack whose stream has ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// Its header.
    pub header: PackHeader,
    /// Bytes of its body.
    pub body_bytes: u64,
    /// Its checksum, which was right.
    pub checksum: ObjectId,
}

/// Takes a pack's stream apart.
pub struct Splitter {
    algorithm: HashAlgorithm,
    header: Option<PackHeader>,
    /// The beginning of the header, then the end of what has come: it may be the checksum.
    held: BytesMut,
    checksum: Checksum,
    body_bytes: u64,
}

impl Splitter {
    /// One for a pack of a repository of this hash.
    pub fn new(algorithm: HashAlgorithm) -> Self {
        Splitter {
            algorithm,
            header: None,
            held: BytesMut::new(),
            checksum: Checksum::new(algorithm),
            body_bytes: 0,
        }
    }

    /// The header, once it has come.
    pub fn header(&self) -> Option<PackHeader> {
        self.header
    }

    /// Bytes of the body that were handed out.
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Takes the next part of the stream, and hands out the next bytes of the body: no, one or two
    /// pieces, none of them empty.
    ///
    /// # Errors
    /// As [`PackHeader::parse`], and [`PackError::TooLarge`].
    pub fn feed(&mut self, mut part: Bytes) -> Result<Vec<Bytes>, PackError> {
        if self.header.is_none() {
            let lacking = HEADER_BYTES - self.held.len();
            let taken = part.split_to(lacking.min(part.len()));
            self.held.extend_from_slice(&taken);
            let Ok(header) = <&[u8; HEADER_BYTES]>::try_from(&self.held[..]) else {
                return Ok(Vec::new());
            };
            self.header = Some(PackHeader::parse(header)?);
            self.checksum.update(header);
            self.held.clear();
        }
        let total = self.held.len() + part.len();
        let mut released = total.saturating_sub(self.algorithm.id_len());
        let mut pieces = Vec::new();
        let earlier = self.held.split_to(released.min(self.held.len())).freeze();
        released -= earlier.len();
        let now = part.split_to(released);
        self.held.extend_from_slice(&part);
        for piece in [earlier, now] {
            if !piece.is_empty() {
                self.checksum.update(&piece);
                self.body_bytes += piece.len() as u64;
                pieces.push(piece);
            }
        }
        if self.body_bytes > PACK_BODY_BYTES_MAX {
            return Err(PackError::TooLarge { max: PACK_BODY_BYTES_MAX });
        }
        Ok(pieces)
    }

    /// Checks the checksum that the stream has ended with.
    ///
    /// # Errors
    /// [`PackError::Ended`] or [`PackError::Checksum`].
    pub fn finish(self) -> Result<Scanned, PackError> {
        let Some(header) = self.header else {
            return Err(PackError::Ended("its header is not whole".to_owned()));
        };
        if self.held.len() < self.algorithm.id_len() {
            return Err(PackError::Ended("there is no checksum".to_owned()));
        }
        let claimed = ObjectId::from_bytes(&self.held).expect("as many bytes as an id has");
        let actual = self.checksum.finish();
        if actual != claimed {
            return Err(PackError::Checksum { claimed, actual });
        }
        Ok(Scanned { header, body_bytes: self.body_bytes, checksum: actual })
    }
}
