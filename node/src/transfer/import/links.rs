//! Object references.
//!
//! What an object refers to, read off its data as it goes by.
//!
//! Commits name a tree and parents, trees name trees and blobs, tags name their target. Submodules
//! are no references: Git never expects their commits here. The rules are those of Git's own
//! readers (`parse_commit_buffer`, `decode_tree_entry`, `parse_tag_buffer`), not those of fsck:
//! what Git can walk is walked here.

#[cfg(test)]
mod tests;

use gitstratum_core::limits;
use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};
use gix::bstr::ByteSlice;

/// A line of a commit or a tag, or an entry of a tree, is not longer than this.
const ENTRY_BYTES_MAX: usize = limits::OBJECT_BYTES_WHOLE_MAX;

/// One object that another refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Link {
    pub(super) id: ObjectId,
    /// What the other one takes it for.
    pub(super) kind: Kind,
}

/// Reads the links of one object, whose data comes in parts.
pub(super) struct Links {
    kind: Kind,
    algorithm: HashAlgorithm,
    /// The parents of this commit are absent by intent.
    is_shallow: bool,
    /// What came of an entry or line that has not ended yet.
    begun: Vec<u8>,
    /// Lines that were read of a commit or tag.
    lines: usize,
    /// Of a tag, whose next line says what it is.
    target: Option<ObjectId>,
    /// Nothing that follows can be a link.
    done: bool,
}

impl Links {
    pub(super) fn new(kind: Kind, algorithm: HashAlgorithm, is_shallow: bool) -> Self {
        let done = kind == Kind::Blob;
        Links { kind, algorithm, is_shallow, begun: Vec::new(), lines: 0, target: None, done }
    }

    /// Takes the next part of the data, and gives `found` the links that are complete with it.
    ///
    /// # Errors
    /// What Git could not read either.
    pub(super) fn feed(
        &mut self,
        part: &[u8],
        found: &mut dyn FnMut(Link),
    ) -> Result<(), &'static str> {
        if self.done {
            return Ok(());
        }
        if self.begun.is_empty() {
            let used = self.read(part, found)?;
            self.begun.extend_from_slice(&part[used..]);
        } else {
            let mut joined = std::mem::take(&mut self.begun);
            joined.extend_from_slice(part);
            let used = self.read(&joined, found)?;
            joined.drain(..used);
            self.begun = joined;
        }
        if self.done {
            self.begun = Vec::new();
        }
        if self.begun.len() > ENTRY_BYTES_MAX {
            return Err("an entry does not end");
        }
        Ok(())
    }

    /// The data has ended.
    ///
    /// # Errors
    /// It ended too soon.
    pub(super) fn finish(self) -> Result<(), &'static str> {
        match self.kind {
            Kind::Tree if !self.begun.is_empty() => Err("the tree ends in the middle of an entry"),
            Kind::Commit if self.lines == 0 => Err("the commit has no tree"),
            Kind::Tag if !self.done => Err("the tag has no target"),
            _ => Ok(()),
        }
    }

    /// Reads what is complete; how many bytes that was.
    fn read(&mut self, data: &[u8], found: &mut dyn FnMut(Link)) -> Result<usize, &'static str> {
        let mut used = 0;
        while !self.done {
            let rest = &data[used..];
            let read = match self.kind {
                Kind::Tree => self.entry(rest, found)?,
                Kind::Commit | Kind::Tag => self.line(rest, found)?,
                Kind::Blob | Kind::Chunk => break,
            };
            match read {
                Some(bytes) => used += bytes,
                None => break,
            }
        }
        Ok(used)
    }

    /// An entry of a tree: mode, name and raw id. `None` until it is complete.
    fn entry(
        &self,
        data: &[u8],
        found: &mut dyn FnMut(Link),
    ) -> Result<Option<usize>, &'static str> {
        let Some(end) = data.find_byte(0) else { return Ok(None) };
        let len = end + 1 + self.algorithm.id_len();
        let Some(raw) = data.get(end + 1..len) else { return Ok(None) };
        let space = data[..end].find_byte(b' ').ok_or("an entry of the tree has no name")?;
        let (mode, name) = (&data[..space], &data[space + 1..end]);
        if mode.is_empty() || name.is_empty() {
            return Err("an entry of the tree has no mode or no name");
        }
        let mut bits = 0u32;
        for digit in mode {
            match digit {
                b'0'..=b'7' => bits = bits.wrapping_shl(3) | u32::from(digit - b'0'),
                _ => return Err("the mode of an entry of the tree is no octal number"),
            }
        }
        let kind = match bits & 0o170_000 {
            0o040_000 => Kind::Tree,
            0o100_000 | 0o120_000 => Kind::Blob,
            // A submodule; Git takes all others for that too.
            _ => return Ok(Some(len)),
        };
        let id = ObjectId::from_bytes(raw).expect("ids are 20 or 32 bytes");
        found(Link { id, kind });
        Ok(Some(len))
    }

    /// A line of the head of a commit or tag. `None` until it is complete.
    fn line(
        &mut self,
        data: &[u8],
        found: &mut dyn FnMut(Link),
    ) -> Result<Option<usize>, &'static str> {
        let Some(end) = data.find_byte(b'\n') else { return Ok(None) };
        let line = &data[..end];
        let id = |hex: &[u8]| {
            let id = hex.to_str().ok().and_then(|hex| hex.parse::<ObjectId>().ok());
            id.filter(|id| id.algorithm() == self.algorithm)
        };
        match (self.kind, self.lines) {
            (Kind::Commit, 0) => {
                let tree = line.strip_prefix(b"tree ").and_then(id);
                found(Link { id: tree.ok_or("the commit has no tree")?, kind: Kind::Tree });
            }
            (Kind::Commit, _) => match line.strip_prefix(b"parent ") {
                Some(parent) => {
                    let parent = id(parent).ok_or("a parent of the commit is no id")?;
                    if !self.is_shallow {
                        found(Link { id: parent, kind: Kind::Commit });
                    }
                }
                None => self.done = true,
            },
            (_, 0) => {
                let target = line.strip_prefix(b"object ").and_then(id);
                self.target = Some(target.ok_or("the tag has no target")?);
            }
            _ => {
                let kind =
                    line.strip_prefix(b"type ").and_then(|kind| kind.to_str().ok()?.parse().ok());
                let kind = kind.ok_or("the tag does not say of what kind its target is")?;
                if let Some(id) = self.target {
                    found(Link { id, kind });
                }
                self.done = true;
            }
        }
        self.lines += 1;
        Ok(Some(end + 1))
    }
}
