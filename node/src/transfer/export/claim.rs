//! Directory lock.
//!
//! Whose a directory is: one export at a time, and nothing that something else put there.
//!
//! The file [`MARKER`] names the repository, or the manifest, that a directory is an export of. An export holds a lock
//! on it (`flock`), which the system frees when the process ends, however it ends. The file stays
//! when the repository is whole; Git takes no notice of it.
//!
//! Invariant: a directory is changed only under its lock, and only while it has no HEAD.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::{ExportError, writing};

/// Names what the directory is an export of, and is locked while one runs.
const MARKER: &str = "gitstratum-export";

/// A directory that this export alone may change.
#[derive(Debug)]
pub(super) struct Claim {
    dir: PathBuf,
    /// Whether HEAD was there, so that Git takes the directory for a repository.
    is_finished: bool,
    /// The marker.
    lock: File,
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Closing would do, but for a child that another thread is starting just now: it has the
        // file open too until it runs. The system frees what this could not.
        let _ = self.lock.unlock();
    }
}

/// What is in a directory, as far as it matters to an export.
enum Contents {
    Nothing,
    /// The marker, with these contents, and perhaps more.
    Export(String),
}

/// Refuses a directory that holds anything but an export `of` the same. Changes nothing.
pub(super) fn check_free(dir: &Path, of: &str) -> Result<(), ExportError> {
    match contents(dir)? {
        Contents::Export(text) => check_marker(dir, &text, of),
        Contents::Nothing => Ok(()),
    }
}

/// Makes the directory, unless it is there, and takes it.
pub(super) fn claim(dir: &Path, of: &str) -> Result<Claim, ExportError> {
    check_free(dir, of)?;
    let failed = || writing(format!("making {}", dir.display()));
    fs::create_dir_all(dir).map_err(failed())?;
    let path = dir.join(MARKER);
    let mut lock = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(writing(format!("writing {}", path.display())))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(occupied(
                dir,
                "another export is writing to it; wait until that has ended",
            ));
        }
        Err(TryLockError::Error(error)) => {
            return Err(writing(format!("locking {}", path.display()))(error));
        }
    }
    let mut text = String::new();
    lock.read_to_string(&mut text).map_err(writing(format!("reading {}", path.display())))?;
    check_marker(dir, &text, of)?;
    let line = format!("{of}\n");
    if text != line {
        // New, or an export that was stopped at its very beginning.
        if let Some(other) = other_than_marker(dir).map_err(failed())? {
            let problem = format!("{} came into it meanwhile", other.display());
            return Err(occupied(dir, problem));
        }
        let mut write = || {
            lock.set_len(0)?;
            lock.rewind()?;
            lock.write_all(line.as_bytes())?;
            lock.sync_all()?;
            File::open(dir)?.sync_all()
        };
        write().map_err(writing(format!("writing {}", path.display())))?;
    }
    let is_finished = match fs::symlink_metadata(dir.join("HEAD")) {
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(failed()(error)),
    };
    Ok(Claim { dir: dir.to_owned(), is_finished, lock })
}

impl Claim {
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// The directory cannot be exported to.
    pub(super) fn occupied(&self, problem: impl Into<String>) -> ExportError {
        occupied(&self.dir, problem)
    }
}

fn occupied(dir: &Path, problem: impl Into<String>) -> ExportError {
    ExportError::Occupied { path: dir.to_owned(), problem: problem.into() }
}

fn contents(dir: &Path) -> Result<Contents, ExportError> {
    let reading = || writing(format!("reading {}", dir.display()));
    let mut entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contents::Nothing),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(occupied(dir, "it, or what it would lie in, is a file"));
        }
        Err(error) => return Err(reading()(error)),
    };
    match entries.next() {
        None => return Ok(Contents::Nothing),
        Some(entry) => drop(entry.map_err(reading())?),
    }
    let marker = dir.join(MARKER);
    match fs::metadata(&marker) {
        Ok(found) if found.is_file() => {}
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(reading()(error)),
        _ => return Err(occupied(dir, "the directory is not empty, and no export of ours")),
    }
    let text = fs::read_to_string(&marker);
    text.map(Contents::Export).map_err(writing(format!("reading {}", marker.display())))
}

/// Refuses the marker of something else. One that was not written whole is nobody's yet.
fn check_marker(dir: &Path, text: &str, of: &str) -> Result<(), ExportError> {
    let line = format!("{of}\n");
    if line.starts_with(text) {
        return Ok(());
    }
    Err(occupied(dir, format!("it is an export of something else, {}", text.trim_end())))
}

/// What is in the directory beside the marker.
fn other_than_marker(dir: &Path) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name() != MARKER {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}
