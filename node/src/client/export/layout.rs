//! The directory of the repository: what is in it beside packs.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use gix::bstr::ByteSlice;

use super::super::manifest::{Head, Manifest, Target};
use super::{ExportError, writing};
use crate::object::{HashAlgorithm, ObjectId};

/// Names the manifest that the directory is an export of.
const MARKER: &str = "gitstratum-export";

/// Refuses a directory that holds anything but an export of this manifest.
pub(super) fn check_free(dir: &Path, id: ObjectId) -> Result<(), ExportError> {
    let occupied = |problem: String| Err(ExportError::Occupied { path: dir.to_owned(), problem });
    let mut entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            return occupied("there is a file of that name".to_owned());
        }
        Err(error) => return Err(writing(format!("reading {}", dir.display()))(error)),
    };
    if entries.next().is_none() {
        return Ok(());
    }
    match fs::read_to_string(dir.join(MARKER)) {
        Ok(text) if text.trim_end() == id.to_string() => Ok(()),
        Ok(text) => occupied(format!("it is an export of another manifest, {}", text.trim_end())),
        Err(_) => occupied("the directory is not empty and no export that was stopped".to_owned()),
    }
}

/// Makes the directory and marks whose export it is.
pub(super) fn begin(dir: &Path, id: ObjectId) -> Result<(), ExportError> {
    let made = fs::create_dir_all(dir)
        .and_then(|()| replace(dir, MARKER, format!("{id}\n").as_bytes()))
        .and_then(|()| fs::create_dir_all(dir.join("objects/pack")))
        .and_then(|()| fs::create_dir_all(dir.join("objects/info")))
        .and_then(|()| fs::create_dir_all(dir.join("refs/heads")))
        .and_then(|()| fs::create_dir_all(dir.join("refs/tags")));
    made.map_err(writing(format!("making {}", dir.display())))
}

/// Writes configuration and references, and HEAD when all else is there.
pub(super) fn finish(dir: &Path, manifest: &Manifest) -> Result<(), ExportError> {
    let write = |name: &str, text: &[u8]| {
        replace(dir, name, text).map_err(writing(format!("writing {}", dir.join(name).display())))
    };
    write("config", config(manifest.algorithm).as_bytes())?;
    if !manifest.shallow.is_empty() {
        let lines: String = manifest.shallow.iter().map(|id| format!("{id}\n")).collect();
        write("shallow", lines.as_bytes())?;
    }
    let mut packed = b"# pack-refs with: sorted \n".to_vec();
    for reference in &manifest.refs {
        match &reference.target {
            Target::Id(id) => {
                packed.extend_from_slice(format!("{id} ").as_bytes());
                packed.extend_from_slice(&reference.name);
                packed.push(b'\n');
            }
            Target::Symbolic(target) => symbolic(dir, reference.name.as_bytes(), target)?,
        }
    }
    write("packed-refs", &packed)?;
    match &manifest.head {
        Head::Ref(name) => write("HEAD", &pointer(name)),
        Head::Id(id) => write("HEAD", format!("{id}\n").as_bytes()),
    }
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

/// Writes a symbolic reference, which Git keeps in a file of its own. The manifest's
/// parser saw to it that the name leads nowhere but under `refs/`.
fn symbolic(dir: &Path, name: &[u8], target: &[u8]) -> Result<(), ExportError> {
    let name = name.to_path().map_err(|error| ExportError::Write {
        doing: format!("naming the reference {}", name.as_bstr()),
        source: std::io::Error::new(std::io::ErrorKind::InvalidInput, error),
    })?;
    let path = dir.join(name);
    let written = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(&path, pointer(target)));
    written.map_err(writing(format!("writing {}", path.display())))
}

fn pointer(target: &[u8]) -> Vec<u8> {
    [b"ref: ", target, b"\n"].concat()
}

/// Writes a file whole or not at all.
fn replace(dir: &Path, name: &str, text: &[u8]) -> std::io::Result<()> {
    let unfinished = dir.join(format!("{name}.unfinished"));
    let mut file = File::create(&unfinished)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&unfinished, dir.join(name))?;
    File::open(dir)?.sync_all()
}
