//! Pack descriptor: what the catalog keeps of a pack so that it can be read.
//!
//! ```text
//! 1 format | 1 shape | 8 repository that the chunks are of, little-endian | 8 bytes of the meta,
//! little-endian | 32 id of the chunk to begin with
//! ```
//!
//! A small pack is one chunk, meta and body together. Else the meta is chunks of its own: one, or
//! several whose ids are in a list, which is a chunk too. The meta knows the chunks of the body.

use gitstratum_catalog::entity::Pack;
use gitstratum_catalog::ids::RepositoryId;
use gitstratum_core::format::NewerFormat;
use gitstratum_core::object::ObjectId;

use crate::service::RepositoryError;

const FORMAT: u8 = 1;
const BYTES: usize = 1 + 1 + 8 + 8 + 32;

/// How a pack lies in chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One chunk: the meta, then the body.
    Whole,
    /// The meta is one chunk, and the body others.
    Meta,
    /// The meta is several chunks, whose ids are in another.
    MetaList,
}

/// How to read a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) shape: Shape,
    /// Whose chunks they are: of a fork's packs, the repository that they were pushed to.
    pub(crate) repository: RepositoryId,
    /// Bytes of the meta.
    pub(crate) meta_bytes: u64,
    /// The chunk to begin with.
    pub(crate) root: ObjectId,
}

impl Descriptor {
    /// As the catalog keeps it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let shape = match self.shape {
            Shape::Whole => 1,
            Shape::Meta => 2,
            Shape::MetaList => 3,
        };
        let mut bytes = vec![FORMAT, shape];
        bytes.extend_from_slice(&self.repository.0.to_le_bytes());
        bytes.extend_from_slice(&self.meta_bytes.to_le_bytes());
        bytes.extend_from_slice(self.root.as_bytes());
        bytes
    }

    /// Reads that of a pack.
    ///
    /// # Errors
    /// [`RepositoryError::Damaged`] when it is of no format that this program knows.
    pub(crate) fn of(pack: &Pack) -> Result<Self, RepositoryError> {
        let bytes = &pack.source;
        let unknown = || {
            RepositoryError::Damaged(format!(
                "pack {} is described in a way that this program does not know: {}",
                pack.id,
                bytes.escape_ascii()
            ))
        };
        if let Some(&format) = bytes.first()
            && format > FORMAT
        {
            let what = format!("the description of pack {}", pack.id);
            let newer = NewerFormat::new(what, format, FORMAT.into());
            return Err(RepositoryError::Damaged(newer.to_string()));
        }
        if bytes.len() != BYTES || bytes[0] != FORMAT {
            return Err(unknown());
        }
        let shape = match bytes[1] {
            1 => Shape::Whole,
            2 => Shape::Meta,
            3 => Shape::MetaList,
            _ => return Err(unknown()),
        };
        let number = |at: usize| {
            u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes are eight"))
        };
        let (repository, meta_bytes) = (RepositoryId(number(2)), number(10));
        let root = ObjectId::from_bytes(&bytes[18..]).map_err(|_| unknown())?;
        Ok(Descriptor { shape, repository, meta_bytes, root })
    }
}

#[cfg(test)]
mod tests {
    use gitstratum_catalog::ids::PackId;

    use super::*;

    #[test]
    fn a_descriptor_is_read_as_it_was_written_and_no_other_bytes_are() {
        let root = ObjectId::from_bytes(&[7; 32]).unwrap();
        for shape in [Shape::Whole, Shape::Meta, Shape::MetaList] {
            let (repository, meta_bytes) = (RepositoryId(5), 1234);
            let descriptor = Descriptor { shape, repository, meta_bytes, root };
            let id = PackId([1; 32]);
            let mut pack =
                Pack { id, bytes: 10, objects: 2, chunks: 1, source: descriptor.encode() };
            assert_eq!(Descriptor::of(&pack).unwrap(), descriptor);
            pack.source[0] = 9;
            let said = Descriptor::of(&pack).unwrap_err().to_string();
            assert!(
                said.contains("has format 9, and this program reads formats up to 1"),
                "{said}"
            );
            pack.source.pop();
            Descriptor::of(&pack).unwrap_err();
        }
    }
}
