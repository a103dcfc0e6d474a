//! Pack files out of stored packs: what `git` reads from `objects/pack`.
//!
//! Packs that were pushed one after another are put into one file, so that a repository of many small
//! pushes becomes few files. Entries are copied as they are stored. An object that several of the
//! packs have is copied from the first that has it; each pack is complete in itself, so whatever a
//! delta builds on is in the file.

use std::collections::HashSet;
use std::ops::Range;

use gitstratum_core::object::ObjectId;

use super::WholeRepository;
use crate::names::Packs;
use crate::pack::file_index::{self, FileEntry};
use crate::pack::write::{DeltaForms, PackWriter};
use crate::repository::objects::RepositoryObjects;
use crate::repository::upload::{Out, broken, copy_entry};
use crate::service::{PackSink, RepositoryError};

/// A pack file that was written.
pub struct PackFile {
    /// Its checksum, after which it is named.
    pub checksum: String,
    /// Objects in it.
    pub objects: u64,
    /// Bytes of it.
    pub bytes: u64,
    /// The index that belongs beside it.
    pub index: Vec<u8>,
}

impl WholeRepository {
    /// Which packs go into a file together: those that follow each other, up to so many bytes and
    /// objects, or one alone that has more.
    pub fn pack_files(&self, bytes_max: u64, objects_max: u64) -> Vec<Range<usize>> {
        let mut files: Vec<Range<usize>> = Vec::new();
        let (mut bytes, mut objects) = (0, 0);
        for (at, pack) in self.packs().iter().enumerate() {
            bytes += pack.bytes;
            objects += pack.objects;
            match files.last_mut() {
                Some(last) if bytes <= bytes_max && objects <= objects_max => last.end = at + 1,
                _ => {
                    (bytes, objects) = (pack.bytes, pack.objects);
                    files.push(at..at + 1);
                }
            }
        }
        files
    }

    /// Writes the pack file of these packs.
    ///
    /// # Errors
    /// [`RepositoryError`]; a part of the file may have been written by then.
    pub async fn write_pack(
        &self,
        packs: Range<usize>,
        sink: &mut dyn PackSink,
    ) -> Result<PackFile, RepositoryError> {
        let (algorithm, reading) = (self.object_format(), &self.gateway.reading);
        let packs = self.packs()[packs].to_vec();
        let packs = Packs { generation: self.packs.generation, packs };
        let objects = RepositoryObjects::open(algorithm, packs, reading).await?;
        let count = different(&objects);
        let declared = u32::try_from(count).map_err(|_| {
            RepositoryError::Refused(format!("{count} objects are more than a pack can have"))
        })?;
        let forms = DeltaForms { by_distance: true, thin: false };
        let (mut writer, header) = PackWriter::new(algorithm, declared, forms);
        let mut out = Out::with_crc32(sink, &header);
        let mut entries = Vec::with_capacity(count);
        for (pack, stored) in objects.packs.iter().enumerate() {
            for entry in stored.meta.objects() {
                if writer.contains(&entry.id) {
                    continue;
                }
                let offset = writer.written_bytes();
                copy_entry(&objects, (pack, &entry), &mut writer, &mut out).await?;
                entries.push(FileEntry { id: entry.id, offset, crc32: out.take_crc32() });
            }
        }
        let bytes = writer.written_bytes();
        let checksum = writer.finish().map_err(broken)?;
        out.give(checksum.clone()).await?;
        out.flush().await?;
        let index = file_index::encode(algorithm, &mut entries, &checksum);
        Ok(PackFile {
            bytes: bytes + checksum.len() as u64,
            checksum: checksum.iter().map(|byte| format!("{byte:02x}")).collect(),
            objects: count as u64,
            index,
        })
    }
}

/// How many different objects there are.
fn different(objects: &RepositoryObjects) -> usize {
    match &objects.packs[..] {
        [one] => one.meta.len() as usize,
        // Nothing depends on its order.
        packs => {
            let ids = packs.iter().flat_map(|pack| pack.meta.objects().map(|entry| entry.id));
            ids.collect::<HashSet<ObjectId>>().len()
        }
    }
}
