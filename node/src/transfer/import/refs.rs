//! HEAD and references, read as Git's files backend reads them (`refs/files-backend.c`).
//!
//! Loose references are read first and then those that are packed, as Git does, so that one that
//! `git pack-refs` moves meanwhile is seen in one place or both. A reference that Git calls broken
//! is left out and named in a warning. A symbolic reference stays symbolic, wherever it leads; one
//! that is kept as a symbolic link is such a reference if the link's text begins with `refs/`, and
//! else the file that it leads to.
//!
//! Invariant: what comes out of here can be written to a manifest, or is refused by name.

mod loose;
mod packed;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use gitstratum_core::limits;
use gitstratum_core::object::{HashAlgorithm, ObjectId};
use gix::bstr::{BString, ByteSlice};

use super::error::{ImportError, reading};
use super::repository::{Repository, read_regular, read_small};
use super::warning::Warning;
use crate::transfer::manifest::{Head, Reference, Target, check_name, shown};

/// A symbolic reference is followed to one that is symbolic too, and so on, so many times in all.
const SYMBOLIC_DEPTH_MAX: usize = 5;
/// A reference's file is not read beyond this; Git writes 4 KiB at most.
const REF_FILE_BYTES_MAX: u64 = 64 << 10;

/// What HEAD and the references of a repository are.
pub(super) struct References {
    pub(super) head: Head,
    /// Ascending by name.
    pub(super) refs: Vec<Reference>,
    pub(super) warnings: Vec<Warning>,
}

/// What a reference's file, or a line of packed references, says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Id(ObjectId),
    Symbolic(BString),
    /// Why Git calls it broken.
    Broken(String),
}

/// References by full name, as they were found.
#[derive(Default)]
struct Found {
    values: BTreeMap<BString, Value>,
    /// Names that were packed and lie outside `refs/`.
    outside: Vec<String>,
    /// Of all names, to bound what a repository can ask of memory.
    name_bytes: usize,
}

impl Found {
    /// Adds a reference, unless there is one of that name.
    fn add(
        &mut self,
        repository: &Repository,
        name: &[u8],
        value: Value,
    ) -> Result<(), ImportError> {
        self.name_bytes += name.len();
        if self.name_bytes > limits::MANIFEST_BYTES_MAX {
            let max = limits::MANIFEST_BYTES_MAX;
            return Err(repository.unsupported(format!(
                "the names of its references have more than {max} bytes: there are too many"
            )));
        }
        self.values.entry(name.into()).or_insert(value);
        Ok(())
    }
}

/// Reads HEAD and all references.
pub(super) fn read(repository: &Repository) -> Result<References, ImportError> {
    let head = head(repository)?;
    let mut found = Found::default();
    loose::read(repository, &mut found)?;
    packed::read(repository, &mut found)?;
    let outside = found.outside.iter();
    let mut warnings: Vec<Warning> =
        outside.map(|name| Warning::OutsideRefs { name: name.clone() }).collect();
    let mut refs = Vec::new();
    for (name, value) in &found.values {
        let target = match judge(repository, name, value)? {
            Ok(target) => target,
            Err(problem) => {
                warnings.push(Warning::BrokenRef { name: shown(name), problem });
                continue;
            }
        };
        if let Target::Symbolic(to) = &target
            && !leads_somewhere(&found.values, to)
        {
            warnings.push(Warning::DanglingRef { name: shown(name), target: shown(to) });
        }
        refs.push(Reference { name: name.clone(), target });
    }
    if let Head::Ref(branch) = &head
        && found.values.contains_key(branch)
        && !leads_somewhere(&found.values, branch)
    {
        warnings.push(Warning::DanglingRef { name: "HEAD".to_owned(), target: shown(branch) });
    }
    Ok(References { head, refs, warnings })
}

/// Commits whose parents are left out on purpose; ascending.
pub(super) fn shallow(repository: &Repository) -> Result<Vec<ObjectId>, ImportError> {
    let path = repository.common_dir.join("shallow");
    let doing = || format!("reading {}", path.display());
    let bytes_max = limits::MANIFEST_BYTES_MAX as u64;
    let text = read_regular(&path, bytes_max).map_err(reading(doing()))?.unwrap_or_default();
    let mut ids = Vec::new();
    for line in text.lines() {
        let id = id_of_hex(line.trim_end(), repository.algorithm)
            .ok_or_else(|| reading(doing())(format!("{:?} is no commit's id", shown(line))))?;
        ids.push(id);
    }
    ids.sort();
    ids.dedup();
    Ok(ids)
}

fn head(repository: &Repository) -> Result<Head, ImportError> {
    let path = repository.git_dir.join("HEAD");
    let doing = || format!("reading {}", path.display());
    let value = match std::fs::read_link(&path) {
        // It was looked at when the repository was found: a link leads to a reference.
        Ok(target) => Value::Symbolic(loose::bytes_of(target.as_os_str()).into()),
        Err(_) => match read_small(&path).map_err(reading(doing()))? {
            Some(text) => parse(&text, repository.algorithm),
            None => Value::Broken("it is gone".to_owned()),
        },
    };
    match value {
        Value::Id(id) => Ok(Head::Id(id)),
        Value::Symbolic(branch) => match check_name(&branch) {
            Ok(()) => Ok(Head::Ref(branch)),
            Err(problem) => {
                Err(repository.unsupported(format!("HEAD leads to {}: {problem}", shown(&branch))))
            }
        },
        Value::Broken(problem) => Err(reading(doing())(problem)),
    }
}

/// What a manifest can hold of a reference; the inner error says why Git calls it broken.
fn judge(
    repository: &Repository,
    name: &[u8],
    value: &Value,
) -> Result<Result<Target, String>, ImportError> {
    if let Err(error) = gix::validate::reference::name(name.as_bstr()) {
        return Ok(Err(format!("Git allows no such name: {error}")));
    }
    if let Err(problem) = check_name(name) {
        return Err(repository.unsupported(format!("reference {}: {problem}", shown(name))));
    }
    match value {
        Value::Broken(problem) => Ok(Err(problem.clone())),
        Value::Id(id) if id.as_bytes().iter().all(|byte| *byte == 0) => {
            Ok(Err("it is all zeros".to_owned()))
        }
        Value::Id(id) => Ok(Ok(Target::Id(*id))),
        Value::Symbolic(to) => {
            if let Err(error) = gix::validate::reference::name_partial(to.as_bstr()) {
                return Ok(Err(format!("it leads to {}, which is no name: {error}", shown(to))));
            }
            match check_name(to) {
                Ok(()) => Ok(Ok(Target::Symbolic(to.clone()))),
                Err(_) if !to.starts_with(b"refs/") && !is_there(repository, to) => {
                    Ok(Err(format!("it leads to {}, which does not exist", shown(to))))
                }
                Err(problem) => Err(repository.unsupported(format!(
                    "reference {} is symbolic and leads to {}, which cannot be stored: {problem}; \
                     `git symbolic-ref` changes where it leads",
                    shown(name),
                    shown(to)
                ))),
            }
        }
    }
}

/// Whether there is something outside `refs/` that Git would read as a reference.
fn is_there(repository: &Repository, name: &[u8]) -> bool {
    let text = name
        .to_path()
        .ok()
        .and_then(|name| read_regular(&repository.git_dir.join(name), REF_FILE_BYTES_MAX).ok())
        .flatten();
    text.is_some_and(|text| !matches!(parse(&text, repository.algorithm), Value::Broken(_)))
}

/// Whether a symbolic reference with this target leads to an object's id in the end.
fn leads_somewhere(values: &BTreeMap<BString, Value>, target: &BString) -> bool {
    let mut target = target;
    for _ in 1..SYMBOLIC_DEPTH_MAX {
        match values.get(target) {
            Some(Value::Id(_)) => return true,
            Some(Value::Symbolic(next)) => target = next,
            Some(Value::Broken(_)) => return false,
            None => return false,
        }
    }
    false
}

/// Reads what a reference's file says (`parse_loose_ref_contents`).
fn parse(text: &[u8], algorithm: HashAlgorithm) -> Value {
    let text = text.trim_end();
    if let Some(target) = text.strip_prefix(b"ref:") {
        return Value::Symbolic(target.trim_start().into());
    }
    let (hex, rest) = text.split_at(text.len().min(algorithm.id_len() * 2));
    match id_of_hex(hex, algorithm) {
        Some(id) if rest.first().is_none_or(u8::is_ascii_whitespace) => Value::Id(id),
        _ if text.is_empty() => Value::Broken("it is empty".to_owned()),
        _ => Value::Broken("its file holds neither an id nor a name".to_owned()),
    }
}

fn id_of_hex(hex: &[u8], algorithm: HashAlgorithm) -> Option<ObjectId> {
    let id: ObjectId = hex.to_str().ok()?.parse().ok()?;
    (id.algorithm() == algorithm).then_some(id)
}
