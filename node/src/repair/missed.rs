//! The durable record of replica writes that failed elsewhere.
//!
//! One append-only file of text lines, `<crc32c> <node id> <object id> <reason>`, synced
//! before a reporter is answered. The checksum covers what follows it; reading stops at the
//! first line that does not hold, which only a crash in the middle of an append leaves, and
//! the next append overwrites it. A node id has no spaces; a reason has no line breaks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use gitstratum_host::disk::{Disk, File, OpenMode};
use gitstratum_proto::v1::MissedStatus;

use crate::limits;
use crate::object::ObjectId;
use crate::placement::NodeId;
use crate::quorum::{Missed, Recorded};
use crate::wire::codec::missed_to_wire;

const FILE: &str = "missed.log";
const REASON_BYTES_MAX: usize = 512;

/// Why the record could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{FILE}: {doing}: {source}")]
pub struct MissedError {
    doing: &'static str,
    source: std::io::Error,
}

fn while_doing(doing: &'static str) -> impl FnOnce(std::io::Error) -> MissedError {
    move |source| MissedError { doing, source }
}

fn pair(missed: &Missed) -> (NodeId, ObjectId) {
    (missed.node_id.clone(), missed.id)
}

#[derive(Default)]
struct Known {
    /// In the order of recording.
    records: BTreeMap<u64, Missed>,
    pairs: BTreeSet<(NodeId, ObjectId)>,
    dropped: u64,
}

impl Known {
    fn has(&self, missed: &Missed) -> bool {
        self.pairs.contains(&pair(missed))
    }

    /// Enters a record that is new, if there is room for it.
    fn admit(&mut self, missed: &Missed) {
        if self.has(missed) {
            return;
        }
        if self.records.len() >= limits::MISSED_RECORDS_MAX {
            self.dropped += 1;
            return;
        }
        let next = self.records.last_key_value().map_or(0, |(last, _)| last + 1);
        self.pairs.insert(pair(missed));
        self.records.insert(next, missed.clone());
    }
}

/// The record of one node.
pub struct MissedLog {
    file: File,
    /// Where the next line goes. Held across the write: appends are one at a time.
    end: tokio::sync::Mutex<u64>,
    known: std::sync::Mutex<Known>,
}

impl MissedLog {
    /// Opens the record in the disk's root, making it if there is none.
    ///
    /// # Errors
    /// [`MissedError`] when the file cannot be opened or read.
    pub async fn open(disk: &Disk) -> Result<Self, MissedError> {
        let file = match disk.open(FILE, OpenMode::ReadWrite).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let file = disk.open(FILE, OpenMode::CreateNew).await;
                let file = file.map_err(while_doing("create"))?;
                disk.sync_dir("").await.map_err(while_doing("sync directory"))?;
                file
            }
            opened => opened.map_err(while_doing("open"))?,
        };
        let len = file.len().await.map_err(while_doing("size"))?;
        let bytes = file.read_at(0, usize::try_from(len).unwrap_or(usize::MAX)).await;
        let (known, end) = parse(&bytes.map_err(while_doing("read"))?);
        Ok(MissedLog {
            file,
            end: tokio::sync::Mutex::new(end),
            known: std::sync::Mutex::new(known),
        })
    }

    /// Records what is new among `missed`, durably. Goes on when its caller goes away: an
    /// append that was cut short would be overwritten by the next.
    ///
    /// # Errors
    /// [`MissedError`] when it could not be written; then it is not listed either.
    pub async fn record(self: &Arc<Self>, missed: Vec<Missed>) -> Result<Recorded, MissedError> {
        let log = self.clone();
        let recorded = tokio::spawn(async move { log.append(missed).await }).await;
        recorded.unwrap_or_else(|error| Err(while_doing("append")(std::io::Error::other(error))))
    }

    async fn append(&self, missed: Vec<Missed>) -> Result<Recorded, MissedError> {
        let mut end = self.end.lock().await;
        let reported = missed.len() as u64;
        let mut pairs = BTreeSet::new();
        let (new, lines, dropped) = {
            let mut known = self.lock_known();
            let is_new = |missed: &Missed| !known.has(missed) && pairs.insert(pair(missed));
            let mut new: Vec<_> = missed.into_iter().filter(is_new).collect();
            let room = limits::MISSED_RECORDS_MAX.saturating_sub(known.records.len());
            let dropped = new.len().saturating_sub(room) as u64;
            known.dropped += dropped;
            new.truncate(room);
            let lines: String = new.iter().map(line).collect();
            (new, lines, dropped)
        };
        let already = reported - new.len() as u64 - dropped;
        let recorded = Recorded { new: new.len() as u64, already, dropped };
        if lines.is_empty() {
            return Ok(recorded);
        }
        let len = lines.len() as u64;
        let written = self.file.write_at_and_sync(*end, vec![Bytes::from(lines)]).await;
        written.map_err(while_doing("append"))?;
        *end += len;
        // Known only now: whoever finds a pair known finds it durable.
        let mut known = self.lock_known();
        new.iter().for_each(|missed| known.admit(missed));
        Ok(recorded)
    }

    fn lock_known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().expect("nothing panics while it records")
    }

    /// Counts, and the first of the record.
    pub fn status(&self) -> MissedStatus {
        let known = self.lock_known();
        MissedStatus {
            count: known.records.len() as u64,
            dropped: known.dropped,
            first: known
                .records
                .values()
                .take(limits::MISSED_LISTED_MAX)
                .map(missed_to_wire)
                .collect(),
        }
    }
}

fn line(missed: &Missed) -> String {
    let mut reason = missed.reason.replace(['\n', '\r'], " ");
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    let body = format!("{} {} {reason}", missed.node_id, missed.id);
    format!("{:08x} {body}\n", crc32c::crc32c(body.as_bytes()))
}

/// The records up to the first broken line, and where that line begins.
fn parse(bytes: &[u8]) -> (Known, u64) {
    let mut known = Known::default();
    let mut end = 0;
    for raw in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(missed) = parse_line(raw) else { break };
        known.admit(&missed);
        end += raw.len() as u64;
    }
    (known, end)
}

fn parse_line(raw: &[u8]) -> Option<Missed> {
    let line = std::str::from_utf8(raw).ok()?.strip_suffix('\n')?;
    let (crc, body) = line.split_once(' ')?;
    if u32::from_str_radix(crc, 16).ok()? != crc32c::crc32c(body.as_bytes()) {
        return None;
    }
    let (node_id, rest) = body.split_once(' ')?;
    let (id, reason) = rest.split_once(' ')?;
    Some(Missed { node_id: NodeId::new(node_id), id: id.parse().ok()?, reason: reason.to_owned() })
}
