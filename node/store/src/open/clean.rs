//! The word of a store without a manifest that it was closed and not left: all of its last
//! segment was durable. It is read once, before the store has a manifest, and not written.
//!
//! Without it the last group of that segment may be torn, and what does not hold in it was
//! perhaps never acknowledged; with it, what does not hold there is damaged.
//!
//! It names the segment and its length, and so is never taken back: whatever is appended
//! makes the segment longer, and one that a crash leaves at that length, or recovery cuts to
//! it, has nothing but what was durable then.

use gitstratum_host::Disk;

use crate::format::segment::SegmentId;

const FILE: &str = "clean";
const FIRST_LINE: &str = "gitstratum clean 1\n";

fn text(segment: SegmentId, len: u64) -> String {
    let body = format!("{FIRST_LINE}{segment} {len}\n");
    format!("{body}{:08x}\n", crc32c::crc32c(body.as_bytes()))
}

/// Whether that was said of this segment.
pub(crate) async fn was_left(disk: &Disk, segment: SegmentId, len: u64) -> bool {
    let said = disk.read_whole(FILE).await;
    said.is_ok_and(|said| said == text(segment, len).as_bytes())
}
