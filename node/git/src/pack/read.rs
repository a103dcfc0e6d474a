//! Reading of objects from a stored body.
//!
//! An object is in one entry, or in a chain of them: a whole one, and deltas that build on each
//! other. The index of the pack says which ([`chain`]); the caller brings their bytes, and
//! [`Assembly`] makes the object of them. Nothing is hashed here: what a body holds was, when it was
//! indexed, and its chunks are checked when they are read.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind};

use super::PackError;
use super::delta;
use super::entry::{EntryHeader, EntryKind};
use super::inflate::{InflateError, Inflated, Inflater};
use super::meta::PackMeta;

/// Positions of the entries that an object is made of, the whole one first.
///
/// # Panics
/// If the pack has no such position.
pub fn chain(meta: &PackMeta, position: u32) -> Vec<u32> {
    let mut chain = vec![position];
    let mut at = position;
    while let Some(base) = meta.base(at) {
        chain.push(base);
        at = base;
    }
    chain.reverse();
    chain
}

/// Makes an object of the entries of its chain.
pub struct Assembly {
    algorithm: HashAlgorithm,
    bytes_max: u64,
    inflater: Inflater,
    object: Option<(Kind, Bytes)>,
}

impl Assembly {
    /// An assembly of objects that have at most so many bytes, as must what they build on.
    pub fn new(algorithm: HashAlgorithm, bytes_max: u64) -> Self {
        Assembly { algorithm, bytes_max, inflater: Inflater::new(), object: None }
    }

    /// One that goes on from an object that is at hand.
    pub fn from_base(algorithm: HashAlgorithm, bytes_max: u64, kind: Kind, data: Bytes) -> Self {
        let object = Some((kind, data));
        Assembly { object, ..Assembly::new(algorithm, bytes_max) }
    }

    /// Takes the bytes of the next entry of the chain, which begins at `offset` of its body.
    ///
    /// # Errors
    /// [`PackError`]: the entry is not what the index says, because either is damaged.
    pub fn add(&mut self, offset: u64, entry: &[u8]) -> Result<(), PackError> {
        let header = EntryHeader::parse(self.algorithm, offset, entry)?
            .ok_or(PackError::BodyChanged { offset })?;
        let (size, max) = (header.size, self.bytes_max);
        if size > max {
            return Err(PackError::ObjectTooLarge { offset, what: "object", size, max });
        }
        let mut data = Vec::new();
        self.inflater.begin();
        let inflated = self.inflater.hold(&entry[header.len..], &mut data, size);
        let Inflated { consumed, finished } = inflated.map_err(|error| match error {
            InflateError::Corrupt => PackError::Inflate { offset },
            InflateError::TooLong => {
                PackError::EntrySize { offset, claimed: size, actual: size.saturating_add(1) }
            }
        })?;
        if !finished || header.len + consumed != entry.len() {
            return Err(PackError::BodyChanged { offset });
        }
        if data.len() as u64 != size {
            let actual = data.len() as u64;
            return Err(PackError::EntrySize { offset, claimed: size, actual });
        }
        self.object = Some(match (header.kind, self.object.take()) {
            (EntryKind::Whole(kind), _) => (kind, data.into()),
            (_, None) => return Err(PackError::BodyChanged { offset }),
            (_, Some((kind, base))) => {
                let made = delta::apply(&base, &data, max);
                (kind, made.map_err(|source| PackError::Delta { offset, source })?.into())
            }
        });
        Ok(())
    }

    /// What was made; nothing before there was an entry.
    pub fn finish(self) -> Option<(Kind, Bytes)> {
        self.object
    }
}
