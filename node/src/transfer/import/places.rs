//! Object directories and alternates.
//!
//! Where a repository keeps its objects: its own directory and its alternates, packs and loose.
//!
//! Git moves objects while others read: from loose files to a pack, from packs to another one, and
//! what nothing refers to from a pack to loose files. It makes the new place before it removes the
//! old one. So packs are opened as soon as they are listed, and stay mapped, before loose objects
//! are listed; and packs are listed again afterwards, until a listing brings nothing new. What was
//! there all the time is in one of them then, though no single listing has it.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use gix::odb::{loose, pack};

use super::error::{ImportError, reading};
use super::repository::{Repository, is_absent, read_small};
use super::warning::Warning;

/// A repository that changes more often than this while it is listed is not waited for.
const LISTINGS_MAX: usize = 32;

/// A pack with its index, both mapped: they can be read when Git has removed them.
pub(super) struct Pack {
    pub(super) path: PathBuf,
    pub(super) bundle: pack::Bundle,
}

/// All places that can have objects of a repository.
#[derive(Clone)]
pub(super) struct Places {
    repository: Repository,
    /// Object directories, the repository's own first.
    pub(super) loose: Vec<loose::Store>,
    /// Every pack that was ever listed.
    pub(super) packs: Vec<Arc<Pack>>,
    /// Indices of those.
    opened: BTreeSet<PathBuf>,
    /// Whether objects may be missing by design.
    pub(super) is_partial_clone: bool,
}

impl Places {
    /// Finds the directories; lists nothing yet.
    pub(super) fn find(
        repository: &Repository,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, ImportError> {
        let mut pending = VecDeque::from([repository.common_dir.join("objects")]);
        let (mut dirs, mut known) = (Vec::new(), BTreeSet::new());
        while let Some(dir) = pending.pop_front() {
            let real = fs::canonicalize(&dir);
            let real = real.map_err(reading(format!("reading {}", dir.display())))?;
            // Git, too, takes no notice of an alternate that it has: alternates may form circles.
            if !known.insert(real) {
                continue;
            }
            let named_in = dir.join("info/alternates");
            let doing = || format!("reading {}", named_in.display());
            let text = read_small(&named_in).map_err(reading(doing()))?.unwrap_or_default();
            for alternate in gix::odb::alternate::parse(&text).map_err(reading(doing()))? {
                let directory = dir.join(alternate);
                match fs::metadata(&directory) {
                    Ok(found) if found.is_dir() => pending.push_back(directory),
                    Err(error) if !is_absent(&error) => return Err(reading(doing())(error)),
                    _ => {
                        let named_in = named_in.clone();
                        warnings.push(Warning::NoAlternate { directory, named_in });
                    }
                }
            }
            dirs.push(dir);
        }
        let hash = repository.hash();
        Ok(Places {
            repository: repository.clone(),
            loose: dirs.into_iter().map(|dir| loose::Store::at(dir, hash)).collect(),
            packs: Vec::new(),
            opened: BTreeSet::new(),
            is_partial_clone: false,
        })
    }

    /// Lists everything: opens packs, and returns the ids of loose objects, ascending, for each
    /// directory.
    pub(super) fn list(&mut self) -> Result<Vec<Vec<gix::ObjectId>>, ImportError> {
        for _ in 0..LISTINGS_MAX {
            self.open_packs()?;
            let loose = self.loose.iter().map(list_loose).collect::<Result<_, _>>()?;
            if self.open_packs()? {
                return Ok(loose);
            }
        }
        Err(self.never_still())
    }

    /// Opens packs that appeared, until none does. False if one went before it was opened: what
    /// it had may have become loose objects since.
    pub(super) fn open_packs(&mut self) -> Result<bool, ImportError> {
        let mut all_opened = true;
        for _ in 0..LISTINGS_MAX {
            let mut appeared = false;
            for at in 0..self.loose.len() {
                let dir = self.loose[at].path().join("pack");
                for index in self.list_packs(&dir)? {
                    appeared = true;
                    all_opened &= self.open_pack(index)?;
                }
            }
            if !appeared {
                return Ok(all_opened);
            }
        }
        Err(self.never_still())
    }

    fn never_still(&self) -> ImportError {
        self.repository.unsupported(
            "its packs changed each time they were listed: import it when nobody repacks it",
        )
    }

    /// Indices in `dir` that were not opened yet.
    fn list_packs(&mut self, dir: &Path) -> Result<Vec<PathBuf>, ImportError> {
        let doing = || format!("listing {}", dir.display());
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(reading(doing())(error)),
        };
        let mut indices = Vec::new();
        for entry in entries {
            let path = entry.map_err(reading(doing()))?.path();
            match path.extension().and_then(OsStr::to_str) {
                Some("promisor") => self.is_partial_clone = true,
                // An index without its pack is one that Git passes over too.
                Some("idx")
                    if !self.opened.contains(&path) && path.with_extension("pack").is_file() =>
                {
                    indices.push(path);
                }
                _ => {}
            }
        }
        indices.sort();
        Ok(indices)
    }

    /// False if it is gone.
    fn open_pack(&mut self, index: PathBuf) -> Result<bool, ImportError> {
        let path = index.with_extension("pack");
        match pack::Bundle::at(&index, self.repository.hash()) {
            Ok(mut bundle) => {
                // The key of its entries in a reader's cache; else it is a sum of the path.
                bundle.pack.id = u32::try_from(self.packs.len()).expect("packs fit in memory");
                self.packs.push(Arc::new(Pack { path, bundle }));
                self.opened.insert(index);
                Ok(true)
            }
            Err(_) if !index.exists() || !path.exists() => Ok(false),
            Err(error) => Err(reading(format!("opening pack {}", path.display()))(error)),
        }
    }
}

/// Ids of the loose objects in a directory, ascending. Links are followed, to directories of
/// objects as well as to objects.
fn list_loose(store: &loose::Store) -> Result<Vec<gix::ObjectId>, ImportError> {
    let mut ids = Vec::new();
    for first in 0..=u8::MAX {
        let dir = store.path().join(hex::encode([first]));
        let doing = || format!("listing loose objects in {}", dir.display());
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(reading(doing())(error)),
        };
        for entry in entries {
            let entry = entry.map_err(reading(doing()))?;
            if let Some(id) = loose_id(first, entry.file_name().as_bytes(), store.object_hash()) {
                // A directory or a pipe is no object, whatever its name.
                let is_file = match entry.file_type() {
                    Ok(found) if found.is_symlink() => entry.path().is_file(),
                    Ok(found) => found.is_file(),
                    Err(error) => return Err(reading(doing())(error)),
                };
                if is_file {
                    ids.push(id);
                }
            }
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

/// The id of the object that has this file; `None` for files that are none.
fn loose_id(first: u8, rest: &[u8], hash: gix::hash::Kind) -> Option<gix::ObjectId> {
    let lower = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if rest.len() != 2 * hash.len_in_bytes() - 2 || !rest.iter().all(lower) {
        return None;
    }
    let raw = [&[first][..], &hex::decode(rest).ok()?].concat();
    Some(gix::ObjectId::from_bytes_or_panic(&raw))
}
