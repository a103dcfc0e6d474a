//! Objects that go in parts: inflated from their file as they are sent.
//!
//! Each attempt to put one reads it anew, so nothing is kept for a retry.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use flate2::bufread::ZlibDecoder;
use tokio::sync::mpsc;

use super::ImportError;
use crate::limits;
use crate::object::{ObjectHasher, ObjectHead};

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
    Packed { path: PathBuf, offset: u64 },
    /// Compressed in a file of its own, after a header.
    Loose { path: PathBuf },
}

impl Large {
    /// Sends the object in parts. The last part is sent only when the whole hashed to the
    /// id, so a damaged object is never completed. Ends early, without an error, when
    /// nobody takes the parts any more.
    pub(super) fn send(&self, parts: &mpsc::Sender<Bytes>) -> Result<(), ImportError> {
        match &self.place {
            Place::Memory(data) => {
                let mut data = data.clone();
                while !data.is_empty() {
                    let part = data.split_to(data.len().min(limits::PART_BYTES_MAX));
                    if parts.blocking_send(part).is_err() {
                        break;
                    }
                }
                Ok(())
            }
            Place::Packed { path, offset } => {
                let opened = File::open(path).and_then(|mut file| {
                    file.seek(SeekFrom::Start(*offset))?;
                    Ok(ZlibDecoder::new(BufReader::with_capacity(limits::PART_BYTES_MAX, file)))
                });
                self.inflate(opened, path, parts)
            }
            Place::Loose { path } => {
                let opened = File::open(path).and_then(|file| {
                    let file = BufReader::with_capacity(limits::PART_BYTES_MAX, file);
                    let mut data = ZlibDecoder::new(file);
                    skip_header(&mut data)?;
                    Ok(data)
                });
                self.inflate(opened, path, parts)
            }
        }
    }

    fn inflate<R: Read>(
        &self,
        opened: std::io::Result<R>,
        path: &Path,
        parts: &mpsc::Sender<Bytes>,
    ) -> Result<(), ImportError> {
        let ObjectHead { id, kind, size_bytes } = self.head;
        let failed = |source: std::io::Error| ImportError::Object {
            id,
            path: path.to_owned(),
            source: source.into(),
        };
        let mut data = opened.map_err(failed)?;
        let mut hasher = ObjectHasher::detecting(id.algorithm(), kind, size_bytes);
        let mut left = size_bytes;
        let mut held: Option<Bytes> = None;
        while left > 0 {
            let mut part = vec![0; left.min(limits::PART_BYTES_MAX as u64) as usize];
            data.read_exact(&mut part).map_err(failed)?;
            hasher.update(&part);
            left -= part.len() as u64;
            if let Some(before) = held.replace(part.into())
                && parts.blocking_send(before).is_err()
            {
                return Ok(());
            }
        }
        let actual = hasher.finish()?;
        if actual != id {
            return Err(ImportError::Damaged { id, actual, path: path.to_owned() });
        }
        if let Some(last) = held {
            // The put has its own reason when it did not wait for the end.
            let _ = parts.blocking_send(last);
        }
        Ok(())
    }
}

fn skip_header(data: &mut impl Read) -> std::io::Result<()> {
    let mut byte = [0];
    for _ in 0..LOOSE_HEADER_BYTES_MAX {
        data.read_exact(&mut byte)?;
        if byte == [0] {
            return Ok(());
        }
    }
    Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "the header does not end"))
}
