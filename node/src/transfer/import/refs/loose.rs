//! Loose references.
//!
//! References that have a file of their own, under `refs/`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::{fs, io};

use gix::bstr::ByteSlice;

use super::super::error::{ImportError, reading};
use super::super::repository::{Repository, is_absent, read_regular};
use super::{Found, REF_FILE_BYTES_MAX, Value, parse, shown};

/// What each linked work tree has for itself.
const OF_WORK_TREE: [&[u8]; 3] = [b"refs/bisect", b"refs/rewritten", b"refs/worktree"];

/// Adds all loose references to `found`.
pub(super) fn read(repository: &Repository, found: &mut Found) -> Result<(), ImportError> {
    let mut walk = Walk { repository, found, above: Vec::new() };
    if repository.is_linked() {
        for name in OF_WORK_TREE {
            walk.directory(&repository.git_dir.join(OsStr::from_bytes(name)), name)?;
        }
    }
    walk.directory(&repository.common_dir.join("refs"), b"refs")
}

/// The way down from `refs/`.
struct Walk<'w> {
    repository: &'w Repository,
    found: &'w mut Found,
    /// Device and inode of the directories that we are in: a link to one of them has no end.
    above: Vec<(u64, u64)>,
}

impl Walk<'_> {
    fn directory(&mut self, path: &Path, name: &[u8]) -> Result<(), ImportError> {
        let doing = || format!("reading references in {}", path.display());
        let entries = fs::metadata(path).and_then(|found| Ok((found, fs::read_dir(path)?)));
        let (here, entries) = match entries {
            Ok((found, entries)) => ((found.dev(), found.ino()), entries),
            // Git removes directories that have become empty.
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(reading(doing())(error)),
        };
        if self.above.contains(&here) {
            return Err(self.repository.unsupported(format!(
                "{} is a symbolic link to a directory that it lies in: the references there \
                 have no end",
                path.display()
            )));
        }
        self.above.push(here);
        for entry in entries {
            let entry = entry.map_err(reading(doing()))?;
            let (file_name, path) = (entry.file_name(), entry.path());
            // Git passes over both without a word: a lock, and what was never a reference.
            if file_name.as_bytes().starts_with(b".") || file_name.as_bytes().ends_with(b".lock") {
                continue;
            }
            let name = [name, b"/", file_name.as_bytes()].concat();
            let file_type = entry.file_type().map_err(reading(doing()))?;
            if file_type.is_symlink() {
                self.link(&path, &name)?;
            } else if file_type.is_dir() {
                self.subdirectory(&path, &name)?;
            } else if file_type.is_file() {
                self.file(&path, &name)?;
            }
        }
        self.above.pop();
        Ok(())
    }

    fn subdirectory(&mut self, path: &Path, name: &[u8]) -> Result<(), ImportError> {
        let of_another_work_tree = self.repository.is_linked() && OF_WORK_TREE.contains(&name);
        if of_another_work_tree { Ok(()) } else { self.directory(path, name) }
    }

    fn link(&mut self, path: &Path, name: &[u8]) -> Result<(), ImportError> {
        let doing = || format!("following the symbolic link {}", path.display());
        let text = match fs::read_link(path) {
            Ok(text) => text,
            Err(error) if is_absent(&error) => return Ok(()),
            // It is something else by now.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return self.file(path, name);
            }
            Err(error) => return Err(reading(doing())(error)),
        };
        let leads_to = fs::metadata(path);
        if leads_to.as_ref().is_ok_and(fs::Metadata::is_dir) {
            return self.subdirectory(path, name);
        }
        let text = bytes_of(text.as_os_str());
        if text.starts_with(b"refs/") && gix::validate::reference::name(text.as_bstr()).is_ok() {
            return self.found.add(self.repository, name, Value::Symbolic(text.into()));
        }
        match leads_to {
            Ok(found) if found.is_file() => self.file(path, name),
            Ok(_) => {
                let problem = "its link leads to no file".to_owned();
                self.found.add(self.repository, name, Value::Broken(problem))
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(reading(doing())(error))
            }
            Err(error) => {
                let problem = format!("its link cannot be followed: {error}");
                self.found.add(self.repository, name, Value::Broken(problem))
            }
        }
    }

    fn file(&mut self, path: &Path, name: &[u8]) -> Result<(), ImportError> {
        let value = match read_regular(path, REF_FILE_BYTES_MAX) {
            Ok(Some(text)) => parse(&text, self.repository.algorithm),
            // Deleted, or packed: then it is found there.
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                Value::Broken("its file is too long for one".to_owned())
            }
            Err(error) => {
                return Err(reading(format!("reading the reference {}", shown(name)))(error));
            }
        };
        self.found.add(self.repository, name, value)
    }
}

/// The bytes of a file's name.
pub(super) fn bytes_of(name: &OsStr) -> &[u8] {
    name.as_bytes()
}
