//! Opening: every segment is scanned, and a torn tail is cut.
//!
//! Invariant: nothing that was acknowledged is cut, and all that is found is durable before
//! it is served. Only the last segment that groups were
//! appended to can be torn, and only behind its last whole record, because each group was
//! synced before its puts were answered and a segment is left only after its last group.

use bytes::Bytes;
use gitstratum_host::Disk;
use gitstratum_host::disk::{File, OpenMode};

use super::index::{Index, Location};
use super::record::{
    Contents, RECORD_HEADER_BYTES, RECORD_MAGIC, RECORD_TRAILER_BYTES, SEGMENT_HEADER_BYTES,
    SegmentHeaderError, parse_record_header, parse_segment_header, record_len,
};
use super::segment::{self, Segment};
use super::{OpenError, io_error};
use crate::object::ObjectHead;

const READ_BYTES: usize = 1 << 20;

/// What opening found.
pub(super) struct Recovered {
    pub(super) index: Index,
    /// The segment to append to, if one is left open.
    pub(super) active: Option<Segment>,
    pub(super) next_number: u64,
    pub(super) segments: u64,
    pub(super) disk_bytes: u64,
}

/// Scans all segments of a disk.
pub(super) async fn recover(disk: &Disk) -> Result<Recovered, OpenError> {
    let mut names = disk.list(segment::DIR).await.map_err(io_error("list", segment::DIR))?;
    for name in names.extract_if(.., |name| name.ends_with(".tmp")) {
        let path = format!("{}/{name}", segment::DIR);
        tracing::info!(path, "removing what an interrupted put left");
        disk.remove(&path).await.map_err(io_error("remove", &path))?;
    }
    let mut recovered = Recovered {
        index: Index::default(),
        active: None,
        next_number: 0,
        segments: 0,
        disk_bytes: 0,
    };
    let mut open = Vec::new();
    for name in &names {
        let number = segment::number_of(name)
            .ok_or_else(|| OpenError::Stranger { path: format!("{}/{name}", segment::DIR) })?;
        open.push(number);
    }
    open.sort_unstable();
    // The last log segment: its length, and the broken records behind its last whole one.
    let mut last_many: Option<(u64, Tail)> = None;
    for number in open {
        recovered.next_number = number + 1;
        let path = segment::path(number);
        let file = disk.open(&path, OpenMode::ReadWrite).await.map_err(io_error("open", &path))?;
        let len = file.len().await.map_err(io_error("size", &path))?;
        let head = file.read_at(0, SEGMENT_HEADER_BYTES).await.map_err(io_error("read", &path))?;
        match parse_segment_header(&head) {
            Ok((named, _)) if named != number => return Err(OpenError::Damaged { path }),
            Ok((_, Contents::One)) => {
                take_one(&mut recovered.index, &file, &path, number, len).await?
            }
            Ok((_, Contents::Many)) => {
                // The one before is sealed: what does not hold there is no torn tail.
                if let (Some((_, tail)), Some(sealed)) = (last_many.take(), &recovered.active) {
                    tail.damaged(&mut recovered.index, sealed.number);
                }
                let tail = scan(&mut recovered.index, &file, &path, number, len).await?;
                recovered.active = Some(Segment { number, file, len: tail.end });
                last_many = Some((len, tail));
            }
            // A crash between making the file and syncing its header; it never had a record.
            // Not only the last one: a large object's may have got its name meanwhile.
            Err(SegmentHeaderError::NoHeader) if len <= SEGMENT_HEADER_BYTES as u64 => {
                disk.remove(&path).await.map_err(io_error("remove", &path))?;
                continue;
            }
            Err(SegmentHeaderError::NoHeader) => return Err(OpenError::Damaged { path }),
            Err(SegmentHeaderError::Version(version)) => {
                return Err(OpenError::Version { path, version });
            }
        }
        recovered.segments += 1;
        recovered.disk_bytes += len;
    }
    if let Some(active) = &recovered.active {
        let (len, _) = last_many.expect("the active segment is one of many records");
        let path = segment::path(active.number);
        if active.len < len {
            tracing::warn!(path, from = len, to = active.len, "cutting a torn tail");
            active.file.set_len(active.len).await.map_err(io_error("cut", &path))?;
            recovered.disk_bytes -= len - active.len;
        }
        // What a killed process wrote but had not synced is served from now on, so it must
        // be as durable as the rest.
        active.file.sync_data().await.map_err(io_error("sync", &path))?;
    }
    // So must the names be that it had given and not synced.
    disk.sync_dir(segment::DIR).await.map_err(io_error("sync", segment::DIR))?;
    Ok(recovered)
}

/// Enters the record of a segment that holds one. It was whole when it got its name.
async fn take_one(
    index: &mut Index,
    file: &File,
    path: &str,
    number: u64,
    len: u64,
) -> Result<(), OpenError> {
    let offset = SEGMENT_HEADER_BYTES as u64;
    let bytes = file.read_at(offset, RECORD_HEADER_BYTES).await.map_err(io_error("read", path))?;
    let whole = |head: &ObjectHead| record_len(head.size_bytes) == len.checked_sub(offset);
    match parse_record_header(&bytes, number, offset).filter(whole) {
        Some(head) => index.insert(head.id, location(number, offset, &head, false)),
        None => return Err(OpenError::Damaged { path: path.into() }),
    }
    Ok(())
}

fn location(segment: u64, offset: u64, head: &ObjectHead, damaged: bool) -> Location {
    Location { segment, offset, size_bytes: head.size_bytes, kind: head.kind, damaged }
}

/// How a scan of a log segment ended.
struct Tail {
    /// Where the last whole record ends.
    end: u64,
    /// Records behind it whose headers hold and whose data does not.
    broken: Vec<(u64, ObjectHead)>,
}

impl Tail {
    fn damaged(self, index: &mut Index, number: u64) {
        for (offset, head) in self.broken {
            tracing::error!(segment = number, offset, id = %head.id, "damaged record");
            index.insert(head.id, location(number, offset, &head, true));
        }
    }
}

/// Reads a file from front to back through one buffer.
struct Window<'a> {
    file: &'a File,
    /// Number of the segment that the file is.
    number: u64,
    /// Where the buffer begins in the file.
    start: u64,
    buffer: Bytes,
    len: u64,
}

impl Window<'_> {
    /// Up to `len` bytes at `offset`, fewer only at the end of the file.
    async fn bytes(&mut self, offset: u64, len: usize) -> std::io::Result<Bytes> {
        let end = (offset + len as u64).min(self.len);
        if offset < self.start || end > self.start + self.buffer.len() as u64 {
            self.buffer = self.file.read_at(offset, len.max(READ_BYTES)).await?;
            self.start = offset;
        }
        let held = self.buffer.len();
        let place = |at: u64| usize::try_from(at - self.start).map_or(held, |at| at.min(held));
        Ok(self.buffer.slice(place(offset)..place(end.max(offset))))
    }
}

/// Enters all whole records, and the broken ones before the last of them.
async fn scan(
    index: &mut Index,
    file: &File,
    path: &str,
    number: u64,
    len: u64,
) -> Result<Tail, OpenError> {
    let mut window = Window { file, number, start: 0, buffer: Bytes::new(), len };
    let mut offset = SEGMENT_HEADER_BYTES as u64;
    let mut end = offset;
    // Records whose data does not hold, seen since the last whole one: damaged if a whole
    // one follows, else part of the torn tail.
    let mut broken: Vec<(u64, ObjectHead)> = Vec::new();
    while offset < len {
        let read = window.bytes(offset, RECORD_HEADER_BYTES).await;
        let head = parse_record_header(&read.map_err(io_error("read", path))?, number, offset);
        let next = head.and_then(|head| record_len(head.size_bytes)?.checked_add(offset));
        match (head, next) {
            (Some(head), Some(next)) if next <= len => {
                if data_holds(&mut window, offset, &head).await.map_err(io_error("read", path))? {
                    for (offset, head) in broken.drain(..) {
                        tracing::error!(path, offset, id = %head.id, "damaged record");
                        index.insert(head.id, location(number, offset, &head, true));
                    }
                    index.insert(head.id, location(number, offset, &head, false));
                    end = next;
                } else {
                    broken.push((offset, head));
                }
                offset = next;
            }
            _ => {
                match next_record(&mut window, offset + 1).await.map_err(io_error("read", path))? {
                    Some(found) => {
                        tracing::error!(path, offset, until = found, "bytes that are no record");
                        offset = found;
                    }
                    None => break,
                }
            }
        }
    }
    Ok(Tail { end, broken })
}

async fn data_holds(
    window: &mut Window<'_>,
    offset: u64,
    head: &ObjectHead,
) -> std::io::Result<bool> {
    let mut at = offset + RECORD_HEADER_BYTES as u64;
    let mut left = head.size_bytes;
    let mut crc = 0;
    while left > 0 {
        let step = usize::try_from(left).unwrap_or(READ_BYTES).min(READ_BYTES);
        let bytes = window.bytes(at, step).await?;
        if bytes.is_empty() {
            return Ok(false);
        }
        crc = crc32c::crc32c_append(crc, &bytes);
        at += bytes.len() as u64;
        left -= bytes.len() as u64;
    }
    Ok(window.bytes(at, RECORD_TRAILER_BYTES).await?[..] == crc.to_le_bytes())
}

/// The next place from `offset` on where a record header holds.
async fn next_record(window: &mut Window<'_>, mut offset: u64) -> std::io::Result<Option<u64>> {
    loop {
        let bytes = window.bytes(offset, READ_BYTES).await?;
        if bytes.len() < RECORD_HEADER_BYTES {
            return Ok(None);
        }
        let starts = bytes.len() - RECORD_HEADER_BYTES + 1;
        for at in 0..starts {
            let place = offset + at as u64;
            if bytes[at..].starts_with(&RECORD_MAGIC)
                && parse_record_header(&bytes[at..], window.number, place).is_some()
            {
                return Ok(Some(place));
            }
        }
        offset += starts as u64;
    }
}
