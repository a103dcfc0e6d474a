//! Opening a repository: its references, and the files that hold its objects.
//!
//! References are read before the list of packs, so that an object which a reference
//! names is among those listed even when someone commits meanwhile. Only the
//! repository's own configuration is read, nothing of the user or the environment.

use std::path::{Path, PathBuf};

use gix::odb::{loose, pack};

use super::super::manifest::{Head, Manifest, Reference, Target};
use super::{ImportError, algorithm_of, id_of};
use crate::object::ObjectId;

/// The places that hold a repository's objects, alternates included.
pub(super) struct Files {
    pub(super) packs: Vec<Pack>,
    pub(super) loose: Vec<loose::Store>,
}

/// A pack with its index.
pub(super) struct Pack {
    pub(super) path: PathBuf,
    pub(super) bundle: pack::Bundle,
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

fn reading<E: Into<Cause>>(doing: impl Into<String>) -> impl FnOnce(E) -> ImportError {
    let doing = doing.into();
    move |source| ImportError::Read { doing, source: source.into() }
}

/// Opens the repository at `path`: a work tree, a bare repository or a `.git`. The
/// manifest lists no objects yet.
pub(super) fn open(path: &Path) -> Result<(Manifest, Files), ImportError> {
    let repository = gix::open_opts(path, gix::open::Options::isolated())
        .map_err(|source| ImportError::Open { path: path.to_owned(), source })?;
    let unsupported = |problem: String| ImportError::Unsupported { path: path.to_owned(), problem };
    let hash = repository.object_hash();
    let algorithm = algorithm_of(hash).ok_or_else(|| unsupported(format!("its hash is {hash}")))?;
    let format = repository.config_snapshot().string("extensions.refStorage");
    if let Some(format) = format.filter(|format| *format != "files") {
        return Err(unsupported(format!("references are stored as {format}, not as files")));
    }
    let manifest = Manifest {
        algorithm,
        objects: 0,
        lists: Vec::new(),
        head: head(&repository)?,
        shallow: shallow(&repository)?,
        refs: references(&repository)?,
    };

    let own = repository.objects.store_ref().path().to_owned();
    let here = repository.current_dir();
    let mut dirs = vec![own.clone()];
    dirs.extend(gix::odb::alternate::resolve(own, here).map_err(reading("reading alternates"))?);
    let mut files = Files { packs: Vec::new(), loose: Vec::new() };
    for dir in dirs {
        add_packs(&dir.join("pack"), hash, &mut files.packs, &unsupported)?;
        files.loose.push(loose::Store::at(dir, hash));
    }
    Ok((manifest, files))
}

fn add_packs(
    dir: &Path,
    hash: gix::hash::Kind,
    packs: &mut Vec<Pack>,
    unsupported: &dyn Fn(String) -> ImportError,
) -> Result<(), ImportError> {
    let doing = || format!("listing {}", dir.display());
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(reading(doing())(error)),
    };
    let mut indices = Vec::new();
    for entry in entries {
        let path = entry.map_err(reading(doing()))?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("promisor") => {
                let problem = "it is a partial clone: objects are missing by design".to_owned();
                return Err(unsupported(problem));
            }
            // An index without its pack is one that Git passes over too.
            Some("idx") if path.with_extension("pack").exists() => indices.push(path),
            _ => {}
        }
    }
    indices.sort();
    for path in indices {
        let bundle = pack::Bundle::at(&path, hash)
            .map_err(reading(format!("opening pack {}", path.display())))?;
        packs.push(Pack { path: path.with_extension("pack"), bundle });
    }
    Ok(())
}

fn head(repository: &gix::Repository) -> Result<Head, ImportError> {
    let head = repository.head().map_err(reading("reading HEAD"))?;
    Ok(match head.kind {
        gix::head::Kind::Symbolic(reference) => Head::Ref(reference.name.as_bstr().to_owned()),
        gix::head::Kind::Unborn(name) => Head::Ref(name.as_bstr().to_owned()),
        gix::head::Kind::Detached { target, .. } => Head::Id(id_of(&target)),
    })
}

fn references(repository: &gix::Repository) -> Result<Vec<Reference>, ImportError> {
    let platform = repository.references().map_err(reading("reading references"))?;
    let mut refs = Vec::new();
    for reference in platform.all().map_err(reading("reading references"))? {
        let reference = reference.map_err(reading("reading a reference"))?;
        let target = match reference.target() {
            gix::refs::TargetRef::Object(id) => Target::Id(id_of(id)),
            gix::refs::TargetRef::Symbolic(name) => Target::Symbolic(name.as_bstr().to_owned()),
        };
        refs.push(Reference { name: reference.name().as_bstr().to_owned(), target });
    }
    refs.sort_by(|a, b| a.name.cmp(&b.name));
    // The same name loose and packed: the loose one comes first and counts.
    refs.dedup_by(|later, earlier| later.name == earlier.name);
    Ok(refs)
}

fn shallow(repository: &gix::Repository) -> Result<Vec<ObjectId>, ImportError> {
    let commits = repository.shallow_commits().map_err(reading("reading shallow commits"))?;
    let mut ids: Vec<ObjectId> =
        commits.iter().flat_map(|commits| commits.iter()).map(|id| id_of(id)).collect();
    ids.sort();
    ids.dedup();
    Ok(ids)
}
