//! Object files of a backup: a chunk each, named by its id.
//!
//! All chunks of a repository have the same place on the ring, which is the beginning of their ids;
//! so each repository has a directory of its own. A file under its name is whole, because it got the
//! name when it was; whether it still is what the name says, reading it tells.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gitstratum_core::object::{Kind, Object, ObjectId};

use super::directory::{create, make, sync};
use super::error::failed;
use super::{BackupError, Directory};

const OBJECTS: &str = "objects";
/// Digits of an id that name a directory of directories, and the directory in it.
const FIRST_DIGITS: usize = 2;
const PLACE_DIGITS: usize = 16;

/// What is wrong with a file.
#[derive(Debug)]
pub(super) enum Unsound {
    /// It is not there.
    Missing,
    /// It is something else than its name says.
    Damaged(String),
}

/// The files of a directory. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Objects {
    directory: Arc<Directory>,
    /// Directories that got names since the last sync.
    touched: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Objects {
    pub(super) fn of(directory: Arc<Directory>) -> Self {
        Objects { directory, touched: Arc::default() }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join(OBJECTS)
    }

    fn path(&self, id: &ObjectId) -> PathBuf {
        let digits = id.to_string();
        let (place, rest) = digits.split_at(PLACE_DIGITS);
        self.root().join(&place[..FIRST_DIGITS]).join(place).join(rest)
    }

    /// How long the file of an object is; nothing, where there is none.
    pub(super) fn len(&self, id: &ObjectId) -> Result<Option<u64>, BackupError> {
        let path = self.path(id);
        match fs::metadata(&path) {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("reading", &path)(error)),
        }
    }

    /// Reads an object, and proves that it is what its name says.
    pub(super) fn read(&self, id: &ObjectId) -> Result<Result<Object, Unsound>, BackupError> {
        let path = self.path(id);
        match fs::read(&path) {
            Ok(data) => {
                let object = Object::claimed(*id, Kind::Chunk, Bytes::from(data)).verified();
                Ok(object.map_err(|error| Unsound::Damaged(error.to_string())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Err(Unsound::Missing)),
            // What a disk cannot read is lost, and no reason to stop looking at the rest.
            Err(error) if error.raw_os_error() == Some(EIO) => {
                Ok(Err(Unsound::Damaged(error.to_string())))
            }
            Err(error) => Err(failed("reading", &path)(error)),
        }
    }

    /// Writes an object. Its name survives a power loss after [`Objects::sync`].
    pub(super) fn write(&self, object: &Object) -> Result<(), BackupError> {
        let (path, aside) = (self.path(&object.id()), self.directory.aside());
        let parent = path.parent().expect("an object lies in a directory");
        make(parent)?;
        let write = || {
            let mut file = create(&aside)?;
            file.write_all(object.data())?;
            file.sync_data()?;
            fs::rename(&aside, &path)
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&aside);
            failed("writing", &path)(error)
        })?;
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        if !touched.contains(parent) {
            let within = parent.ancestors().take_while(|above| *above != self.directory.path());
            touched.extend(within.map(Path::to_owned));
        }
        Ok(())
    }

    /// Has all names that were given so far survive a power loss.
    pub(super) fn sync(&self) -> Result<(), BackupError> {
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        for path in std::mem::take(&mut *touched) {
            sync(&path).map_err(failed("syncing", &path))?;
        }
        let root = self.directory.path();
        sync(root).map_err(failed("syncing", root))
    }

    /// All files, whether they are those of objects or not, each with its length.
    pub(super) fn all(&self) -> Result<Vec<(Option<ObjectId>, PathBuf, u64)>, BackupError> {
        let (mut files, mut directories) = (Vec::new(), vec![self.root()]);
        while let Some(directory) = directories.pop() {
            let entries = match fs::read_dir(&directory) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries.map_err(failed("reading", &directory))?,
            };
            for entry in entries {
                let entry = entry.map_err(failed("reading", &directory))?;
                let (path, found) = (entry.path(), entry.metadata());
                let found = found.map_err(failed("reading", &path))?;
                match found.is_dir() {
                    true => directories.push(path),
                    false => files.push((self.id_of(&path), path, found.len())),
                }
            }
        }
        Ok(files)
    }

    /// Whose file this is.
    fn id_of(&self, path: &Path) -> Option<ObjectId> {
        let place = path.parent()?.file_name()?.to_str()?;
        let id: ObjectId = format!("{place}{}", path.file_name()?.to_str()?).parse().ok()?;
        (self.path(&id) == path).then_some(id)
    }
}

/// What a system says of a disk that cannot read.
const EIO: i32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(place: u64, data: &'static [u8]) -> Object {
        Object::chunk(place, [1, 2, 3, 4], Bytes::from_static(data))
    }

    #[test]
    fn what_was_written_is_read_and_what_changed_since_is_told() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = Arc::new(Directory::write(scratch.path(), "here").unwrap());
        let objects = Objects::of(directory);
        let (one, two) = (chunk(7, b"one"), chunk(7 << 40, b"two"));
        assert_eq!(objects.len(&one.id()).unwrap(), None);
        objects.write(&one).unwrap();
        objects.write(&two).unwrap();
        objects.sync().unwrap();
        assert_eq!(objects.read(&one.id()).unwrap().unwrap(), one);
        assert_eq!(objects.len(&two.id()).unwrap(), Some(3));
        let mut ids: Vec<_> = objects.all().unwrap().into_iter().map(|(id, ..)| id).collect();
        ids.sort();
        let mut expected = vec![Some(one.id()), Some(two.id())];
        expected.sort();
        assert_eq!(ids, expected);

        fs::write(objects.path(&one.id()), "onE").unwrap();
        assert!(matches!(objects.read(&one.id()).unwrap(), Err(Unsound::Damaged(_))));
        fs::remove_file(objects.path(&two.id())).unwrap();
        assert!(matches!(objects.read(&two.id()).unwrap(), Err(Unsound::Missing)));
        assert_eq!(fs::read_dir(scratch.path().join("unfinished")).unwrap().count(), 0);
    }
}
