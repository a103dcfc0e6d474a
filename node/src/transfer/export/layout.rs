//! Bare repository layout.
//!
//! The directory of the repository: what is in it beside packs.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use gitstratum_core::object::{HashAlgorithm, ObjectId};
use gix::bstr::ByteSlice;

use super::super::manifest::{Head, Manifest, Reference, Target};
use super::claim::Claim;
use super::{ExportError, writing};

/// A file on its way to its name. It lies beside the references, not among them: what a crash
/// leaves there would be one.
const UNFINISHED: &str = "gitstratum-unfinished";

/// Directories that Git expects.
const DIRECTORIES: [&str; 4] = ["objects/info", "objects/pack", "refs/heads", "refs/tags"];

/// What a repository is, apart from its objects.
pub(super) struct Description<'a> {
    pub(super) algorithm: HashAlgorithm,
    pub(super) head: &'a Head,
    /// Commits whose parents are left out on purpose.
    pub(super) shallow: &'a [ObjectId],
    /// Ascending by name.
    pub(super) refs: &'a [Reference],
}

impl<'a> From<&'a Manifest> for Description<'a> {
    fn from(manifest: &'a Manifest) -> Self {
        let Manifest { algorithm, head, shallow, refs, .. } = manifest;
        Description { algorithm: *algorithm, head, shallow, refs }
    }
}

/// Makes the directories.
pub(super) fn begin(claim: &Claim) -> Result<(), ExportError> {
    let dir = claim.dir();
    let make = || {
        DIRECTORIES.iter().try_for_each(|name| fs::create_dir_all(dir.join(name)))?;
        // So that packs are still in their directory when HEAD is in its own.
        [dir.join("objects"), dir.to_owned()].iter().try_for_each(|made| sync(made))
    };
    make().map_err(writing(format!("making {}", dir.display())))
}

/// Writes configuration and references, and HEAD when all else is there.
pub(super) fn finish(claim: &Claim, repository: &Description<'_>) -> Result<(), ExportError> {
    for (name, text) in files(repository)? {
        let path = claim.dir().join(name);
        write(claim.dir(), &path, &text).map_err(writing(format!("writing {}", path.display())))?;
    }
    Ok(())
}

/// What is not as [`finish`] left it in a repository that was whole: the first difference.
pub(super) fn difference(
    claim: &Claim,
    manifest: &Manifest,
) -> Result<Option<String>, ExportError> {
    let mut expected = Vec::new();
    for (name, text) in files(&manifest.into())? {
        let path = claim.dir().join(&name);
        match fs::read(&path) {
            Ok(found) if found == text => {}
            Ok(_) => return Ok(Some(format!("{} was changed", name.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Some(format!("{} is gone", name.display())));
            }
            Err(error) => return Err(writing(format!("reading {}", path.display()))(error)),
        }
        expected.push(path);
    }
    let mut directories = vec![claim.dir().join("refs")];
    while let Some(directory) = directories.pop() {
        let reading = || writing(format!("reading {}", directory.display()));
        for entry in fs::read_dir(&directory).map_err(reading())? {
            let entry = entry.map_err(reading())?;
            let path = entry.path();
            if entry.file_type().map_err(reading())?.is_dir() {
                directories.push(path);
            } else if !expected.contains(&path) {
                let name = path.strip_prefix(claim.dir()).unwrap_or(&path);
                return Ok(Some(format!("{} was added", name.display())));
            }
        }
    }
    Ok(None)
}

/// Files of the repository beside objects, in the order in which they are written.
fn files(repository: &Description<'_>) -> Result<Vec<(PathBuf, Vec<u8>)>, ExportError> {
    let mut files = vec![(PathBuf::from("config"), config(repository.algorithm).into_bytes())];
    if !repository.shallow.is_empty() {
        let lines: String = repository.shallow.iter().map(|id| format!("{id}\n")).collect();
        files.push(("shallow".into(), lines.into_bytes()));
    }
    let mut packed = b"# pack-refs with: sorted \n".to_vec();
    for reference in repository.refs {
        match &reference.target {
            Target::Id(id) => {
                packed.extend_from_slice(format!("{id} ").as_bytes());
                packed.extend_from_slice(&reference.name);
                packed.push(b'\n');
            }
            // Git keeps these in files of their own. The manifest's parser saw to it that the
            // name leads nowhere but under `refs/`.
            Target::Symbolic(target) => {
                let name = reference.name.to_path().map_err(|error| ExportError::Write {
                    doing: format!("naming the reference {}", reference.name),
                    source: io::Error::new(io::ErrorKind::InvalidInput, error),
                })?;
                files.push((name.to_owned(), pointer(target)));
            }
        }
    }
    files.push(("packed-refs".into(), packed));
    let head = match repository.head {
        Head::Ref(name) => pointer(name),
        Head::Id(id) => format!("{id}\n").into_bytes(),
    };
    files.push(("HEAD".into(), head));
    Ok(files)
}

fn config(algorithm: HashAlgorithm) -> String {
    let (version, extensions) = match algorithm {
        HashAlgorithm::Sha1 => (0, ""),
        HashAlgorithm::Sha256 => (1, "[extensions]\n\tobjectformat = sha256\n"),
    };
    format!(
        "[core]\n\trepositoryformatversion = {version}\n\tfilemode = true\n\tbare = true\n\
         {extensions}"
    )
}

fn pointer(target: &[u8]) -> Vec<u8> {
    [b"ref: ", target, b"\n"].concat()
}

/// Writes a file under `dir` whole or not at all.
fn write(dir: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(dir);
    let unfinished = dir.join(UNFINISHED);
    let mut file = File::create(&unfinished)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::create_dir_all(parent)?;
    fs::rename(&unfinished, path)?;
    // And the directories that were made for it.
    parent.ancestors().take_while(|above| above.starts_with(dir)).try_for_each(sync)
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
