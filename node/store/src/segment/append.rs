//! Writing a group at the end of a segment's file, and what is written ahead of it.
//!
//! A flush of a file that has grown must write metadata too, which doubles the time of a
//! small one. So a small group that reaches the end of its file takes zeros along, and the
//! groups after it are written over them. Only the last segment may end in zeros: they are
//! cut before the next one is begun, and by whoever opens the store after a crash.

use bytes::Bytes;
use gitstratum_core::limits;
use gitstratum_host::disk::{File, is_full};

use crate::options::{Fsync, StoreOptions};

/// Writes a group's buffers from `start` to `end` of a file that reaches to `file_len`, and
/// says how far it does then. Syncs before it returns, where that is wanted.
///
/// # Errors
/// Those of writing and syncing; then any part may have been written.
pub(crate) async fn append(
    options: &StoreOptions,
    file: &File,
    [start, end, file_len]: [u64; 3],
    mut buffers: Vec<Bytes>,
) -> std::io::Result<u64> {
    if options.fsync != Fsync::Always {
        file.write_at(start, buffers).await?;
        return Ok(end.max(file_len));
    }
    let zeros = options.zeros_ahead_bytes.min(options.segment_bytes_max.saturating_sub(end));
    let small = end - start <= limits::ZEROS_AHEAD_GROUP_BYTES_MAX;
    if end <= file_len || !small || zeros == 0 {
        file.write_at_and_sync(start, buffers).await?;
        return Ok(end.max(file_len));
    }
    let group = buffers.clone();
    buffers.extend(zero_buffers(zeros));
    match file.write_at_and_sync(start, buffers).await {
        Ok(()) => Ok(end + zeros),
        // The group itself may still have room.
        Err(error) if is_full(&error) => {
            file.write_at_and_sync(start, group).await?;
            cut(file, end).await?;
            Ok(end)
        }
        Err(error) => Err(error),
    }
}

/// Takes away what a file has from `len` on, durably.
///
/// # Errors
/// Those of `ftruncate` and `fdatasync`.
pub(crate) async fn cut(file: &File, len: u64) -> std::io::Result<()> {
    file.set_len(len).await?;
    file.sync_data().await
}

/// So many zeros, as views of the same few.
fn zero_buffers(bytes: u64) -> impl Iterator<Item = Bytes> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    (0..bytes).step_by(ZEROS.len()).map(move |at| {
        let len = usize::try_from(bytes - at).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        Bytes::from_static(&ZEROS[..len])
    })
}
