//! Repository discovery.
//!
//! Where a repository is and how it is stored: what Git's `setup.c` finds out.
//!
//! The rules are Git's: which directory is a repository, which of its formats and extensions
//! may be read, and where a linked work tree keeps what. Only the repository's own
//! configuration is read, nothing of the user or the environment, and no file that it includes.

use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use gitstratum_core::object::HashAlgorithm;
use gix::bstr::{BString, ByteSlice};

use super::error::{Cause, ImportError, reading};

/// Longest of the small files that say where or what a repository is; as in Git.
const SMALL_FILE_BYTES_MAX: u64 = 1 << 20;

/// A repository on disk.
#[derive(Clone, Debug)]
pub(super) struct Repository {
    /// As it was asked for.
    pub(super) path: PathBuf,
    /// Has HEAD, and the references of this work tree alone.
    pub(super) git_dir: PathBuf,
    /// Has the configuration, the objects and all other references. The same directory, but for
    /// a linked work tree.
    pub(super) common_dir: PathBuf,
    /// The hash of its ids.
    pub(super) algorithm: HashAlgorithm,
}

impl Repository {
    /// Finds the repository at `path`: a work tree, a bare repository, a `.git`, or a file that
    /// leads to one.
    pub(super) fn find(path: &Path) -> Result<Self, ImportError> {
        let opening = |source: Cause| ImportError::Open { path: path.to_owned(), source };
        let (git_dir, common_dir) = locate(path).map_err(opening)?;
        let unsupported =
            |problem: String| ImportError::Unsupported { path: path.to_owned(), problem };
        let config = common_dir.join("config");
        let doing = || format!("reading {}", config.display());
        let text = read_small(&config).map_err(reading(doing()))?.unwrap_or_default();
        let parsed = gix::config::File::from_bytes_no_includes(
            &text,
            gix::config::file::Metadata::from(gix::config::Source::Local),
            gix::config::file::init::Options::default(),
        );
        let algorithm = algorithm(&parsed.map_err(reading(doing()))?).map_err(unsupported)?;
        let repository = Repository { path: path.to_owned(), git_dir, common_dir, algorithm };
        repository.refuse_grafts()?;
        Ok(repository)
    }

    /// Whether references of a work tree of its own are kept apart from all others.
    pub(super) fn is_linked(&self) -> bool {
        self.git_dir != self.common_dir
    }

    /// gix's name of the hash.
    pub(super) fn hash(&self) -> gix::hash::Kind {
        match self.algorithm {
            HashAlgorithm::Sha1 => gix::hash::Kind::Sha1,
            HashAlgorithm::Sha256 => gix::hash::Kind::Sha256,
        }
    }

    pub(super) fn unsupported(&self, problem: impl Into<String>) -> ImportError {
        ImportError::Unsupported { path: self.path.clone(), problem: problem.into() }
    }

    /// A graft changes a commit's parents for those who have the file, which nothing carries.
    fn refuse_grafts(&self) -> Result<(), ImportError> {
        let path = self.common_dir.join("info/grafts");
        let text = read_small(&path).map_err(reading(format!("reading {}", path.display())))?;
        let grafts = text.unwrap_or_default();
        let graft = |line: &[u8]| !line.trim().is_empty() && !line.starts_with(b"#");
        if grafts.lines().any(graft) {
            return Err(self.unsupported(
                "info/grafts changes parents of commits, and is neither an object nor a reference: \
                 `git replace --convert-graft-file` makes references of it",
            ));
        }
        Ok(())
    }
}

/// The directories of HEAD and of everything else.
fn locate(path: &Path) -> Result<(PathBuf, PathBuf), Cause> {
    let inside = path.join(".git");
    let begun = match fs::metadata(&inside) {
        Ok(found) if found.is_dir() => match common_of(&inside) {
            Ok(common) => return Ok((inside, common)),
            // As Git does, go on to look whether the directory itself is a repository.
            Err(problem) => Some(problem),
        },
        Ok(_) => return follow(&inside),
        Err(error) if is_absent(&error) => None,
        Err(error) => return Err(error.into()),
    };
    if fs::metadata(path)?.is_file() {
        return follow(path);
    }
    match common_of(path) {
        Ok(common) => Ok((path.to_owned(), common)),
        Err(problem) => Err(begun.unwrap_or(problem)),
    }
}

/// Follows a file that has `gitdir: PATH` in it, as submodules and linked work trees do.
fn follow(file: &Path) -> Result<(PathBuf, PathBuf), Cause> {
    let text = read_small(file)?.unwrap_or_default();
    let target = text
        .strip_prefix(b"gitdir: ")
        .map(|target| target.trim_end_with(|last| last == '\n' || last == '\r'))
        .filter(|target| !target.is_empty());
    let Some(target) = target else {
        return Err(format!("{} does not begin with \"gitdir: PATH\"", file.display()).into());
    };
    let git_dir = file.parent().unwrap_or(Path::new("")).join(path_of(target));
    let common = common_of(&git_dir).map_err(|problem| -> Cause {
        format!("{}, to which {} leads: {problem}", git_dir.display(), file.display()).into()
    })?;
    Ok((git_dir, common))
}

/// The directory that has the objects of the repository with this HEAD.
fn common_of(git_dir: &Path) -> Result<PathBuf, Cause> {
    check_head(git_dir)?;
    let common = match read_small(&git_dir.join("commondir"))? {
        Some(text) => {
            let text = text.trim_end_with(|last| last == '\n' || last == '\r');
            git_dir.join(path_of(text))
        }
        None => git_dir.to_owned(),
    };
    for name in ["objects", "refs"] {
        if !fs::metadata(common.join(name)).is_ok_and(|found| found.is_dir()) {
            return Err(format!("there is no directory {}", common.join(name).display()).into());
        }
    }
    Ok(common)
}

/// Whether HEAD is what makes a directory a repository for Git (`validate_headref`).
fn check_head(git_dir: &Path) -> Result<(), Cause> {
    let path = git_dir.join("HEAD");
    match fs::read_link(&path) {
        Ok(target) if target.as_os_str().as_bytes().starts_with(b"refs/") => return Ok(()),
        Ok(_) => {
            return Err("HEAD is a symbolic link that leads out of refs/, which Git refuses".into());
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
        Err(error) if is_absent(&error) => return Err("there is no HEAD".into()),
        Err(error) => return Err(error.into()),
    }
    let text = read_small(&path)?.unwrap_or_default();
    let valid = match text.strip_prefix(b"ref:") {
        Some(target) => target.trim_start().starts_with(b"refs/"),
        None => {
            let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
            let ended = text.get(digits).is_none_or(u8::is_ascii_whitespace);
            ended && (digits == 40 || digits == 64)
        }
    };
    if valid { Ok(()) } else { Err("HEAD names neither a reference nor an object".into()) }
}

/// Reads version and extensions, by Git's rules (`check_repository_format`), and refuses what Git
/// would refuse and what an import cannot carry.
fn algorithm(config: &gix::config::File) -> Result<HashAlgorithm, String> {
    for name in ["core.bare", "extensions.preciousobjects", "extensions.worktreeconfig"] {
        if let Err(error) = config.boolean(name) {
            return Err(format!("{name} is no boolean, and Git refuses it: {error}"));
        }
    }
    let Some(version) = config.string("core.repositoryformatversion") else {
        // Without a version Git takes no notice of extensions.
        return Ok(HashAlgorithm::Sha1);
    };
    let number = version.to_str().ok().and_then(|text| text.trim().parse::<i64>().ok());
    let newer = match number {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(format!("core.repositoryformatversion is {version}, and not 0 or 1")),
    };
    let mut algorithm = HashAlgorithm::Sha1;
    for (name, value) in extensions(config) {
        let shown = value.as_bstr();
        let of_version_1 = match name.as_str() {
            "noop" | "preciousobjects" | "partialclone" | "worktreeconfig" => false,
            "noop-v1" | "relativeworktrees" => true,
            "objectformat" => {
                algorithm = match value.as_slice() {
                    b"sha1" => HashAlgorithm::Sha1,
                    b"sha256" => HashAlgorithm::Sha256,
                    _ => {
                        return Err(format!("extensions.objectFormat is {shown}, an unknown hash"));
                    }
                };
                true
            }
            "refstorage" if value == "files" => true,
            "refstorage" => {
                return Err(format!(
                    "references are stored as {shown}, not as files: \
                     `git refs migrate --ref-format=files` changes that"
                ));
            }
            "compatobjectformat" => {
                return Err(format!(
                    "extensions.compatObjectFormat is {shown}: ids in a second hash are not imported"
                ));
            }
            _ if newer => return Err(format!("extensions.{name} is unknown, and Git refuses it")),
            _ => false,
        };
        if of_version_1 && !newer {
            return Err(format!(
                "extensions.{name} needs core.repositoryformatversion = 1, and Git refuses it"
            ));
        }
    }
    Ok(algorithm)
}

/// Names in lower case, without `extensions.`, and values, in the order in which they count.
fn extensions(config: &gix::config::File) -> Vec<(String, BString)> {
    let mut found = Vec::new();
    for section in config.sections() {
        let header = section.header();
        if !header.name().eq_ignore_ascii_case(b"extensions") {
            continue;
        }
        for name in section.value_names() {
            let value = section.value(&name).unwrap_or_default();
            let name = name.to_ascii_lowercase();
            let name = match header.subsection_name() {
                Some(subsection) => format!("{subsection}.{name}"),
                None => name,
            };
            found.push((name, value));
        }
    }
    found
}

/// The contents of a small regular file, links followed; `None` if there is none.
pub(super) fn read_small(path: &Path) -> io::Result<Option<Vec<u8>>> {
    read_regular(path, SMALL_FILE_BYTES_MAX)
}

/// The contents of a regular file of at most so many bytes. Anything else is not opened: a pipe
/// would wait for its writer.
pub(super) fn read_regular(path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(named(path, error)),
    };
    if !found.is_file() {
        let problem = io::Error::new(io::ErrorKind::InvalidInput, "this is no file");
        return Err(named(path, problem));
    }
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(named(path, error)),
    };
    let mut text = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut text).map_err(|error| named(path, error))?;
    if text.len() as u64 > bytes_max {
        let problem = format!("more than {bytes_max} bytes");
        return Err(named(path, io::Error::new(io::ErrorKind::FileTooLarge, problem)));
    }
    Ok(Some(text))
}

/// Whether nothing is there: no such name, or a file where a directory would have to be.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn path_of(bytes: &[u8]) -> PathBuf {
    std::ffi::OsString::from_vec(bytes.to_vec()).into()
}
