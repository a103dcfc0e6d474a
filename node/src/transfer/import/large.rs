//! Streaming inflate.
//!
//! Objects that go in parts: inflated from their file as they are sent.
//!
//! Each attempt to put one reads it anew, so nothing is kept for a retry. A pack stays mapped and
//! a loose object's file open meanwhile: Git may remove either.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use flate2::bufread::ZlibDecoder;
use gitstratum_core::limits;
use gitstratum_core::object::{ObjectHasher, ObjectHead};
use tokio::sync::mpsc;

use super::error::ImportError;
use super::links::{Link, Links};
use super::places::Pack;

/// `"commit "`, twenty digits and a NUL: the longest header of a loose object.
const LOOSE_HEADER_BYTES_MAX: usize = 28;

/// A large object and where its bytes are.
#[derive(Clone)]
pub(super) struct Large {
    pub(super) head: ObjectHead,
    pub(super) place: Place,
}

#[derive(Clone)]
pub(super) enum Place {
    /// Here, hashed already: it was a delta, or was made here.
    Memory(Bytes),
    /// Compressed in a pack, from this offset on.
    Packed { pack: Arc<Pack>, offset: u64 },
    /// Compressed in a file of its own, after a header.
    Loose { file: Arc<File>, path: PathBuf },
}

impl Large {
    /// Sends the object in parts. The last part is sent only when the whole hashed to the
    /// id, so a damaged object is never completed. Ends early, without an error, when
    /// nobody takes the parts any more.
    pub(super) fn send(&self, parts: &mpsc::Sender<Bytes>) -> Result<(), ImportError> {
        let mut held: Option<Bytes> = None;
        let all = self.inflate(&mut |part| match held.replace(part) {
            Some(before) => parts.blocking_send(before).is_ok(),
            None => true,
        })?;
        if let Some(last) = held
            && all
        {
            // The put has its own reason when it did not wait for the end.
            let _ = parts.blocking_send(last);
        }
        Ok(())
    }

    /// Reads what the object refers to. The inner error says why Git could not either.
    pub(super) fn links(
        &self,
        mut links: Links,
        found: &mut dyn FnMut(Link),
    ) -> Result<Result<(), &'static str>, ImportError> {
        let mut read = Ok(());
        self.inflate(&mut |part| {
            read = links.feed(&part, found);
            read.is_ok()
        })?;
        Ok(read.and_then(|()| links.finish()))
    }

    /// Gives the data to `take` in parts, until that is enough for it. True when it took all,
    /// which then hashed to the id.
    fn inflate(&self, take: &mut dyn FnMut(Bytes) -> bool) -> Result<bool, ImportError> {
        match &self.place {
            Place::Memory(data) => {
                let mut data = data.clone();
                while !data.is_empty() {
                    if !take(data.split_to(data.len().min(limits::PART_BYTES_MAX))) {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Place::Packed { pack, offset } => {
                let bundle = &pack.bundle;
                let compressed = bundle.pack.entry_slice(*offset..bundle.pack.pack_end() as u64);
                self.parts(&pack.path, ZlibDecoder::new(compressed.unwrap_or_default()), take)
            }
            Place::Loose { file, path } => {
                let file = FromStart { file, at: 0 };
                let file = BufReader::with_capacity(limits::PART_BYTES_MAX, file);
                let mut data = ZlibDecoder::new(file);
                skip_header(&mut data).map_err(|source| self.unreadable(path, source))?;
                self.parts(path, data, take)
            }
        }
    }

    fn parts(
        &self,
        path: &Path,
        mut data: impl Read,
        take: &mut dyn FnMut(Bytes) -> bool,
    ) -> Result<bool, ImportError> {
        let ObjectHead { id, kind, size_bytes } = self.head;
        let mut hasher = ObjectHasher::detecting(id.algorithm(), kind, size_bytes);
        let mut left = size_bytes;
        while left > 0 {
            let mut part = vec![0; left.min(limits::PART_BYTES_MAX as u64) as usize];
            data.read_exact(&mut part).map_err(|source| self.unreadable(path, source))?;
            hasher.update(&part);
            left -= part.len() as u64;
            if !take(part.into()) {
                return Ok(false);
            }
        }
        let actual = hasher.finish()?;
        if actual != id {
            return Err(ImportError::Damaged { id, actual, path: path.to_owned() });
        }
        Ok(true)
    }

    fn unreadable(&self, path: &Path, source: io::Error) -> ImportError {
        let id = self.head.id;
        ImportError::Object { id, path: path.to_owned(), source: source.into() }
    }
}

/// Reads a file from its beginning, whoever else reads it.
struct FromStart<'f> {
    file: &'f File,
    at: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

fn skip_header(data: &mut impl Read) -> io::Result<()> {
    let mut byte = [0];
    for _ in 0..LOOSE_HEADER_BYTES_MAX {
        data.read_exact(&mut byte)?;
        if byte == [0] {
            return Ok(());
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "the header does not end"))
}
