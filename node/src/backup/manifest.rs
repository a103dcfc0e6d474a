//! Positions of a backup: what each has, and how it is written and read.
//!
//! A position is a directory that gets its name when everything in it is whole. Its manifest has the
//! digests of the other two files, so none of them can be another's.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use gitstratum_catalog::{State, dump};
use gitstratum_core::object::ObjectId;
use gix::date::Time;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::directory::{check_format, create, make, sync};
use super::error::failed;
use super::{BackupError, Directory};

const POSITIONS: &str = "positions";
const MANIFEST: &str = "manifest.json";
const CATALOG: &str = "catalog.jsonl";
const OBJECTS: &str = "objects";

/// What a position has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of the position.
    pub format: u32,
    /// The program that wrote it.
    pub program: String,
    /// The cluster that it is of.
    pub cluster: String,
    /// The position of the catalog.
    pub position: u64,
    /// When the catalog was read, in unix milliseconds.
    pub taken_at_ms: u64,
    /// The names of the only repositories that it has; nothing where it has all.
    pub only: Option<Vec<String>>,
    /// Repositories that have a name.
    pub repositories: u64,
    /// Repositories that were deleted, which can be undone.
    pub deleted: u64,
    /// Repositories that were being restored themselves then, and are not in it.
    pub left_out: Vec<String>,
    /// Refs.
    pub refs: u64,
    /// Packs, each counted once, however many forks have it.
    pub packs: u64,
    /// Access tokens.
    pub tokens: u64,
    /// Objects of the store that these packs lie in: their chunks.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The SHA-256 of the catalog's text.
    pub catalog_sha256: String,
    /// The SHA-256 of the list of objects.
    pub objects_sha256: String,
}

/// A position, by the name of its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// When it was taken, as 20310504T030201Z.
    pub name: String,
    /// What it has.
    pub manifest: Manifest,
    path: PathBuf,
}

/// Objects by their ids, each with its length.
pub(super) type ObjectList = Vec<(ObjectId, u64)>;

/// A time as a name: 20310504T030201Z.
fn stamp(ms: u64) -> String {
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    let text = Time::new(seconds, 0).format_or_unix(gix::date::time::format::ISO8601);
    let text = text.strip_suffix(" +0000").unwrap_or(&text);
    let digits: String = text.chars().filter(|one| !matches!(one, '-' | ':')).collect();
    digits.replace(' ', "T") + "Z"
}

/// Writes, and computes the digest of what was written.
struct Digesting<W> {
    to: W,
    digest: Sha256,
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Writes a file of a position; gives its digest.
fn write(
    path: &Path,
    contents: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<String, BackupError> {
    let written = || {
        let mut to = Digesting { to: BufWriter::new(create(path)?), digest: Sha256::new() };
        contents(&mut to)?;
        to.flush()?;
        to.to.get_ref().sync_all()?;
        Ok(hex::encode(to.digest.finalize()))
    };
    written().map_err(failed("writing", path))
}

impl Position {
    /// Writes a position, the latest of this directory, and gives it its name. What `manifest` says of
    /// digests and of the form is filled in.
    pub(super) fn write(
        directory: &Directory,
        mut manifest: Manifest,
        text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
        objects: &ObjectList,
    ) -> Result<Self, BackupError> {
        let aside = directory.aside();
        make(&aside)?;
        manifest.catalog_sha256 = write(&aside.join(CATALOG), text)?;
        manifest.objects_sha256 = write(&aside.join(OBJECTS), |to| {
            objects.iter().try_for_each(|(id, bytes)| writeln!(to, "{id} {bytes}"))
        })?;
        // Names follow each other though the clock was set back, or two came in one second.
        if let Some(last) = Self::all(directory)?.last() {
            let next = last.manifest.taken_at_ms + 1000;
            manifest.taken_at_ms = manifest.taken_at_ms.max(next);
        }
        write(&aside.join(MANIFEST), |to| {
            serde_json::to_writer_pretty(&mut *to, &manifest)?;
            to.write_all(b"\n")
        })?;
        let (name, positions) = (stamp(manifest.taken_at_ms), directory.path().join(POSITIONS));
        make(&positions)?;
        let path = positions.join(&name);
        let named = sync(&aside).and_then(|()| fs::rename(&aside, &path));
        let named = named.and_then(|()| sync(&positions)).and_then(|()| sync(directory.path()));
        named.map_err(failed("writing", &path))?;
        Ok(Position { name, manifest, path })
    }

    /// All of a directory, the latest last.
    ///
    /// # Errors
    /// [`BackupError::Directory`] where one is damaged, or of a newer form.
    pub fn all(directory: &Directory) -> Result<Vec<Self>, BackupError> {
        Self::each(directory)?.into_iter().collect()
    }

    /// The same, whether or not they can be read.
    pub(super) fn each(
        directory: &Directory,
    ) -> Result<Vec<Result<Self, BackupError>>, BackupError> {
        let positions = directory.path().join(POSITIONS);
        let entries = match fs::read_dir(&positions) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed("reading", &positions))?,
        };
        let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
        let mut paths = paths.map_err(failed("reading", &positions))?;
        paths.sort();
        Ok(paths.into_iter().map(|path| Self::open(directory, path)).collect())
    }

    fn open(directory: &Directory, path: PathBuf) -> Result<Self, BackupError> {
        let file = path.join(MANIFEST);
        let text = fs::read_to_string(&file).map_err(failed("reading", &file))?;
        check_format(&file, &text)?;
        let wrong = |problem: String| BackupError::Directory { path: file.clone(), problem };
        let manifest: Manifest = serde_json::from_str(&text).map_err(|error| {
            wrong(format!("it is damaged: {error}; remove its directory to do without"))
        })?;
        if manifest.cluster != directory.cluster() {
            return Err(wrong(format!("it is of another cluster, {}", manifest.cluster)));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Position { name, manifest, path })
    }

    /// The catalog of that position. All of it is in memory.
    ///
    /// # Errors
    /// [`BackupError::Directory`] where it is not what the manifest says.
    pub(super) fn catalog(&self) -> Result<State, BackupError> {
        let path = self.path.join(CATALOG);
        self.check(&path, &self.manifest.catalog_sha256)?;
        let file = File::open(&path).map_err(failed("reading", &path))?;
        let loaded = dump::load(BufReader::new(file));
        loaded.map_err(|error| BackupError::Directory { path, problem: error.to_string() })
    }

    /// The objects that it needs, by their ids.
    ///
    /// # Errors
    /// As [`Position::catalog`].
    pub(super) fn objects(&self) -> Result<ObjectList, BackupError> {
        let path = self.path.join(OBJECTS);
        self.check(&path, &self.manifest.objects_sha256)?;
        let file = File::open(&path).map_err(failed("reading", &path))?;
        let mut objects = Vec::new();
        for line in BufReader::new(file).lines() {
            let line = line.map_err(failed("reading", &path))?;
            let parsed = line.split_once(' ');
            let parsed =
                parsed.and_then(|(id, bytes)| Some((id.parse().ok()?, bytes.parse().ok()?)));
            objects.push(parsed.ok_or_else(|| BackupError::Directory {
                path: path.clone(),
                problem: format!("{line:?} is no object and its length"),
            })?);
        }
        Ok(objects)
    }

    fn check(&self, path: &Path, expected: &str) -> Result<(), BackupError> {
        let mut digesting = Digesting { to: io::sink(), digest: Sha256::new() };
        let copied = File::open(path).and_then(|mut file| io::copy(&mut file, &mut digesting));
        match copied {
            Ok(_) if hex::encode(digesting.digest.finalize()) == expected => Ok(()),
            Ok(_) => Err(BackupError::Directory {
                path: path.to_owned(),
                problem:
                    "it is damaged: it is not the file that the manifest beside it says; name \
                          another position with --at, or make a new backup"
                        .to_owned(),
            }),
            Err(error) => Err(failed("reading", path)(error)),
        }
    }

    /// Takes it out of the directory.
    pub(super) fn remove(&self, directory: &Directory) -> Result<(), BackupError> {
        let aside = directory.aside();
        let removed = fs::rename(&self.path, &aside);
        let removed = removed.and_then(|()| sync(&directory.path().join(POSITIONS)));
        let removed = removed.and_then(|()| fs::remove_dir_all(&aside));
        removed.map_err(failed("removing", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_named_by_their_times() {
        assert_eq!(stamp(951_782_400_000), "20000229T000000Z");
        assert_eq!(stamp(1_709_251_199_999), "20240229T235959Z");
    }
}
