//! Atomic output file.
//!
//! Where an object's data goes: standard output, or a file that appears only when it is whole.
//!
//! Invariant: a file that was there before stays as it was until the new one is complete; what
//! is given up, for whatever reason the process lives to see, leaves nothing. A pipe, a device
//! or a descriptor cannot be made aside and is written in place.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Seek as _, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::output::unwritten;
use super::{Failure, interruptible};

/// Names of our own standard output: opened anew, a file that it goes to would be written from
/// its beginning.
const STDOUT_NAMES: [&str; 3] = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
/// Symbolic links that are followed to the file that a name stands for.
const LINKS_MAX: usize = 40;

/// Where data is to go: a name that was looked at, and nothing opened yet.
struct Target {
    /// As it was asked for.
    name: PathBuf,
    kind: TargetKind,
}

enum TargetKind {
    Stdout,
    InPlace(PathBuf),
    /// A file that does not exist yet, or is replaced when the data is whole.
    Aside(PathBuf, Option<Metadata>),
}

impl Target {
    /// Standard output, or the file of this name.
    ///
    /// # Errors
    /// [`Failure::Operation`] when there cannot be such a file.
    fn of(name: Option<&Path>) -> Result<Self, Failure> {
        let Some(name) = name else {
            return Ok(Target { name: PathBuf::new(), kind: TargetKind::Stdout });
        };
        Ok(Target { name: name.to_owned(), kind: kind_of(name).map_err(unwritable(name))? })
    }

    /// Whether giving up takes more than to stop, from [`Target::open`] on.
    fn is_aside(&self) -> bool {
        matches!(self.kind, TargetKind::Aside(..))
    }

    /// Opens it to be written.
    ///
    /// # Errors
    /// [`Failure::Operation`] when it cannot be written; nothing was changed then.
    fn open(self) -> Result<Destination, Failure> {
        let place = match self.kind {
            TargetKind::Stdout => Ok(Place::Stdout),
            TargetKind::InPlace(path) => in_place(&path),
            TargetKind::Aside(path, there) => aside(path, there.as_ref()),
        };
        Ok(Destination { place: place.map_err(unwritable(&self.name))?, name: self.name })
    }
}

fn unwritable(name: &Path) -> impl FnOnce(io::Error) -> Failure + use<> {
    Failure::operation(format!("write {}", name.display()))
}

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
    /// Has `fill` write to standard output or to the file of this name, which is complete when
    /// this returns. A request to stop leaves nothing of a file.
    ///
    /// # Errors
    /// [`Failure`], of the file or of `fill`; what was there before is there still.
    pub(super) async fn fill(
        name: Option<&Path>,
        fill: impl AsyncFnOnce(&mut Destination) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let target = Target::of(name)?;
        let aside = target.is_aside();
        let filled = async {
            let mut destination = target.open()?;
            fill(&mut destination).await?;
            Ok(destination)
        };
        let destination = match aside {
            // The signal would end us before the file that is not whole is removed: it is
            // watched for before there is one.
            true => interruptible("nothing was written", filled).await?,
            // Nothing is to be removed, and a reader may stand still while we write.
            false => filled.await?,
        };
        destination.complete()
    }

    /// Takes back all that was written. `false`: it cannot be, for others may have read it.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn take_back(&mut self) -> Result<bool, Failure> {
        let Place::Aside(file, _) = &mut self.place else { return Ok(false) };
        let emptied = file.as_file().set_len(0).and_then(|()| file.as_file_mut().rewind());
        emptied.map_err(unwritable(&self.name)).map(|()| true)
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
        written.map_err(unwritable(&self.name))
    }

    /// The data is whole: it is all there when this returns.
    ///
    /// # Errors
    /// [`Failure`].
    fn complete(self) -> Result<(), Failure> {
        let completed = match self.place {
            Place::Stdout => return io::stdout().flush().map_err(unwritten),
            Place::Direct(_) => Ok(()),
            Place::Aside(file, path) => {
                let synced = file.as_file().sync_all();
                synced.and_then(|()| Ok(file.persist(path).map(drop)?))
            }
        };
        completed.map_err(unwritable(&self.name))
    }
}

fn kind_of(name: &Path) -> io::Result<TargetKind> {
    let mut path = name.to_owned();
    for _ in 0..LINKS_MAX {
        if STDOUT_NAMES.iter().any(|stdout| path == Path::new(stdout)) {
            return Ok(TargetKind::Stdout);
        }
        if path.starts_with("/dev/fd") || path.starts_with("/proc") {
            return Ok(TargetKind::InPlace(path));
        }
        match std::fs::read_link(&path) {
            // Whoever made the link wants it to stay.
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => break,
        }
    }
    match std::fs::metadata(&path) {
        Ok(there) if there.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(there) if !there.is_file() => Ok(TargetKind::InPlace(path)),
        Ok(there) => Ok(TargetKind::Aside(path, Some(there))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(TargetKind::Aside(path, None)),
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

    fn open(name: &Path) -> Result<Destination, Failure> {
        Target::of(Some(name))?.open()
    }

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
        let mut given_up = open(&path).unwrap();
        given_up.write(b"half").unwrap();
        assert!(!path.exists());
        drop(given_up);
        assert_eq!(names(dir.path()), Vec::<String>::new());
        let mut whole = open(&path).unwrap();
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
        let mut given_up = open(&link).unwrap();
        given_up.write(b"half").unwrap();
        drop(given_up);
        assert_eq!(fs::read(&path).unwrap(), b"before");
        let mut whole = open(&link).unwrap();
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
        let refused = open(dir.path()).err().unwrap().to_string();
        assert!(refused.contains("is a directory"), "{refused}");
        let mut null = open(Path::new("/dev/null")).unwrap();
        null.write(b"gone").unwrap();
        null.complete().unwrap();
        let stdout = open(Path::new("/dev/stdout")).unwrap();
        assert!(matches!(stdout.place, Place::Stdout));
        let missing = dir.path().join("no/such/directory");
        let refused = open(&missing).err().unwrap().to_string();
        assert!(refused.contains("no/such/directory"), "{refused}");
    }
}
