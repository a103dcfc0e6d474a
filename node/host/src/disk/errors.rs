//! Disk error classification.
//!
//! What errors of a disk mean: no room, nothing that can be written, or no descriptor or memory
//! left to open a file with.
//!
//! The last say nothing of the disk, and nothing was done: whoever meets one is overloaded until
//! others close what they have open. Errors of writing and syncing are never among them, since
//! after those nobody knows what was done.

use std::fmt;
use std::io;

/// What such an error carries.
#[derive(Debug)]
struct Exhausted {
    words: String,
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Exhausted {}

/// Whether a file could not be opened for want of descriptors or memory.
pub fn is_exhausted(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|carried| carried.is::<Exhausted>())
}

/// Whether something was not written for want of room, or of a quota.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether something was not done for want of what may be there later: room, descriptors or memory.
pub fn is_shortage(error: &io::Error) -> bool {
    is_full(error) || is_exhausted(error)
}

/// Whether something was not done because the file system is read-only.
pub fn is_read_only(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ReadOnlyFilesystem
}

/// An error of exhaustion, in these words.
pub(super) fn exhausted(kind: io::ErrorKind, words: String) -> io::Error {
    io::Error::new(kind, Exhausted { words })
}
