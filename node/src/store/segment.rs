//! Segment files: their names, and making a new one.

use bytes::Bytes;
use gitstratum_host::Disk;
use gitstratum_host::disk::{File, OpenMode};

use super::record::{Contents, SEGMENT_HEADER_BYTES, segment_header};

/// The directory of all segments.
pub(super) const DIR: &str = "segments";

/// A segment that groups are appended to.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) file: File,
    /// Where the next record goes.
    pub(super) len: u64,
}

/// The file of segment `number`.
pub(super) fn path(number: u64) -> String {
    format!("{DIR}/{number:016x}.seg")
}

/// The file of a segment that is not complete yet.
pub(super) fn temporary_path(number: u64) -> String {
    format!("{DIR}/{number:016x}.tmp")
}

/// The number in a segment's file name.
pub(super) fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

/// Makes a segment file at `path` with its header, durably, name included.
pub(super) async fn create(
    disk: &Disk,
    path: &str,
    number: u64,
    contents: Contents,
) -> std::io::Result<Segment> {
    let file = disk.open(path, OpenMode::CreateNew).await?;
    let header = Bytes::copy_from_slice(&segment_header(number, contents));
    file.write_at_and_sync(0, vec![header]).await?;
    disk.sync_dir(DIR).await?;
    Ok(Segment { number, file, len: SEGMENT_HEADER_BYTES as u64 })
}
