//! Atomic output file.
//!
//! Where an object's data goes: standard output, or a file that appears only when it is whole.
//!
//! Invariant: a file that was there before stays as it was until the new one is complete; what
//! is given up, for whatever reason the process lives to see, leaves nothing. A pipe, a device
//! or a descriptor cannot be made aside and is written in place.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::Failure;
use super::output::unwritten;

/// Names of our own standard output: opened anew, a file that it goes to would be written from
/// its beginning.
const STDOUT_NAMES: [&str; 3] = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
/// Symbolic links that are followed to the file that a name stands for.
const LINKS_MAX: usize = 40;

/// Where data goes.
pub(super) struct Destination {
    /// As it was asked for.
    name: PathBuf,
    place: Place,
}

enum Place {
    Stdout,
    Direct(File),
    /// To be given the second name when it is whole.
    Aside(NamedTempFile, PathBuf),
}

impl Destination {
    /// Standard output, or the file of this name.
    ///
    /// # Errors
    /// [`Failure::Operation`] when it cannot be written; nothing was changed then.
    pub(super) fn open(name: Option<&Path>) -> Result<Self, Failure> {
        let Some(name) = name else {
            return Ok(Destination { name: PathBuf::new(), place: Place::Stdout });
        };
        let place = place_of(name);
        let place = place.map_err(Failure::operation(format!("write {}", name.display())))?;
        Ok(Destination { name: name.to_owned(), place })
    }

    /// Whether giving up takes more than to stop.
    pub(super) fn is_aside(&self) -> bool {
        matches!(self.place, Place::Aside(..))
    }

    /// The next bytes.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = match &mut self.place {
            Place::Stdout => return io::stdout().write_all(bytes).map_err(unwritten),
            Place::Direct(file) => file.write_all(bytes),
            Place::Aside(file, _) => file.as_file_mut().write_all(bytes),
        };
        written.map_err(Failure::operation(format!("write {}", self.name.display())))
    }

    /// The data is whole: it is all there when this returns.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn complete(self) -> Result<(), Failure> {
        let completed = match self.place {
            Place::Stdout => return io::stdout().flush().map_err(unwritten),
            Place::Direct(_) => Ok(()),
            Place::Aside(file, path) => {
                let synced = file.as_file().sync_all();
                synced.and_then(|()| Ok(file.persist(path).map(drop)?))
            }
        };
        completed.map_err(Failure::operation(format!("write {}", self.name.display())))
    }
}

fn place_of(name: &Path) -> io::Result<Place> {
    let mut path = name.to_owned();
    for _ in 0..LINKS_MAX {
        if STDOUT_NAMES.iter().any(|stdout| path == Path::new(stdout)) {
            return Ok(Place::Stdout);
        }
        if path.starts_with("/dev/fd") || path.starts_with("/proc") {
            return in_place(&path);
        }
        match std::fs::read_link(&path) {
            // Whoever made the link wants it to stay.
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => break,
        }
    }
    match std::fs::metadata(&path) {
        Ok(there) if there.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(there) if !there.is_file() => in_place(&path),
        Ok(there) => aside(path, Some(&there)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => aside(path, None),
        Err(error) => Err(error),
    }
}

/// What cannot be replaced; appended to, so that what others wrote through the same descriptor
/// stays.
fn in_place(path: &Path) -> io::Result<Place> {
    Ok(Place::Direct(OpenOptions::new().append(true).open(path)?))
}

fn aside(path: PathBuf, there: Option<&Metadata>) -> io::Result<Place> {
    if there.is_some() {
        // A file that may not be written may not be replaced either.
        OpenOptions::new().write(true).open(&path)?;
    }
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let mode = there.map_or(0o666, |there| there.permissions().mode() & 0o777);
    let file = Builder::new()
        .prefix(".gitstratum-get-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)?;
    if there.is_some() {
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
    }
    Ok(Place::Aside(file, path))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_when_it_is_whole_and_what_is_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let mut given_up = Destination::open(Some(&path)).unwrap();
        given_up.write(b"half").unwrap();
        assert!(!path.exists());
        drop(given_up);
        assert_eq!(names(dir.path()), Vec::<String>::new());
        let mut whole = Destination::open(Some(&path)).unwrap();
        whole.write(b"whole").unwrap();
        whole.complete().unwrap();
        assert_eq!(
            (names(dir.path()), fs::read(&path).unwrap()),
            (vec!["out".into()], b"whole".into())
        );
    }

    #[test]
    fn a_file_that_was_there_stays_until_the_new_one_is_complete_and_keeps_its_mode_and_link() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("out"), dir.path().join("link"));
        // Names beside it are nobody's to take.
        let (part, mode) = (dir.path().join("out.part"), Permissions::from_mode(0o640));
        fs::write(&part, "mine").unwrap();
        fs::write(&path, "before").unwrap();
        fs::set_permissions(&path, mode).unwrap();
        std::os::unix::fs::symlink("out", &link).unwrap();
        let mut given_up = Destination::open(Some(&link)).unwrap();
        given_up.write(b"half").unwrap();
        drop(given_up);
        assert_eq!(fs::read(&path).unwrap(), b"before");
        let mut whole = Destination::open(Some(&link)).unwrap();
        whole.write(b"after").unwrap();
        whole.complete().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(
            (fs::read(&path).unwrap(), fs::read(&part).unwrap()),
            (b"after".into(), b"mine".into())
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(names(dir.path()), ["link", "out", "out.part"]);
    }

    #[test]
    fn what_is_no_file_is_written_in_place_and_a_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refused = Destination::open(Some(dir.path())).err().unwrap().to_string();
        assert!(refused.contains("is a directory"), "{refused}");
        let mut null = Destination::open(Some(Path::new("/dev/null"))).unwrap();
        null.write(b"gone").unwrap();
        null.complete().unwrap();
        let stdout = Destination::open(Some(Path::new("/dev/stdout"))).unwrap();
        assert!(matches!(stdout.place, Place::Stdout));
        let missing = dir.path().join("no/such/directory");
        let refused = Destination::open(Some(&missing)).err().unwrap().to_string();
        assert!(refused.contains("no/such/directory"), "{refused}");
    }
}
