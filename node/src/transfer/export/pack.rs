//! Pack writer.
//!
//! Packs and their indices, version 2 of both, without deltas.
//!
//! Invariant: a `.idx` under `objects/pack` has its complete, synced `.pack`: the index
//! is renamed into place after the pack, and Git looks for indices.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use gitstratum_core::limits;
use gitstratum_core::object::{HashAlgorithm, Kind, Object, ObjectHead, ObjectId};
use gitstratum_git::pack::file_index::{self, FileEntry};
use sha1::Digest;

use super::verify::remove;
use super::{ExportError, writing};

/// Signature, version and count.
pub(super) const PACK_HEADER_BYTES: u64 = 12;
/// Offsets in an index from here on would need its table of 64-bit offsets.
const OFFSET_MAX: u64 = 1 << 31;

const _: () = assert!(limits::EXPORT_PACK_BYTES_MAX < OFFSET_MAX);

/// An object as a pack holds it: a header of its length, and its data compressed.
pub(super) struct Entry {
    id: ObjectId,
    size_bytes: u64,
    bytes: Vec<u8>,
}

impl Entry {
    /// Compresses an object; costs processor time, so it is done before the writer.
    pub(super) fn new(object: &Object) -> Self {
        let bytes = entry_header(object.kind(), object.size_bytes());
        let mut encoder = ZlibEncoder::new(bytes, Compression::fast());
        let bytes = encoder
            .write_all(object.data())
            .and_then(|()| encoder.finish())
            .expect("a Vec takes all that is written to it");
        Entry { id: object.id(), size_bytes: object.size_bytes(), bytes }
    }

    /// Length of the data before compression.
    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

/// The kind and length in front of an entry's data: four bits of the length, then seven
/// a byte, the highest bit saying that more follow.
fn entry_header(kind: Kind, size_bytes: u64) -> Vec<u8> {
    let code = match kind {
        Kind::Commit => 1,
        Kind::Tree => 2,
        Kind::Blob => 3,
        Kind::Tag => 4,
        // No object of Git; whoever reads the pack again refuses this number.
        Kind::Chunk => 0,
    };
    let mut byte = code << 4 | (size_bytes & 0xf) as u8;
    let mut left = size_bytes >> 4;
    let mut header = Vec::new();
    while left > 0 {
        header.push(byte | 0x80);
        byte = (left & 0x7f) as u8;
        left >>= 7;
    }
    header.push(byte);
    header
}

/// Id, offset and checksum of each entry of a pack.
pub(super) type Entries = Vec<(ObjectId, u32, u32)>;

/// A pack that is being written.
pub(super) const TMP_PACK: &str = "objects/pack/tmp_pack_gitstratum";
/// Its index.
const TMP_INDEX: &str = "objects/pack/tmp_idx_gitstratum";

/// Removes what became no pack.
pub(super) fn remove_unfinished(repository: &Path) -> Result<(), ExportError> {
    [TMP_PACK, TMP_INDEX].iter().try_for_each(|name| remove(&repository.join(name)))
}

/// Gives the pack that lies at [`TMP_PACK`], which is complete and synced, its name, and an index.
pub(super) fn put_in_place(repository: &Path, checksum: &str, index: &[u8]) -> io::Result<()> {
    let index_path = repository.join(TMP_INDEX);
    let mut index_file = File::create(&index_path)?;
    index_file.write_all(index)?;
    index_file.sync_all()?;
    let dir = repository.join("objects/pack");
    let name = format!("pack-{checksum}");
    fs::rename(repository.join(TMP_PACK), dir.join(format!("{name}.pack")))?;
    fs::rename(&index_path, dir.join(format!("{name}.idx")))?;
    File::open(&dir)?.sync_all()
}

/// What is under way to become a pack.
pub(super) struct PackWriter {
    repository: PathBuf,
    algorithm: HashAlgorithm,
    file: BufWriter<File>,
    path: PathBuf,
    offset: u64,
    entries: Entries,
}

impl PackWriter {
    /// Begins a pack in the repository at `repository`.
    pub(super) fn new(repository: &Path, algorithm: HashAlgorithm) -> Result<Self, ExportError> {
        let path = repository.join(TMP_PACK);
        let create = || {
            let mut options = File::options();
            let options = options.create(true).truncate(true).read(true).write(true);
            let mut file = BufWriter::with_capacity(1 << 20, options.open(&path)?);
            // The count comes when it is known.
            file.write_all(&pack_header(0))?;
            Ok(file)
        };
        let file = create().map_err(writing(format!("writing {}", path.display())))?;
        let (repository, entries) = (repository.to_owned(), Vec::new());
        Ok(PackWriter { repository, algorithm, file, path, offset: PACK_HEADER_BYTES, entries })
    }

    /// Whether the next object should go to another pack.
    pub(super) fn is_full(&self) -> bool {
        self.offset >= limits::EXPORT_PACK_BYTES_MAX
            || self.entries.len() >= limits::EXPORT_PACK_OBJECTS_MAX
    }

    /// Adds an object.
    pub(super) fn add(&mut self, entry: &Entry) -> Result<(), ExportError> {
        let mut crc = Crc::new();
        crc.update(&entry.bytes);
        self.file.write_all(&entry.bytes).map_err(self.failed())?;
        self.added(entry.id, crc.sum(), entry.bytes.len() as u64);
        Ok(())
    }

    /// Adds an object that comes in parts, until `parts` ends; `Ok(false)` when it ended
    /// too soon, after which the pack is as it was before.
    pub(super) fn add_large(
        &mut self,
        head: ObjectHead,
        mut parts: impl Iterator<Item = bytes::Bytes>,
    ) -> Result<bool, ExportError> {
        let mut counted = Counted { out: &mut self.file, crc: Crc::new(), bytes: 0 };
        let mut came = 0;
        let mut write = || {
            counted.write_all(&entry_header(head.kind, head.size_bytes))?;
            let mut encoder = ZlibEncoder::new(&mut counted, Compression::fast());
            parts.try_for_each(|part| {
                came += part.len() as u64;
                encoder.write_all(&part)
            })?;
            encoder.finish().map(drop)
        };
        let written = write();
        let (crc, bytes) = (counted.crc.sum(), counted.bytes);
        written.map_err(self.failed())?;
        if came == head.size_bytes {
            self.added(head.id, crc, bytes);
            return Ok(true);
        }
        self.cut_back().map_err(self.failed())?;
        Ok(false)
    }

    /// Takes back what was written behind the last whole entry.
    fn cut_back(&mut self) -> std::io::Result<()> {
        // Seeking flushes the buffer first.
        self.file.seek(SeekFrom::Start(self.offset))?;
        self.file.get_ref().set_len(self.offset)
    }

    fn failed(&self) -> impl FnOnce(std::io::Error) -> ExportError + use<> {
        writing(format!("writing {}", self.path.display()))
    }

    fn added(&mut self, id: ObjectId, crc: u32, bytes: u64) {
        let offset = u32::try_from(self.offset).expect("a full pack takes no more");
        self.entries.push((id, offset, crc));
        self.offset += bytes;
    }

    /// Completes the pack and its index and gives both their names; how many packs that
    /// made, for an empty one leaves nothing.
    pub(super) fn finish(mut self) -> Result<u64, ExportError> {
        let failed = self.failed();
        if self.entries.is_empty() {
            return fs::remove_file(&self.path).map(|()| 0).map_err(failed);
        }
        self.complete().map(|()| 1).map_err(failed)
    }

    fn complete(&mut self) -> std::io::Result<()> {
        let count = u32::try_from(self.entries.len()).expect("a full pack takes no more");
        self.file.flush()?;
        let file = self.file.get_mut();
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&pack_header(count))?;
        // The checksum begins with the count, so it is computed now, over what was read
        // back; the page cache has it.
        file.seek(SeekFrom::Start(0))?;
        let mut sum = Sum::new(self.algorithm);
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            sum.update(&buffer[..read]);
        }
        let pack_sum = sum.finish();
        file.write_all(&pack_sum)?;
        file.sync_all()?;

        self.entries.sort_unstable();
        let index = index(self.algorithm, &self.entries, &pack_sum);
        put_in_place(&self.repository, &hex::encode(&pack_sum), &index)
    }
}

fn pack_header(count: u32) -> [u8; PACK_HEADER_BYTES as usize] {
    let mut header = *b"PACK\0\0\0\x02\0\0\0\0";
    header[8..].copy_from_slice(&count.to_be_bytes());
    header
}

/// The index of a pack.
pub(super) fn index(algorithm: HashAlgorithm, entries: &Entries, pack_sum: &[u8]) -> Vec<u8> {
    let entry = |&(id, offset, crc32): &(ObjectId, u32, u32)| FileEntry {
        id,
        offset: u64::from(offset),
        crc32,
    };
    let mut entries: Vec<FileEntry> = entries.iter().map(entry).collect();
    file_index::encode(algorithm, &mut entries, pack_sum)
}

/// The hash of a repository over bytes that are no object.
pub(super) enum Sum {
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
}

impl Sum {
    pub(super) fn new(algorithm: HashAlgorithm) -> Self {
        match algorithm {
            HashAlgorithm::Sha1 => Sum::Sha1(sha1::Sha1::new()),
            HashAlgorithm::Sha256 => Sum::Sha256(sha2::Sha256::new()),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Sum::Sha1(sum) => sum.update(bytes),
            Sum::Sha256(sum) => sum.update(bytes),
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        match self {
            Sum::Sha1(sum) => sum.finalize().to_vec(),
            Sum::Sha256(sum) => sum.finalize().to_vec(),
        }
    }
}

/// Counts and sums what passes.
struct Counted<W> {
    out: W,
    crc: Crc,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.crc.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
