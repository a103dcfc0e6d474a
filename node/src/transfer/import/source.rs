//! Source of an import: a repository on disk, read by gix.
//!
//! Replacement objects are left aside: what they stand for is read as it is, and `refs/replace/` comes
//! along like all refs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gitstratum_core::object::{HashAlgorithm, ObjectId};
use gitstratum_git::service::Head;
use gix::bstr::ByteSlice;
use gix::objs::Kind;

use super::error::{ImportError, reading};
use super::packs::Packs;

/// Refs of ours, which mark how far an import has come.
pub(super) const MARKS: &str = "refs/gitstratum/import/";
/// Decoded objects that gix keeps at hand.
const OBJECT_CACHE_BYTES: usize = 32 << 20;

/// What a repository is, and where its refs point.
#[derive(Clone, Debug)]
pub struct Described {
    /// The hash of its ids.
    pub object_format: HashAlgorithm,
    /// Where `HEAD` points.
    pub head: Head,
    /// Its refs, symbolic ones as the objects that they lead to.
    pub refs: BTreeMap<String, ObjectId>,
    /// Objects of its packs, those that several have counted by each.
    pub packed_objects: u64,
    /// What was left out, and why: a line each.
    pub warnings: Vec<String>,
}

/// A commit, as far as a walk needs it.
pub(super) struct Commit {
    pub(super) id: gix::ObjectId,
    pub(super) tree: gix::ObjectId,
    pub(super) parents: Vec<gix::ObjectId>,
}

/// An entry of a tree.
pub(super) enum Entry {
    Tree(gix::ObjectId),
    /// A file or a symbolic link.
    Blob(gix::ObjectId),
}

/// A repository on disk.
pub(super) struct Source {
    path: PathBuf,
    repository: gix::Repository,
    pub(super) packs: Packs,
}

/// An id as all rooms but gix know it.
pub(super) fn plain(id: &gix::oid) -> ObjectId {
    ObjectId::from_bytes(id.as_bytes()).expect("gix has the same two hashes")
}

/// An id as gix knows it.
pub(super) fn of_gix(id: &ObjectId) -> gix::ObjectId {
    gix::ObjectId::from_bytes_or_panic(id.as_bytes())
}

impl Source {
    /// Opens the repository there: a work tree, a bare repository or a `.git`.
    pub(super) fn open(path: &Path) -> Result<Self, ImportError> {
        let options = gix::open::Options::isolated()
            .config_overrides(["core.useReplaceRefs=false"])
            .with(gix::sec::Trust::Full);
        let opened = gix::open_opts(path, options);
        let mut repository = opened.map_err(|source| ImportError::Open {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        repository.object_cache_size(OBJECT_CACHE_BYTES);
        let unsupported = |problem: &str| ImportError::Unsupported {
            path: path.to_owned(),
            problem: problem.to_owned(),
        };
        if repository.is_shallow().map_err(reading("the list of shallow commits"))? {
            return Err(unsupported(
                "it is a shallow clone, without its history: `git fetch --unshallow` fetches that",
            ));
        }
        let objects = repository.common_dir().join("objects");
        let here = std::env::current_dir().unwrap_or_default();
        let alternates = gix::odb::alternate::resolve(objects.clone(), &here);
        let mut directories = vec![objects];
        directories.extend(alternates.map_err(reading("the list of alternates"))?);
        let packs = Packs::open(&directories, repository.object_hash())?;
        Ok(Source { path: path.to_owned(), repository, packs })
    }

    pub(super) fn object_format(&self) -> HashAlgorithm {
        match self.repository.object_hash() {
            gix::hash::Kind::Sha256 => HashAlgorithm::Sha256,
            _ => HashAlgorithm::Sha1,
        }
    }

    /// `HEAD` and all refs.
    pub(super) fn describe(&self) -> Result<Described, ImportError> {
        let head = self.repository.head().map_err(reading("HEAD"))?;
        let head = match head.kind {
            gix::head::Kind::Symbolic(reference) => {
                Head::Branch(self.name(reference.name.as_bstr())?)
            }
            gix::head::Kind::Unborn(name) => Head::Branch(self.name(name.as_bstr())?),
            gix::head::Kind::Detached { target, .. } => Head::Detached(plain(&target)),
        };
        let (mut refs, mut warnings) = (BTreeMap::new(), Vec::new());
        let platform = self.repository.references().map_err(reading("the refs"))?;
        for reference in platform.all().map_err(reading("the refs"))? {
            let mut reference = reference.map_err(reading("the refs"))?;
            let name = self.name(reference.name().as_bstr())?;
            if name.starts_with(MARKS) || !name.starts_with("refs/") {
                continue;
            }
            match reference.follow_to_object() {
                Ok(id) => drop(refs.insert(name, plain(&id))),
                Err(error) => {
                    warnings.push(format!("{name} leads nowhere and is left out: {error}"));
                }
            }
        }
        let (object_format, packed_objects) = (self.object_format(), self.packs.objects());
        Ok(Described { object_format, head, refs, packed_objects, warnings })
    }

    fn name(&self, name: &gix::bstr::BStr) -> Result<String, ImportError> {
        let text = name.to_str().map_err(|_| ImportError::Unsupported {
            path: self.path.clone(),
            problem: format!("the name of ref {name} is not UTF-8, and cannot be stored"),
        })?;
        Ok(text.to_owned())
    }

    pub(super) fn contains(&self, id: &gix::oid) -> bool {
        self.repository.has_object(id)
    }

    /// An object's kind and size.
    pub(super) fn header(&self, id: gix::ObjectId) -> Result<(Kind, u64), ImportError> {
        let header = self.repository.find_header(id).map_err(reading(format!("object {id}")))?;
        Ok((header.kind(), header.size()))
    }

    /// A whole object.
    pub(super) fn object(&self, id: gix::ObjectId) -> Result<(Kind, Vec<u8>), ImportError> {
        let found = self.repository.find_object(id).map_err(reading(format!("object {id}")))?;
        let mut found = found.detach();
        Ok((found.kind, std::mem::take(&mut found.data)))
    }

    pub(super) fn commit(&self, id: gix::ObjectId) -> Result<Commit, ImportError> {
        let failed = || reading(format!("commit {id}"));
        let commit = self.repository.find_commit(id).map_err(failed())?;
        let decoded = commit.decode().map_err(failed())?;
        Ok(Commit { id, tree: decoded.tree(), parents: decoded.parents().collect() })
    }

    /// What a tag points to.
    pub(super) fn tag_target(&self, id: gix::ObjectId) -> Result<gix::ObjectId, ImportError> {
        let failed = || reading(format!("tag {id}"));
        let tag = self.repository.find_tag(id).map_err(failed())?;
        Ok(tag.target_id().map_err(failed())?.detach())
    }

    /// Trees and blobs of a tree; not commits of submodules, which are elsewhere.
    pub(super) fn tree(&self, id: gix::ObjectId) -> Result<Vec<Entry>, ImportError> {
        let failed = || reading(format!("tree {id}"));
        let tree = self.repository.find_tree(id).map_err(failed())?;
        let mut entries = Vec::new();
        for entry in tree.iter() {
            let entry = entry.map_err(failed())?;
            let mode = entry.inner.mode;
            if mode.is_tree() {
                entries.push(Entry::Tree(entry.inner.oid.to_owned()));
            } else if !mode.is_commit() {
                entries.push(Entry::Blob(entry.inner.oid.to_owned()));
            }
        }
        Ok(entries)
    }
}
