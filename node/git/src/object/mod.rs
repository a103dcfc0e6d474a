//! Git object parsing.
//!
//! What commits, trees and tags say of other objects. Lenient: it reads what is needed to follow
//! links, and refuses only what leaves none to follow. Whether an object is well formed is asked
//! elsewhere. Nothing here looks at hashes.

#[cfg(test)]
mod tests;

use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};

/// An object that cannot be read as what it is said to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed {kind}: {reason}")]
pub struct Malformed {
    /// What it should be.
    pub kind: Kind,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// What a commit says of other objects, and when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its tree.
    pub tree: ObjectId,
    /// Its parents, in order.
    pub parents: Vec<ObjectId>,
    /// When it was committed, in seconds since 1970; 0 where it does not say so legibly.
    pub committed_at: u64,
}

/// What an annotated tag points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The object.
    pub target: ObjectId,
    /// What it is said to be.
    pub target_kind: Kind,
}

/// An entry of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeEntry<'a> {
    /// Its mode, such as `0o100644`.
    pub mode: u32,
    /// Its name.
    pub name: &'a [u8],
    /// The object; of a submodule, a commit of another repository.
    pub id: ObjectId,
}

/// The mode of a tree within a tree.
pub const MODE_TREE: u32 = 0o040_000;
/// The mode of a submodule.
pub const MODE_SUBMODULE: u32 = 0o160_000;
/// The bits of a mode that tell what an entry is.
const MODE_TYPE: u32 = 0o170_000;

impl TreeEntry<'_> {
    /// What the entry's object is; nothing for a submodule, whose commit lies elsewhere.
    pub fn kind(&self) -> Option<Kind> {
        match self.mode & MODE_TYPE {
            MODE_TREE => Some(Kind::Tree),
            MODE_SUBMODULE => None,
            _ => Some(Kind::Blob),
        }
    }
}

/// The rest of a header line that begins with `word` and a space, and what follows the line.
fn header<'a>(data: &'a [u8], word: &str) -> Option<(&'a [u8], &'a [u8])> {
    let rest = data.strip_prefix(word.as_bytes())?.strip_prefix(b" ")?;
    let end = rest.iter().position(|&byte| byte == b'\n')?;
    Some((&rest[..end], &rest[end + 1..]))
}

fn hex_id(algorithm: HashAlgorithm, text: &[u8]) -> Option<ObjectId> {
    let id: ObjectId = std::str::from_utf8(text).ok()?.parse().ok()?;
    (id.algorithm() == algorithm).then_some(id)
}

impl Commit {
    /// Reads a commit's header.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(algorithm: HashAlgorithm, data: &[u8]) -> Result<Self, Malformed> {
        let malformed = |reason| Malformed { kind: Kind::Commit, reason };
        let (tree, mut rest) = header(data, "tree").ok_or(malformed("it names no tree"))?;
        let tree = hex_id(algorithm, tree).ok_or(malformed("its tree is no object id"))?;
        let mut parents = Vec::new();
        while let Some((parent, after)) = header(rest, "parent") {
            parents.push(hex_id(algorithm, parent).ok_or(malformed("a parent is no object id"))?);
            rest = after;
        }
        let after_author = header(rest, "author").map_or(rest, |(_, after)| after);
        let committed_at = header(after_author, "committer").map_or(0, |(line, _)| seconds(line));
        Ok(Commit { tree, parents, committed_at })
    }
}

/// The seconds of a line that ends with `> SECONDS ZONE`.
fn seconds(line: &[u8]) -> u64 {
    let after_mail = line.iter().rposition(|&byte| byte == b'>').map_or(0, |at| at + 1);
    let text = String::from_utf8_lossy(&line[after_mail..]);
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

impl Tag {
    /// Reads a tag's header.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(algorithm: HashAlgorithm, data: &[u8]) -> Result<Self, Malformed> {
        let malformed = |reason| Malformed { kind: Kind::Tag, reason };
        let (target, rest) = header(data, "object").ok_or(malformed("it names no object"))?;
        let target = hex_id(algorithm, target).ok_or(malformed("its object is no object id"))?;
        let (kind, _) = header(rest, "type").ok_or(malformed("it does not say of what type"))?;
        let kind = std::str::from_utf8(kind).ok().and_then(|word| word.parse().ok());
        let target_kind = kind.ok_or(malformed("its type is none of the four"))?;
        Ok(Tag { target, target_kind })
    }
}

/// The entries of a tree, in its order.
pub fn tree_entries(
    algorithm: HashAlgorithm,
    data: &[u8],
) -> impl Iterator<Item = Result<TreeEntry<'_>, Malformed>> {
    let mut rest = data;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let entry = next_entry(algorithm, &mut rest);
        if entry.is_err() {
            rest = &[];
        }
        Some(entry)
    })
}

fn next_entry<'a>(
    algorithm: HashAlgorithm,
    rest: &mut &'a [u8],
) -> Result<TreeEntry<'a>, Malformed> {
    let malformed = |reason| Malformed { kind: Kind::Tree, reason };
    let data = *rest;
    let space = data.iter().position(|&byte| byte == b' ').ok_or(malformed("a mode has no end"))?;
    let digits = &data[..space];
    if digits.is_empty() || digits.len() > 7 || !digits.iter().all(|d| (b'0'..=b'7').contains(d)) {
        return Err(malformed("a mode is no octal number"));
    }
    let mode = digits.iter().fold(0, |mode, digit| mode << 3 | u32::from(digit - b'0'));
    let data = &data[space + 1..];
    let end = data.iter().position(|&byte| byte == 0).ok_or(malformed("a name has no end"))?;
    let (name, data) = (&data[..end], &data[end + 1..]);
    let (id, data) = data.split_at_checked(algorithm.id_len()).ok_or(malformed("it is cut off"))?;
    *rest = data;
    let id = ObjectId::from_bytes(id).expect("as long as the ids of its algorithm");
    Ok(TreeEntry { mode, name, id })
}

/// Calls `found` with each object that must be there for this one to be whole, and what it must
/// be. Submodules are not among them.
///
/// # Errors
/// [`Malformed`], after which some may have been called.
pub fn links(
    algorithm: HashAlgorithm,
    kind: Kind,
    data: &[u8],
    mut found: impl FnMut(ObjectId, Kind),
) -> Result<(), Malformed> {
    match kind {
        Kind::Blob | Kind::Chunk => {}
        Kind::Tree => {
            for entry in tree_entries(algorithm, data) {
                let entry = entry?;
                if let Some(kind) = entry.kind() {
                    found(entry.id, kind);
                }
            }
        }
        Kind::Commit => {
            let commit = Commit::parse(algorithm, data)?;
            found(commit.tree, Kind::Tree);
            commit.parents.into_iter().for_each(|parent| found(parent, Kind::Commit));
        }
        Kind::Tag => {
            let tag = Tag::parse(algorithm, data)?;
            found(tag.target, tag.target_kind);
        }
    }
    Ok(())
}
