//! Backup directory: whose it is, who is at it, and how files come into it.
//!
//! The marker says the form of the directory and of which cluster it is, and is locked (`flock`) by
//! whoever works on it: by one alone who writes, or by several who read. The system frees the lock
//! when the process ends, however it ends.
//!
//! What is in it is for the operator alone: a catalog has hashes of access tokens, and chunks have what
//! was pushed. So directories are made with mode 0700 and files with 0600.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use gitstratum_core::format::NewerFormat;
use serde::{Deserialize, Serialize};

use super::BackupError;
use super::error::failed;

/// The form of a directory and of its positions that this program writes, and the only one that it
/// reads.
pub(super) const FORMAT: u32 = 1;

const MARKER: &str = "gitstratum-backup.json";
const UNFINISHED: &str = "unfinished";

/// What the marker says.
#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    format: u32,
    cluster: String,
}

/// A backup directory that is locked. Whoever changes it has it alone.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    cluster: String,
    lock: File,
    /// Names of what is unfinished.
    next: AtomicU64,
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Closing would do, but for a child that another thread is starting just now.
        let _ = self.lock.unlock();
    }
}

impl Directory {
    /// Opens the directory of a cluster to write to it; makes it where there is none, or an empty one.
    ///
    /// # Errors
    /// [`BackupError::Directory`] where it is something else, or another cluster's, or in use.
    pub fn write(path: &Path, cluster: &str) -> Result<Self, BackupError> {
        check_free(path)?;
        make(path)?;
        let (mut lock, text) = open(path, true)?;
        if text.is_empty() {
            let marker = Marker { format: FORMAT, cluster: cluster.to_owned() };
            let text = serde_json::to_string(&marker).expect("a marker has keys that are text");
            let written = lock.write_all(format!("{text}\n").as_bytes());
            let synced = written.and_then(|()| lock.sync_all()).and_then(|()| sync(path));
            synced.map_err(failed("writing", &path.join(MARKER)))?;
        } else {
            let theirs = parse(path, &text)?.cluster;
            if theirs != cluster {
                return Err(wrong(
                    path,
                    format!(
                        "it is a backup of cluster {theirs}, and the peers are of cluster {cluster}: \
                         name another directory, or other peers"
                    ),
                ));
            }
        }
        Self::begin(path, cluster.to_owned(), lock)
    }

    /// Opens one that is there, of whichever cluster, to change it.
    ///
    /// # Errors
    /// As [`Directory::write`].
    pub fn change(path: &Path) -> Result<Self, BackupError> {
        check_is_backup(path)?;
        let (lock, text) = open(path, true)?;
        let cluster = parse(path, &text)?.cluster;
        Self::begin(path, cluster, lock)
    }

    /// Opens one that is there to read it; it may lie where nothing can be written.
    ///
    /// # Errors
    /// As [`Directory::write`].
    pub fn read(path: &Path) -> Result<Self, BackupError> {
        check_is_backup(path)?;
        let (lock, text) = open(path, false)?;
        let cluster = parse(path, &text)?.cluster;
        Ok(Directory { path: path.to_owned(), cluster, lock, next: AtomicU64::new(0) })
    }

    /// Removes what a writer before left, which nothing names.
    fn begin(path: &Path, cluster: String, lock: File) -> Result<Self, BackupError> {
        let unfinished = path.join(UNFINISHED);
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("removing", &unfinished)(error));
            }
            _ => make(&unfinished)?,
        }
        Ok(Directory { path: path.to_owned(), cluster, lock, next: AtomicU64::new(0) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Of which cluster it is.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// A path for something that is to have another name once it is whole. Only for who writes.
    pub(super) fn aside(&self) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.path.join(UNFINISHED).join(number.to_string())
    }
}

/// Makes a directory, and those above it, for its owner alone.
pub(super) fn make(path: &Path) -> Result<(), BackupError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(failed("making", path))
}

/// Makes a file, for its owner alone.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Has the names in a directory survive a power loss.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn wrong(path: &Path, problem: impl Into<String>) -> BackupError {
    BackupError::Directory { path: path.to_owned(), problem: problem.into() }
}

/// Refuses a directory that has something else in it.
fn check_free(path: &Path) -> Result<(), BackupError> {
    let mut entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("reading", path)(error)),
    };
    let is_other = |entry: &io::Result<fs::DirEntry>| {
        entry.as_ref().is_ok_and(|entry| entry.file_name() != "lost+found")
    };
    if path.join(MARKER).exists() || !entries.any(|entry| is_other(&entry)) {
        return Ok(());
    }
    Err(wrong(path, "it is not empty, and no backup: name a new or an empty directory"))
}

fn check_is_backup(path: &Path) -> Result<(), BackupError> {
    match path.join(MARKER).is_file() {
        true => Ok(()),
        false => Err(wrong(
            path,
            format!("it is no backup: there is no file {MARKER}, which `gitstratum backup` makes"),
        )),
    }
}

/// Opens the marker, and locks it.
fn open(path: &Path, to_write: bool) -> Result<(File, String), BackupError> {
    let marker = path.join(MARKER);
    let mut options = OpenOptions::new();
    options.read(true).write(to_write).create(to_write).truncate(false).mode(0o600);
    let mut file = options.open(&marker).map_err(failed("opening", &marker))?;
    let locked = if to_write { file.try_lock() } else { file.try_lock_shared() };
    match locked {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(wrong(
                path,
                "it is in use: another backup, restore, verify or prune is at it; wait until that \
                 has ended",
            ));
        }
        Err(TryLockError::Error(error)) => return Err(failed("locking", &marker)(error)),
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed("reading", &marker))?;
    Ok((file, text))
}

fn parse(path: &Path, text: &str) -> Result<Marker, BackupError> {
    check_format(&path.join(MARKER), text)?;
    serde_json::from_str(text).map_err(|error| wrong(&path.join(MARKER), format!("{error}")))
}

/// Refuses what a newer program wrote, whatever else it says.
pub(super) fn check_format(path: &Path, text: &str) -> Result<(), BackupError> {
    #[derive(Deserialize)]
    struct Formatted {
        format: u32,
    }
    let formatted: Formatted = serde_json::from_str(text)
        .map_err(|error| wrong(path, format!("it is damaged, or no part of a backup: {error}")))?;
    match formatted.format {
        FORMAT => Ok(()),
        other => Err(wrong(path, NewerFormat::new("it", other, FORMAT).to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(done: Result<Directory, BackupError>) -> String {
        done.unwrap_err().to_string()
    }

    #[test]
    fn a_directory_is_of_one_cluster_and_nothing_else_is_taken_for_one() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a/b");
        drop(Directory::write(&path, "here").unwrap());
        assert_eq!(Directory::read(&path).unwrap().cluster(), "here");
        let said = refused(Directory::write(&path, "there"));
        assert!(said.contains("of cluster here, and the peers are of cluster there"), "{said}");

        let said = refused(Directory::read(&scratch.path().join("a")));
        assert!(said.contains("it is no backup"), "{said}");
        let said = refused(Directory::write(&scratch.path().join("a"), "here"));
        assert!(said.contains("not empty"), "{said}");
        let said = refused(Directory::change(&scratch.path().join("no/such")));
        assert!(said.contains("it is no backup"), "{said}");
        assert!(!scratch.path().join("no").exists());
    }

    #[test]
    fn one_writes_alone_and_several_read() {
        let scratch = tempfile::tempdir().unwrap();
        let writer = Directory::write(scratch.path(), "here").unwrap();
        assert!(refused(Directory::write(scratch.path(), "here")).contains("it is in use"));
        assert!(refused(Directory::read(scratch.path())).contains("it is in use"));
        drop(writer);
        let readers = [0, 1].map(|_| Directory::read(scratch.path()).unwrap());
        assert!(refused(Directory::change(scratch.path())).contains("it is in use"));
        drop(readers);
        Directory::change(scratch.path()).unwrap();
    }

    #[test]
    fn what_a_newer_program_wrote_is_refused_whatever_else_it_says() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join(MARKER), "{\"format\":2,\"clusters\":[]}").unwrap();
        let said = refused(Directory::read(scratch.path()));
        assert!(said.contains("has format 2, and this program reads formats up to 1"), "{said}");
        fs::write(scratch.path().join(MARKER), "{").unwrap();
        assert!(refused(Directory::read(scratch.path())).contains("damaged"));
    }
}
