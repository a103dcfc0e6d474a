//! Temporary disk.
//!
//! A disk of its own for a test, the same way in both worlds.

use super::Disk;

/// An empty disk. On a real machine a temporary directory, removed on drop.
#[derive(Debug)]
pub struct Scratch {
    /// The disk.
    pub disk: Disk,
    #[cfg(not(madsim))]
    _directory: tempfile::TempDir,
}

/// Makes an empty disk.
///
/// # Panics
/// When the temporary directory cannot be made.
pub fn scratch() -> Scratch {
    #[cfg(not(madsim))]
    {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        Scratch { disk: Disk::new(directory.path()), _directory: directory }
    }
    #[cfg(madsim)]
    Scratch { disk: Disk::simulated(super::simulated::DiskProfile::instant(), 0) }
}
