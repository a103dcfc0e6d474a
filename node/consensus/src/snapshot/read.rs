//! Reading a snapshot: every frame is checked before its part is used.

use bytes::Bytes;
use gitstratum_host::disk::File;
use minicbor::Decoder;

use super::{End, FORMAT, Head, Snapshot, SnapshotError};
use crate::entry::format_of;
use crate::frame::{self, At, Frame, HEADER_BYTES};
use crate::machine::{AnyLoader, AnyMachine, LoadError, Loader, Machine, PART_BYTES_MAX};

/// Longer than any frame.
const FRAME_BYTES_MAX: usize = HEADER_BYTES + PART_BYTES_MAX;

/// The head of a snapshot of this group.
pub(super) async fn head(
    file: &File,
    bytes: u64,
    path: &str,
    group: u32,
) -> Result<Head, SnapshotError> {
    let frame = Input { file, bytes, path, offset: 0, sequence: 0 }.next().await?;
    let unreadable = |error: minicbor::decode::Error| damaged(path, error.to_string());
    let format = format_of(&frame.body).map_err(unreadable)?;
    if format != FORMAT {
        return Err(SnapshotError::Format { path: path.to_owned(), format });
    }
    let head: Head = minicbor::decode(&frame.body).map_err(unreadable)?;
    match head.group {
        found if found == group => Ok(head),
        found => Err(SnapshotError::Foreign { path: path.to_owned(), found, expected: group }),
    }
}

/// The state in a snapshot.
pub(crate) async fn load(
    snapshot: &Snapshot,
    mut loader: Box<dyn AnyLoader>,
) -> Result<Box<dyn AnyMachine>, SnapshotError> {
    read_parts(snapshot, |part| AnyLoader::take(&mut *loader, part)).await?;
    loader.finish().map_err(|error| damaged(&snapshot.path, error.to_string()))
}

/// The state in a snapshot, of a machine that is known.
pub(crate) async fn load_as<M: Machine>(snapshot: &Snapshot) -> Result<M, SnapshotError> {
    let mut loader = M::Loader::default();
    read_parts(snapshot, |part| Loader::take(&mut loader, part)).await?;
    Loader::finish(loader).map_err(|error| damaged(&snapshot.path, error.to_string()))
}

/// Hands over the parts of a state, all of them or none is to be used.
async fn read_parts(
    snapshot: &Snapshot,
    mut take: impl FnMut(Bytes) -> Result<(), LoadError>,
) -> Result<(), SnapshotError> {
    let Snapshot { path, file, bytes, .. } = snapshot;
    let mut input = Input { file, bytes: *bytes, path, offset: 0, sequence: 0 };
    input.next().await?;
    let mut parts = 0_u64;
    let mut waiting = input.next().await?;
    // The last frame is the end.
    while input.offset < input.bytes {
        let next = input.next().await?;
        let part = std::mem::replace(&mut waiting, next);
        take(part.body).map_err(|error| damaged(path, error.to_string()))?;
        parts += 1;
    }
    let end: Result<End, _> = Decoder::new(&waiting.body).decode();
    match end {
        Ok(end) if end.parts == parts => Ok(()),
        _ => Err(damaged(path, format!("it does not end behind its {parts} parts"))),
    }
}

struct Input<'a> {
    file: &'a File,
    bytes: u64,
    path: &'a str,
    offset: u64,
    sequence: u64,
}

impl Input<'_> {
    async fn next(&mut self) -> Result<Frame, SnapshotError> {
        let Input { offset, sequence, bytes, .. } = *self;
        let spoilt = || damaged(self.path, format!("frame {sequence} at byte {offset} is spoilt"));
        let left = usize::try_from(bytes - offset).unwrap_or(usize::MAX);
        let header = self.file.read_at(offset, HEADER_BYTES.min(left)).await?;
        let body = frame::body_bytes(&header).filter(|body| HEADER_BYTES + body <= left);
        let len = body.map(|body| HEADER_BYTES + body).filter(|len| *len <= FRAME_BYTES_MAX);
        let frame: Bytes = self.file.read_at(offset, len.ok_or_else(spoilt)?).await?;
        match frame::look(&frame, 0, 0) {
            At::Whole(frame) if frame.sequence == sequence => {
                self.offset += frame.bytes() as u64;
                self.sequence += 1;
                Ok(frame)
            }
            _ => Err(spoilt()),
        }
    }
}

fn damaged(path: &str, what: String) -> SnapshotError {
    SnapshotError::Damaged { path: path.to_owned(), what }
}
