//! Pack verification.
//!
//! Packs that an earlier run left behind: read again, whole, before they are counted on.
//!
//! An export that was stopped may have been stopped by the very trouble that damaged what it had
//! written. A pack is sound if each of its entries can be inflated, if its sum is that of its
//! bytes, and if the index that its contents give is the index beside it, byte by byte: the ids in
//! that are computed from the data. Nothing is held whole but the index.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::Crc;
use flate2::bufread::ZlibDecoder;
use gitstratum_core::limits;
use gitstratum_core::object::{HashAlgorithm, Kind, ObjectHasher};

use super::claim::Claim;
use super::pack::{self, Entries, PACK_HEADER_BYTES, Sum};
use super::{ExportError, writing};

/// Indices of the packs that an earlier run finished and that are sound.
pub(super) struct Finished {
    pub(super) indices: Vec<gix::odb::pack::index::File>,
    /// Packs, or what there is of them, that are not, and why.
    pub(super) unsound: Vec<(PathBuf, String)>,
}

/// Reads all packs of the repository.
pub(super) fn finished(claim: &Claim, algorithm: HashAlgorithm) -> Result<Finished, ExportError> {
    let dir = claim.dir().join("objects/pack");
    let reading = || writing(format!("reading {}", dir.display()));
    let mut paths = Vec::new();
    for entry in fs::read_dir(&dir).map_err(reading())? {
        let path = entry.map_err(reading())?.path();
        // An index alone is what is left of a pack too.
        if path.extension().is_some_and(|found| found == "pack" || found == "idx") {
            paths.push(path.with_extension("pack"));
        }
    }
    paths.sort();
    paths.dedup();
    let hash = match algorithm {
        HashAlgorithm::Sha1 => gix::hash::Kind::Sha1,
        HashAlgorithm::Sha256 => gix::hash::Kind::Sha256,
    };
    let (mut indices, mut unsound) = (Vec::new(), Vec::new());
    for path in paths {
        match verify(&path, algorithm) {
            Ok(()) => {
                let index = gix::odb::pack::index::File::at(path.with_extension("idx"), hash);
                match index {
                    Ok(index) => indices.push(index),
                    Err(error) => unsound.push((path, error.to_string())),
                }
            }
            Err(error) => unsound.push((path, error.to_string())),
        }
    }
    Ok(Finished { indices, unsound })
}

/// Removes what an earlier run left that is no sound pack, in a repository that is not whole.
pub(super) fn clear(claim: &Claim, finished: &Finished) -> Result<(), ExportError> {
    assert!(!claim.is_finished(), "what a repository has is left to its owner");
    for (path, problem) in &finished.unsound {
        let pack = path.display();
        tracing::warn!(%pack, problem, "a pack of an earlier run is not sound, and fetched again");
        // The index first: Git looks for indices.
        for path in [path.with_extension("idx"), path.clone()] {
            remove(&path)?;
        }
    }
    pack::remove_unfinished(claim.dir())
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), ExportError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(writing(format!("removing {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

/// Checks a pack and its index.
fn verify(path: &Path, algorithm: HashAlgorithm) -> io::Result<()> {
    let file = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut pack = Summed { file, sum: Sum::new(algorithm), crc: Crc::new(), at: 0 };
    let mut header = [0; PACK_HEADER_BYTES as usize];
    pack.read_exact(&mut header)?;
    let (format, count) = header.split_at(8);
    if format != b"PACK\0\0\0\x02" {
        return wrong("this is no pack of version 2");
    }
    let count = u32::from_be_bytes(count.try_into().expect("four of twelve bytes"));
    if count as usize > limits::EXPORT_PACK_OBJECTS_MAX + limits::EXPORT_BATCH_OBJECTS_MAX {
        return wrong("this is no pack of an export: it has too many objects");
    }
    let (mut entries, mut buffer): (Entries, _) = (Vec::new(), vec![0; limits::PART_BYTES_MAX]);
    for _ in 0..count {
        let offset = u32::try_from(pack.at).map_err(io::Error::other)?;
        pack.crc = Crc::new();
        let (kind, size_bytes) = entry_header(&mut pack)?;
        let mut hasher = ObjectHasher::plain(algorithm, kind, size_bytes);
        let mut data = ZlibDecoder::new(&mut pack);
        let mut came = 0;
        loop {
            let read = data.read(&mut buffer)?;
            came += read as u64;
            if read == 0 {
                break;
            }
            if came > size_bytes {
                return wrong("an object is longer than its header says");
            }
            hasher.update(&buffer[..read]);
        }
        if came != size_bytes {
            return wrong("an object is shorter than its header says");
        }
        entries.push((hasher.finish().map_err(io::Error::other)?, offset, pack.crc.sum()));
    }
    let sum = std::mem::replace(&mut pack.sum, Sum::new(algorithm)).finish();
    let mut trailer = Vec::new();
    pack.read_to_end(&mut trailer)?;
    if trailer != sum {
        return wrong("its bytes do not give its sum");
    }
    entries.sort_unstable();
    if fs::read(path.with_extension("idx"))? != pack::index(algorithm, &entries, &sum) {
        return wrong("its index is not that of its contents");
    }
    Ok(())
}

fn wrong<T>(problem: &str) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidData, problem))
}

/// Reads what [`pack::entry_header`] writes.
fn entry_header(pack: &mut impl Read) -> io::Result<(Kind, u64)> {
    let mut byte = [0];
    pack.read_exact(&mut byte)?;
    let kind = match byte[0] >> 4 & 0b111 {
        1 => Kind::Commit,
        2 => Kind::Tree,
        3 => Kind::Blob,
        4 => Kind::Tag,
        _ => return wrong("this is no pack of an export: it has deltas"),
    };
    let (mut size_bytes, mut shift) = (u64::from(byte[0] & 0xf), 4);
    while byte[0] & 0x80 != 0 {
        pack.read_exact(&mut byte)?;
        if shift > 60 {
            return wrong("the length of an object does not end");
        }
        size_bytes |= u64::from(byte[0] & 0x7f) << shift;
        shift += 7;
    }
    Ok((kind, size_bytes))
}

/// Sums what is read of a pack.
struct Summed {
    file: BufReader<File>,
    /// Of all.
    sum: Sum,
    /// Of the entry that is being read.
    crc: Crc,
    at: u64,
}

impl BufRead for Summed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.file.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        let bytes = &self.file.buffer()[..amount];
        self.sum.update(bytes);
        self.crc.update(bytes);
        self.at += amount as u64;
        self.file.consume(amount);
    }
}

impl Read for Summed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}
