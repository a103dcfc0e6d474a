//! Migration of an older hint log.
//!
//! The record of an earlier version, `missed.log`: lines of text, `<crc32c> <node id>
//! <object id> <reason>`. It listed what others missed and delivered nothing.
//!
//! Reading stops at the first line that does not hold, as it always did: only a crash in the
//! middle of an append left one.

use std::io;

use gitstratum_core::limits;
use gitstratum_core::object::ObjectId;
use gitstratum_core::placement::NodeId;
use gitstratum_host::Disk;
use gitstratum_host::disk::OpenMode;

use super::{HintError, failed};

/// Its file.
const FILE: &str = "missed.log";

/// The pairs of node and object that the earlier version recorded; `None` when it left
/// nothing.
pub(super) async fn read(disk: &Disk) -> Result<Option<Vec<(NodeId, ObjectId)>>, HintError> {
    let file = match disk.open(FILE, OpenMode::Read).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed(FILE, "open"))?,
    };
    let len = file.len().await.map_err(failed(FILE, "size"))?;
    let bytes = file.read_at(0, usize::try_from(len).unwrap_or(usize::MAX)).await;
    let bytes = bytes.map_err(failed(FILE, "read"))?;
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').map_while(parse_line);
    // No layout had a longer name.
    let named = |(node_id, _): &(NodeId, _)| node_id.as_str().len() <= limits::NAME_BYTES_MAX;
    Ok(Some(lines.filter(named).collect()))
}

/// Removes the file, durably.
pub(super) async fn remove(disk: &Disk) -> Result<(), HintError> {
    disk.remove(FILE).await.map_err(failed(FILE, "remove"))?;
    disk.sync_dir("").await.map_err(failed(FILE, "sync the directory of"))
}

fn parse_line(raw: &[u8]) -> Option<(NodeId, ObjectId)> {
    let line = std::str::from_utf8(raw).ok()?.strip_suffix('\n')?;
    let (crc, body) = line.split_once(' ')?;
    if u32::from_str_radix(crc, 16).ok()? != crc32c::crc32c(body.as_bytes()) {
        return None;
    }
    let (node_id, rest) = body.split_once(' ')?;
    let (id, _reason) = rest.split_once(' ')?;
    Some((NodeId::new(node_id), id.parse().ok()?))
}
