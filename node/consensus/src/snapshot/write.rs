//! Writing a snapshot.

use bytes::Bytes;
use gitstratum_host::Disk;
use gitstratum_host::disk::{File, OpenMode};

use super::{End, Head, Snapshot, SnapshotError};
use crate::entry::encode_to;
use crate::frame;

/// Parts are gathered to writes of about so many bytes.
const WRITE_BYTES: usize = 256 << 10;

/// Writes a snapshot and syncs it, under a name of its own.
pub(crate) async fn write(
    disk: &Disk,
    path: String,
    head: Head,
    parts: Box<dyn Iterator<Item = Bytes> + Send + '_>,
) -> Result<Snapshot, SnapshotError> {
    if disk.exists(&path).await? {
        disk.remove(&path).await?;
    }
    let file = disk.open(&path, OpenMode::CreateNew).await?;
    match write_all(&file, &head, parts).await {
        Ok(bytes) => Ok(Snapshot { path, file, bytes, head }),
        Err(error) => {
            // Half of one takes the room that somebody makes; the next one removes it at the latest.
            let _ = disk.remove(&path).await;
            Err(error)
        }
    }
}

async fn write_all(
    file: &File,
    head: &Head,
    parts: Box<dyn Iterator<Item = Bytes> + Send + '_>,
) -> Result<u64, SnapshotError> {
    let mut output = Output { file, offset: 0, sequence: 0, pending: Vec::new(), bytes: 0 };
    let mut body = Vec::new();
    encode_to(&mut body, head);
    output.frame(&body).await?;
    let mut count = 0;
    for part in parts {
        output.frame(&part).await?;
        count += 1;
    }
    let mut body = Vec::new();
    encode_to(&mut body, &End { parts: count });
    output.frame(&body).await?;
    output.flush().await?;
    file.sync_data().await?;
    Ok(output.offset)
}

struct Output<'a> {
    file: &'a File,
    offset: u64,
    sequence: u64,
    pending: Vec<Bytes>,
    bytes: usize,
}

impl Output<'_> {
    async fn frame(&mut self, body: &[u8]) -> Result<(), SnapshotError> {
        let frame = frame::encode(self.sequence, 0, body);
        self.sequence += 1;
        self.bytes += frame.len();
        self.pending.push(frame);
        match self.bytes < WRITE_BYTES {
            true => Ok(()),
            false => self.flush().await,
        }
    }

    async fn flush(&mut self) -> Result<(), SnapshotError> {
        let pending = std::mem::take(&mut self.pending);
        self.file.write_at(self.offset, pending).await?;
        self.offset += std::mem::take(&mut self.bytes) as u64;
        Ok(())
    }
}
