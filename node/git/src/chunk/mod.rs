//! Chunks of a pack, as they lie in the cluster.
//!
//! A pack's body and what is known of it (its meta) are cut into chunks, each an object of the
//! store: [`cut`] makes them as bytes arrive, [`read`] gives ranges of bytes back. Invariant: a
//! chunk begins with whose it is, so that whoever finds one can ask the catalog whether it is still
//! needed, and no two packs ever share one.
//!
//! ```text
//! head   4 magic "GSC\x01" | 1 part | 3 zeros | 4 number, little-endian | 8 repository, little-endian
//!        | 32 pack
//! data   the bytes
//! ```

mod cut;
mod read;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use gitstratum_catalog::ids::{PackId, RepositoryId};
use gitstratum_core::format::NewerFormat;
use gitstratum_core::limits;
use gitstratum_core::object::{Object, ObjectId};

use crate::service::RepositoryError;

pub use cut::Cutter;
pub use read::{ChunkReader, ChunkedBytes};

/// Begins every chunk, before the format.
const NAME: [u8; 3] = *b"GSC";
const FORMAT: u8 = 1;
const MAGIC: [u8; 4] = [NAME[0], NAME[1], NAME[2], FORMAT];
/// Bytes before a chunk's data.
pub const CHUNK_HEAD_BYTES: usize = 52;
/// Data of a chunk: with the head it is an object that travels whole.
pub const CHUNK_DATA_BYTES_MAX: usize = limits::OBJECT_BYTES_WHOLE_MAX - CHUNK_HEAD_BYTES;

/// What a chunk is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The body of a pack.
    Body,
    /// What is known of a pack.
    Meta,
    /// The ids of the chunks of what is known of a pack.
    MetaList,
    /// A whole pack: what is known of it, and its body.
    Whole,
}

impl Part {
    fn to_byte(self) -> u8 {
        match self {
            Part::Body => 1,
            Part::Meta => 2,
            Part::MetaList => 3,
            Part::Whole => 4,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [Part::Body, Part::Meta, Part::MetaList, Part::Whole]
            .into_iter()
            .find(|part| part.to_byte() == byte)
    }
}

/// What a chunk says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHead {
    /// Whose pack it is of.
    pub repository: RepositoryId,
    /// Which pack.
    pub pack: PackId,
    /// Of what it is a part.
    pub part: Part,
    /// Its number among the chunks of that.
    pub number: u32,
}

/// Where all chunks of a repository lie on the ring.
pub fn position_of(repository: RepositoryId) -> u64 {
    // Numbers that follow one another come far apart: the steps of SplitMix64 (Steele, Lea and
    // Flood, "Fast splittable pseudorandom number generators", 2014).
    let mut position = repository.0.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    position = (position ^ (position >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    position = (position ^ (position >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    position ^ (position >> 31)
}

/// What the ids of a pack's chunks have in common beside their place: of the part of the pack's id
/// that was drawn.
pub fn tag_of(pack: PackId) -> [u8; 4] {
    [pack.0[8], pack.0[9], pack.0[10], pack.0[11]]
}

impl ChunkHead {
    fn write(&self, out: &mut BytesMut) {
        out.put_slice(&MAGIC);
        out.put_u8(self.part.to_byte());
        out.put_bytes(0, 3);
        out.put_u32_le(self.number);
        out.put_u64_le(self.repository.0);
        out.put_slice(&self.pack.0);
    }

    /// Reads the head of a chunk's bytes; nothing where they are none of a chunk that this
    /// program knows.
    pub fn parse(mut bytes: &[u8]) -> Option<Self> {
        if bytes.len() < CHUNK_HEAD_BYTES || bytes[..4] != MAGIC {
            return None;
        }
        bytes.advance(4);
        let part = Part::from_byte(bytes.get_u8())?;
        bytes.advance(3);
        let number = bytes.get_u32_le();
        let repository = RepositoryId(bytes.get_u64_le());
        let pack = PackId(bytes[..32].try_into().ok()?);
        Some(ChunkHead { repository, pack, part, number })
    }

    /// The chunk with this head and data.
    pub fn chunk(&self, data: &[u8]) -> Object {
        let mut bytes = BytesMut::with_capacity(CHUNK_HEAD_BYTES + data.len());
        self.write(&mut bytes);
        bytes.put_slice(data);
        self.object(bytes.freeze())
    }

    /// A chunk of these bytes, which begin with this head.
    fn object(&self, bytes: Bytes) -> Object {
        Object::chunk(position_of(self.repository), tag_of(self.pack), bytes)
    }

    /// The data of a chunk that is expected to have this head.
    ///
    /// # Errors
    /// [`RepositoryError::Damaged`] where it is another one's.
    pub fn data_of(&self, id: &ObjectId, mut bytes: Bytes) -> Result<Bytes, RepositoryError> {
        if let Some(&format) = bytes.strip_prefix(&NAME).and_then(<[u8]>::first)
            && format > FORMAT
        {
            let newer = NewerFormat::new(format!("chunk {id}"), format, FORMAT.into());
            return Err(RepositoryError::Damaged(newer.to_string()));
        }
        match ChunkHead::parse(&bytes) {
            Some(head) if head == *self => {
                bytes.advance(CHUNK_HEAD_BYTES);
                Ok(bytes)
            }
            other => Err(RepositoryError::Damaged(format!(
                "chunk {id} is not what the pack expects: {self:?}, and it says {other:?}"
            ))),
        }
    }
}

/// Where chunks lie.
#[async_trait]
pub trait ChunkStore: Send + Sync {
    /// Stores a chunk on as many replicas as it takes to be acknowledged.
    ///
    /// # Errors
    /// [`RepositoryError::Unavailable`] with the reasons.
    async fn put(&self, chunk: Object) -> Result<(), RepositoryError>;

    /// Returns a chunk's bytes, verified.
    ///
    /// # Errors
    /// [`RepositoryError::Unavailable`], or [`RepositoryError::Damaged`] where it is certain that
    /// no replica has it.
    async fn get(&self, id: ObjectId) -> Result<Bytes, RepositoryError>;
}
