//! Blocking file I/O.
//!
//! A directory of the machine's file system, used off the async threads.
//!
//! System calls that may wait for a device run on tokio's blocking threads, unless the task
//! that makes them has a thread of its own ([`Disk::in_place`], [`File::in_place`]). A read first
//! tries the page cache on the calling thread (`RWF_NOWAIT`), because a hop costs more
//! than the read it would save. An operation whose future is dropped is still finished.

mod file;

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, OFlags, StatVfsMountFlags};
use rustix::io::Errno;
use tokio::task::JoinError;

use super::errors::exhausted;
use super::{OpenMode, Room, assert_path, failed};
pub use file::File;
use file::Inner;

/// A directory tree. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Disk {
    root: Arc<Path>,
    /// Whether what concerns names is done on the calling thread.
    in_place: bool,
}

/// An open directory. It is opened before something is done that its entries must have,
/// because afterwards there may be no descriptor left.
#[derive(Debug)]
pub struct Directory {
    directory: Arc<fs::File>,
    path: PathBuf,
    /// Whether it is synced on the calling thread.
    in_place: bool,
}

/// An exclusive lock, held until dropped or until the process dies.
#[derive(Debug)]
pub struct DiskLock {
    /// Closing the descriptor frees the lock.
    _file: fs::File,
}

impl Disk {
    /// The disk whose root is this directory (made by `create_dir_all("")`).
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Disk { root: root.into().into(), in_place: false }
    }

    /// The same directory tree, where what concerns names is done on the calling thread: for a
    /// [`crate::dedicated`] task, or a few short steps before one. Its files are like any others.
    pub fn in_place(self) -> Self {
        Disk { in_place: true, ..self }
    }

    fn path(&self, path: &str) -> PathBuf {
        assert_path(path);
        if path.is_empty() { self.root.to_path_buf() } else { self.root.join(path) }
    }

    /// Makes a directory and its missing parents, durably.
    ///
    /// # Errors
    /// Those of `mkdir` and `fsync`.
    pub async fn create_dir_all(&self, dir: &str) -> io::Result<()> {
        let (root, dir) = (self.root.clone(), self.path(dir));
        wait(self.in_place, move || {
            let mut levels: Vec<&Path> = dir.ancestors().collect();
            levels.reverse();
            for level in levels.into_iter().filter(|level| level.parent().is_some()) {
                let made = match fs::create_dir(level) {
                    Ok(()) => true,
                    Err(_) if level.is_dir() => false,
                    Err(error) => return Err(failed("create", &shown(level), error)),
                };
                // A directory that an earlier, interrupted call made may lack its sync.
                let ours = level != &*root && level.starts_with(&root);
                if made || ours {
                    sync_directory(level.parent().expect("levels without a parent are out"))?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Names in a directory, sorted.
    ///
    /// # Errors
    /// `NotFound`; `InvalidData` for a name that is not UTF-8.
    pub async fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let dir = self.path(dir);
        wait(self.in_place, move || {
            let wrap = |error| failed("list", &shown(&dir), error);
            let mut names = Vec::new();
            for entry in fs::read_dir(&dir).map_err(not_opened).map_err(wrap)? {
                let name = entry.map_err(wrap)?.file_name();
                let name = name.into_string().map_err(|_| wrap(not_utf8()))?;
                names.push(name);
            }
            names.sort();
            Ok(names)
        })
        .await
    }

    /// Whether there is a file or directory at `path`.
    ///
    /// # Errors
    /// When that cannot be said, as without permission.
    pub async fn exists(&self, path: &str) -> io::Result<bool> {
        let path = self.path(path);
        wait(self.in_place, move || {
            path.try_exists().map_err(|error| failed("look for", &shown(&path), error))
        })
        .await
    }

    /// Opens or makes a file.
    ///
    /// # Errors
    /// `NotFound`, `AlreadyExists`, `PermissionDenied` and the like.
    pub async fn open(&self, path: &str, mode: OpenMode) -> io::Result<File> {
        let path = self.path(path);
        wait(self.in_place, move || {
            let mut options = fs::OpenOptions::new();
            options.read(true).write(mode != OpenMode::Read);
            options.create_new(mode == OpenMode::CreateNew);
            // Reads then cost less. Only a file's owner may: others do without.
            let no_atime = OFlags::NOATIME.bits().cast_signed();
            let opened = match options.clone().custom_flags(no_atime).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    options.open(&path)
                }
                opened => opened,
            };
            match opened {
                Ok(file) => {
                    let inner = Arc::new(Inner { file, path });
                    Ok(File { inner, in_place: false })
                }
                Err(error) => Err(failed("open", &shown(&path), not_opened(error))),
            }
        })
        .await
    }

    /// Opens a directory, to sync its entries later.
    ///
    /// # Errors
    /// `NotFound` and the like.
    pub async fn open_dir(&self, dir: &str) -> io::Result<Directory> {
        let (path, in_place) = (self.path(dir), self.in_place);
        wait(in_place, move || {
            let directory = Arc::new(open_directory(&path)?);
            Ok(Directory { directory, path, in_place })
        })
        .await
    }

    /// Renames a file, replacing what was there.
    ///
    /// # Errors
    /// `NotFound` and the like.
    pub async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        wait(self.in_place, move || {
            fs::rename(&from, &to).map_err(|error| failed("rename", &shown(&from), error))
        })
        .await
    }

    /// Gives a file a second name (a hard link). Durable after [`Disk::sync_dir`] of the
    /// directory of `to`; the file's contents only after [`File::sync_data`].
    ///
    /// # Errors
    /// `AlreadyExists` when there is something at `to`; `NotFound` and the like.
    pub async fn link(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        wait(self.in_place, move || {
            fs::hard_link(&from, &to).map_err(|error| {
                failed("link", &format!("{} to {}", shown(&from), shown(&to)), error)
            })
        })
        .await
    }

    /// What the file system has left.
    ///
    /// # Errors
    /// Those of `statvfs`, as `NotFound` before the root was made.
    pub async fn room(&self) -> io::Result<Room> {
        let root = self.root.clone();
        wait(self.in_place, move || {
            let state = rustix::fs::statvfs(&*root)
                .map_err(|errno| failed("ask for the room in", &shown(&root), errno))?;
            Ok(Room {
                bytes: state.f_bavail.saturating_mul(state.f_frsize),
                // File systems that make inodes as they need them say that they have none at all.
                files: (state.f_files > 0).then_some(state.f_favail),
                read_only: state.f_flag.contains(StatVfsMountFlags::RDONLY),
            })
        })
        .await
    }

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound` and the like.
    pub async fn remove(&self, path: &str) -> io::Result<()> {
        let path = self.path(path);
        wait(self.in_place, move || {
            fs::remove_file(&path).map_err(|error| failed("remove", &shown(&path), error))
        })
        .await
    }

    /// Makes the entries of a directory durable.
    ///
    /// # Errors
    /// Those of `fsync`.
    pub async fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let dir = self.path(dir);
        wait(self.in_place, move || sync_directory(&dir)).await
    }

    /// Takes the exclusive lock on a file, making it if need be; `WouldBlock` when
    /// another process has it.
    ///
    /// # Errors
    /// `WouldBlock`, or why the file cannot be opened.
    pub async fn lock(&self, path: &str) -> io::Result<DiskLock> {
        let path = self.path(path);
        wait(self.in_place, move || {
            let wrap = |error| failed("lock", &shown(&path), error);
            let mut options = fs::OpenOptions::new();
            let options = options.read(true).write(true).create(true).truncate(false);
            let file = match options.open(&path) {
                // Where nothing can be written, the file that is there can be locked all the same.
                Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                    fs::File::open(&path)
                }
                opened => opened,
            };
            let file = file.map_err(not_opened).map_err(wrap)?;
            rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
                .map_err(|errno| wrap(errno.into()))?;
            Ok(DiskLock { _file: file })
        })
        .await
    }
}

impl Directory {
    /// Makes the entries of the directory durable.
    ///
    /// # Errors
    /// Those of `fsync`.
    pub async fn sync(&self) -> io::Result<()> {
        let (directory, path) = (self.directory.clone(), self.path.clone());
        wait(self.in_place, move || sync_opened(&directory, &path)).await
    }
}

fn sync_directory(dir: &Path) -> io::Result<()> {
    sync_opened(&open_directory(dir)?, dir)
}

fn open_directory(dir: &Path) -> io::Result<fs::File> {
    // The parent of a relative one-part path is written as the empty path.
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let opened = fs::File::open(dir).map_err(not_opened);
    opened.map_err(|error| failed("open directory", &shown(dir), error))
}

fn sync_opened(directory: &fs::File, dir: &Path) -> io::Result<()> {
    directory.sync_all().map_err(|error| failed("sync directory", &shown(dir), error))
}

/// The error of an `open`, marked when descriptors or memory were wanting.
fn not_opened(error: io::Error) -> io::Error {
    let wanting = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN];
    match Errno::from_io_error(&error) {
        Some(errno) if wanting.contains(&errno) => exhausted(error.kind(), error.to_string()),
        _ => error,
    }
}

fn not_utf8() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a name in it is not UTF-8")
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Does what may wait for a device, on the calling thread or off the async ones.
async fn wait<T: Send + 'static>(
    in_place: bool,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match in_place {
        true => work(),
        false => joined(tokio::task::spawn_blocking(work).await),
    }
}

fn joined<T>(ended: Result<io::Result<T>, JoinError>) -> io::Result<T> {
    match ended {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down and did not start the work.
        Err(error) => Err(io::Error::new(io::ErrorKind::Interrupted, error)),
    }
}
