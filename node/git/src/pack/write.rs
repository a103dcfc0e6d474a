//! Pack writer: puts a pack together from stored entries and whole objects.
//!
//! It hands out the bytes of the pack as they are made, and knows where each object is that it has
//! written. A delta that is copied gets a new header: where its base is by distance, if that was
//! written before and the client reads such deltas, and else by id.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use gitstratum_core::limits::MISSING_BASES_NAMED_MAX;
use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};

use super::PackError;
use super::checksum::Checksum;
use super::deflate::Deflater;
use super::entry::{EntryHeader, EntryKind};
use super::scan::PackHeader;

/// What deltas a client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaForms {
    /// Those that name their base by its distance (`ofs-delta`).
    pub by_distance: bool,
    /// Those whose base is not in the pack (`thin-pack`).
    pub thin: bool,
}

/// An entry of a stored body that is to be copied, or as much of it as is at hand.
#[derive(Clone, Debug)]
pub struct StoredEntry {
    /// The object.
    pub id: ObjectId,
    /// Where the entry begins in its body.
    pub offset: u64,
    /// Its bytes, its whole header at least.
    pub bytes: Bytes,
    /// The object that it builds on, if it is a delta.
    pub base: Option<ObjectId>,
}

/// Writes a pack.
pub struct PackWriter {
    algorithm: HashAlgorithm,
    forms: DeltaForms,
    declared: u32,
    checksum: Checksum,
    deflater: Deflater,
    /// Bytes that were written after the header.
    body_bytes: u64,
    /// Where the entries of objects begin. Nothing depends on their order.
    offsets: HashMap<ObjectId, u64>,
    /// Bases that are named by id and have to be written still.
    promised: BTreeSet<ObjectId>,
}

impl PackWriter {
    /// Begins a pack of so many objects. The bytes are its header.
    pub fn new(algorithm: HashAlgorithm, objects: u32, forms: DeltaForms) -> (Self, Bytes) {
        let mut writer = PackWriter {
            algorithm,
            forms,
            declared: objects,
            checksum: Checksum::new(algorithm),
            deflater: Deflater::new(),
            body_bytes: 0,
            offsets: HashMap::new(),
            promised: BTreeSet::new(),
        };
        let header = Bytes::copy_from_slice(&PackHeader::bytes(objects));
        writer.checksum.update(&header);
        (writer, header)
    }

    /// Whether an object was written.
    pub fn contains(&self, id: &ObjectId) -> bool {
        self.offsets.contains_key(id)
    }

    /// Bytes that were written, with the header.
    pub fn written_bytes(&self) -> u64 {
        PackHeader::bytes(0).len() as u64 + self.body_bytes
    }

    fn begin(&mut self, id: ObjectId, offset: u64) -> Result<(), PackError> {
        if self.offsets.insert(id, offset).is_some() {
            return Err(PackError::WrittenTwice(id));
        }
        self.promised.remove(&id);
        Ok(())
    }

    fn give(&mut self, bytes: Bytes) -> Bytes {
        self.checksum.update(&bytes);
        self.body_bytes += bytes.len() as u64;
        bytes
    }

    /// Writes a whole object.
    ///
    /// # Errors
    /// [`PackError::WrittenTwice`].
    pub fn whole(&mut self, id: ObjectId, kind: Kind, data: &[u8]) -> Result<Bytes, PackError> {
        self.begin(id, self.body_bytes)?;
        let mut bytes = Vec::new();
        EntryKind::Whole(kind).write_header(self.body_bytes, data.len() as u64, &mut bytes);
        self.deflater.deflate(data, &mut bytes);
        Ok(self.give(bytes.into()))
    }

    /// Copies an entry: one or two pieces. If it was not all at hand, [`PackWriter::copy_on`] takes
    /// the rest.
    ///
    /// # Errors
    /// [`PackError::WrittenTwice`], [`PackError::BaseUnnamed`], or what is wrong with the header.
    pub fn copy(&mut self, entry: StoredEntry) -> Result<Vec<Bytes>, PackError> {
        let StoredEntry { id, offset, bytes, base } = entry;
        let header = EntryHeader::parse(self.algorithm, offset, &bytes)?
            .ok_or_else(|| PackError::Ended(format!("the entry of {id} has no whole header")))?;
        let kind = match (header.kind, base) {
            (EntryKind::Whole(kind), _) => EntryKind::Whole(kind),
            (_, None) => return Err(PackError::BaseUnnamed(id)),
            (_, Some(base)) => match self.offsets.get(&base) {
                Some(&base) if self.forms.by_distance => EntryKind::OfsDelta { base },
                Some(_) => EntryKind::RefDelta { base },
                None => {
                    if !self.forms.thin {
                        self.promised.insert(base);
                    }
                    EntryKind::RefDelta { base }
                }
            },
        };
        let mut new_header = Vec::new();
        kind.write_header(self.body_bytes, header.size, &mut new_header);
        self.begin(id, self.body_bytes)?;
        if bytes[..header.len] == new_header[..] {
            return Ok(vec![self.give(bytes)]);
        }
        let mut pieces = vec![self.give(new_header.into())];
        if bytes.len() > header.len {
            pieces.push(self.give(bytes.slice(header.len..)));
        }
        Ok(pieces)
    }

    /// Takes more of the entry that is being copied.
    pub fn copy_on(&mut self, part: Bytes) -> Bytes {
        self.give(part)
    }

    /// Copies entries that follow each other in a body, as they are: all bases are among them, or
    /// named by id. Of each it is said what object it is, and where in `bytes` it begins; if the last
    /// is not all at hand, [`PackWriter::copy_on`] takes the rest.
    ///
    /// # Errors
    /// [`PackError::WrittenTwice`].
    pub fn copy_run(
        &mut self,
        bytes: Bytes,
        entries: impl IntoIterator<Item = (ObjectId, u64)>,
    ) -> Result<Bytes, PackError> {
        for (id, offset) in entries {
            self.begin(id, self.body_bytes + offset)?;
        }
        Ok(self.give(bytes))
    }

    /// Ends the pack. The bytes are its checksum.
    ///
    /// # Errors
    /// [`PackError::WrittenCount`], or [`PackError::MissingBases`] for deltas that a client which
    /// reads no thin packs could not resolve.
    pub fn finish(self) -> Result<Bytes, PackError> {
        let written = self.offsets.len() as u64;
        if written != u64::from(self.declared) {
            return Err(PackError::WrittenCount { declared: self.declared, written });
        }
        if !self.promised.is_empty() {
            let count = self.promised.len();
            let ids = self.promised.into_iter().take(MISSING_BASES_NAMED_MAX).collect();
            return Err(PackError::MissingBases { ids, count, deltas: count });
        }
        Ok(Bytes::copy_from_slice(self.checksum.finish().as_bytes()))
    }
}
