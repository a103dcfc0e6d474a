//! Object encoder: blobs, trees, commits and annotated tags as Git writes them.

use std::collections::BTreeMap;

use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, Object, ObjectId};

use crate::trace::GitObject;

/// Who makes everything.
const IDENTITY: &str = "Simulated Committer <committer@example.org>";

/// An object with what it names.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) id: ObjectId,
    pub(super) kind: Kind,
    pub(super) data: Bytes,
    /// The commits that it follows.
    parents: Vec<ObjectId>,
    /// All other objects that it names.
    names: Vec<ObjectId>,
}

impl Made {
    fn new(kind: Kind, data: Vec<u8>, parents: &[ObjectId], names: Vec<ObjectId>) -> Self {
        let data = Bytes::from(data);
        Made { id: id_of(kind, data.clone()), kind, data, parents: parents.to_vec(), names }
    }

    /// As a trace has it.
    pub(super) fn traced(&self) -> GitObject {
        let texts = |ids: &[ObjectId]| ids.iter().map(ToString::to_string).collect();
        let (parents, names) = (texts(&self.parents), texts(&self.names));
        GitObject { id: self.id.to_string(), parents, names }
    }
}

/// The id of an object by what it contains.
///
/// # Panics
/// When it bears the marks of a collision attack, which nothing that is drawn does.
pub(super) fn id_of(kind: Kind, data: Bytes) -> ObjectId {
    let hashed = Object::hash(HashAlgorithm::Sha1, kind, data);
    hashed.expect("nobody attacks here").id()
}

/// A file.
pub(super) fn blob(data: Vec<u8>) -> Made {
    Made::new(Kind::Blob, data, &[], Vec::new())
}

/// A directory of files by their names, and directories by theirs.
pub(super) fn tree(
    files: &BTreeMap<&str, ObjectId>,
    directories: &BTreeMap<&str, ObjectId>,
) -> Made {
    // Git sorts directories as if their names ended with a slash.
    let mut entries: Vec<(String, &str, &str, ObjectId)> = Vec::new();
    entries.extend(files.iter().map(|(name, id)| ((*name).to_owned(), "100644", *name, *id)));
    entries.extend(directories.iter().map(|(name, id)| (format!("{name}/"), "40000", *name, *id)));
    entries.sort();
    let mut data = Vec::new();
    for (_, mode, name, id) in &entries {
        data.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        data.extend_from_slice(id.as_bytes());
    }
    Made::new(Kind::Tree, data, &[], entries.iter().map(|entry| entry.3).collect())
}

/// A commit, made so many seconds after 1970.
pub(super) fn commit(tree: ObjectId, parents: &[ObjectId], at: u64, message: &str) -> Made {
    let mut text = format!("tree {tree}\n");
    for parent in parents {
        text.push_str(&format!("parent {parent}\n"));
    }
    text.push_str(&format!("author {IDENTITY} {at} +0000\ncommitter {IDENTITY} {at} +0000\n"));
    text.push_str(&format!("\n{message}\n"));
    Made::new(Kind::Commit, text.into_bytes(), parents, vec![tree])
}

/// An annotated tag of a commit.
pub(super) fn tag(target: ObjectId, name: &str, at: u64) -> Made {
    let text = format!(
        "object {target}\ntype commit\ntag {name}\ntagger {IDENTITY} {at} +0000\n\n{name}\n"
    );
    Made::new(Kind::Tag, text.into_bytes(), &[], vec![target])
}
