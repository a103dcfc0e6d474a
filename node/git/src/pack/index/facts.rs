//! What the objects of a pack are and say: ids, kinds, links, commits, tags, findings of fsck.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use gitstratum_core::limits::FSCK_FINDINGS_LISTED_MAX;
use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};

use super::ids::Ids;
use crate::fsck::{
    Finding, Policy, SpecialBlobs, check_commit, check_special_blob, check_tag, check_tree,
};
use crate::object::{Commit, Tag};
use crate::pack::PackError;

/// No entry has this number: a pack has fewer.
const NO_ENTRY: u32 = u32::MAX;
/// Links that were followed last are found again without hashing: trees that follow each other name
/// nearly the same objects.
const RECENT_LINKS: usize = 1 << 13;

/// What is known of an id.
#[derive(Clone, Copy)]
struct Known {
    /// The entry that was first found to be this object.
    entry: u32,
    /// What it is, or is said to be.
    kind: Option<Kind>,
    /// An object of the pack names it.
    linked: bool,
    /// The client sent it.
    sent: bool,
}

/// A commit of the pack. Ids are numbers.
pub(super) struct CommitRow {
    pub(super) entry: u32,
    pub(super) tree: u32,
    /// Where its parents begin among those of all commits.
    pub(super) parents: usize,
    pub(super) committed_at: u64,
}

/// A tag of the pack. Ids are numbers.
pub(super) struct TagRow {
    pub(super) entry: u32,
    pub(super) target: u32,
    pub(super) target_kind: Kind,
}

/// Names that trees give to a blob, and those by which it was checked.
#[derive(Default)]
struct Special {
    names: SpecialBlobs,
    checked: SpecialBlobs,
}

pub(super) struct Facts {
    pub(super) ids: Ids,
    known: Vec<Known>,
    recent: Vec<Option<(ObjectId, Kind)>>,
    pub(super) commits: Vec<CommitRow>,
    pub(super) parents: Vec<u32>,
    pub(super) tags: Vec<TagRow>,
    special: BTreeMap<u32, Special>,
    policy: Arc<Policy>,
    found: Vec<Finding>,
    pub(super) warnings: Vec<Finding>,
    pub(super) warnings_count: u64,
    links_max: u32,
}

impl Facts {
    pub(super) fn new(algorithm: HashAlgorithm, policy: Policy, links_max: u32) -> Self {
        Facts {
            ids: Ids::new(algorithm),
            known: Vec::new(),
            recent: vec![None; RECENT_LINKS],
            commits: Vec::new(),
            parents: Vec::new(),
            tags: Vec::new(),
            special: BTreeMap::new(),
            policy: Arc::new(policy),
            found: Vec::new(),
            warnings: Vec::new(),
            warnings_count: 0,
            links_max,
        }
    }

    /// The number of an id that is named somewhere.
    pub(super) fn number(&mut self, id: &ObjectId) -> Result<u32, PackError> {
        let number = self.ids.intern(id);
        if number as usize == self.known.len() {
            if self.known.len() >= self.links_max as usize {
                return Err(PackError::TooManyLinks { max: self.links_max });
            }
            self.known.push(Known { entry: NO_ENTRY, kind: None, linked: false, sent: false });
        }
        Ok(number)
    }

    /// The entry that holds an object, once one was found to.
    pub(super) fn entry_of(&self, number: u32) -> Option<u32> {
        let entry = self.known[number as usize].entry;
        (entry != NO_ENTRY).then_some(entry)
    }

    fn is_of_kind(&mut self, number: u32, kind: Kind) -> Result<(), PackError> {
        match self.known[number as usize].kind.replace(kind) {
            Some(expected) if expected != kind => {
                Err(PackError::WrongKind { id: self.ids.id(number), expected, actual: kind })
            }
            _ => Ok(()),
        }
    }

    /// Notes that an object of the pack names another.
    fn link(&mut self, id: &ObjectId, kind: Kind) -> Result<u32, PackError> {
        let number = self.number(id)?;
        self.is_of_kind(number, kind)?;
        self.known[number as usize].linked = true;
        Ok(number)
    }

    /// As [`Facts::link`], for the many links of trees.
    fn link_of_tree(&mut self, id: &ObjectId, kind: Kind) -> Result<(), PackError> {
        let slot = id.prefix_u64() as usize % RECENT_LINKS;
        if self.recent[slot] != Some((*id, kind)) {
            self.link(id, kind)?;
            self.recent[slot] = Some((*id, kind));
        }
        Ok(())
    }

    /// Notes that an entry is an object that the client sent. Tells its number, and whether the
    /// client had not sent it before.
    pub(super) fn sent(
        &mut self,
        entry: u32,
        id: &ObjectId,
        kind: Kind,
    ) -> Result<(u32, bool), PackError> {
        let number = self.number(id)?;
        self.is_of_kind(number, kind)?;
        let known = &mut self.known[number as usize];
        if known.entry == NO_ENTRY {
            known.entry = entry;
        }
        Ok((number, !std::mem::replace(&mut known.sent, true)))
    }

    /// Notes that an entry is an object of the repository, appended because deltas build on it.
    pub(super) fn appended(
        &mut self,
        entry: u32,
        number: u32,
        kind: Kind,
        data: &[u8],
    ) -> Result<(), PackError> {
        self.is_of_kind(number, kind)?;
        self.known[number as usize].entry = entry;
        match kind {
            Kind::Commit => self.commit(entry, number, data, false),
            Kind::Tag => self.tag(entry, number, data, false),
            Kind::Blob | Kind::Tree | Kind::Chunk => Ok(()),
        }
    }

    /// Checks an object and notes what it says.
    pub(super) fn examine(
        &mut self,
        entry: u32,
        number: u32,
        kind: Kind,
        data: &Bytes,
    ) -> Result<(), PackError> {
        let id = self.ids.id(number);
        match kind {
            Kind::Blob => {
                if self.special.contains_key(&number) {
                    self.check_special(number, Some(data))?;
                }
                Ok(())
            }
            Kind::Chunk => Ok(()),
            Kind::Tree => self.tree(id, data),
            Kind::Commit => {
                check_commit(&self.policy, id, data, &mut self.found);
                self.judge()?;
                self.commit(entry, number, data, true)
            }
            Kind::Tag => {
                check_tag(&self.policy, id, data, &mut self.found);
                self.judge()?;
                self.tag(entry, number, data, true)
            }
        }
    }

    fn tree(&mut self, id: ObjectId, data: &[u8]) -> Result<(), PackError> {
        // Lent out for the time of the check, so that its calls can note links.
        let (policy, mut found) = (self.policy.clone(), std::mem::take(&mut self.found));
        let mut linked = Ok(());
        let read = check_tree(
            &policy,
            id,
            data,
            |entry, special| {
                let Some(kind) = entry.kind() else { return };
                if linked.is_ok() {
                    linked = self.link_of_tree(&entry.id, kind);
                }
                if special.any() && linked.is_ok() {
                    linked = self.number(&entry.id).map(|number| {
                        let is = self.special.entry(number).or_default();
                        is.names = is.names.or(special);
                    });
                }
            },
            &mut found,
        );
        self.found = found;
        self.judge()?;
        read.map_err(|source| PackError::Malformed { id, source })?;
        linked
    }

    fn commit(
        &mut self,
        entry: u32,
        number: u32,
        data: &[u8],
        linked: bool,
    ) -> Result<(), PackError> {
        let id = self.ids.id(number);
        let commit = Commit::parse(id.algorithm(), data)
            .map_err(|source| PackError::Malformed { id, source })?;
        let tree = self.link_or_number(&commit.tree, Kind::Tree, linked)?;
        let parents = self.parents.len();
        for parent in &commit.parents {
            if self.parents.len() >= self.links_max as usize {
                return Err(PackError::TooManyLinks { max: self.links_max });
            }
            let parent = self.link_or_number(parent, Kind::Commit, linked)?;
            self.parents.push(parent);
        }
        if self.entry_of(number) != Some(entry) {
            // It is there already, as a base that was appended.
            self.parents.truncate(parents);
            return Ok(());
        }
        self.commits.push(CommitRow { entry, tree, parents, committed_at: commit.committed_at });
        Ok(())
    }

    fn tag(&mut self, entry: u32, number: u32, data: &[u8], linked: bool) -> Result<(), PackError> {
        let id = self.ids.id(number);
        let tag = Tag::parse(id.algorithm(), data)
            .map_err(|source| PackError::Malformed { id, source })?;
        let target = self.link_or_number(&tag.target, tag.target_kind, linked)?;
        if self.entry_of(number) != Some(entry) {
            return Ok(());
        }
        self.tags.push(TagRow { entry, target, target_kind: tag.target_kind });
        Ok(())
    }

    fn link_or_number(
        &mut self,
        id: &ObjectId,
        kind: Kind,
        linked: bool,
    ) -> Result<u32, PackError> {
        if linked { self.link(id, kind) } else { self.number(id) }
    }

    /// Refuses the pack for an error among what was found last, and keeps warnings.
    fn judge(&mut self) -> Result<(), PackError> {
        let mut error = None;
        for finding in self.found.drain(..) {
            if finding.is_error() {
                error.get_or_insert(PackError::Fsck(Box::new(finding)));
                continue;
            }
            self.warnings_count += 1;
            if self.warnings.len() < FSCK_FINDINGS_LISTED_MAX {
                self.warnings.push(finding);
            }
        }
        error.map_or(Ok(()), Err)
    }

    /// Checks a blob by the names that trees give it. Without data it is too large for that.
    pub(super) fn check_special(
        &mut self,
        number: u32,
        data: Option<&[u8]>,
    ) -> Result<(), PackError> {
        let id = self.ids.id(number);
        let special = self.special.entry(number).or_default();
        let names = SpecialBlobs {
            modules: special.names.modules && !special.checked.modules,
            attributes: special.names.attributes && !special.checked.attributes,
        };
        special.checked = special.names;
        check_special_blob(&self.policy, names, id, data, &mut self.found);
        self.judge()
    }

    /// Blobs with such names that were not checked by all of them.
    pub(super) fn special_unchecked(&self) -> impl Iterator<Item = (u32, SpecialBlobs)> + '_ {
        let unchecked = self.special.iter().filter(|(_, special)| special.checked != special.names);
        unchecked.map(|(number, special)| (*number, special.names))
    }

    /// What objects of the pack name, and the client did not send.
    pub(super) fn missing(&self) -> BTreeMap<ObjectId, Kind> {
        let numbered = self.known.iter().enumerate();
        numbered
            .filter(|(_, known)| known.linked && !known.sent)
            .filter_map(|(number, known)| Some((self.ids.id(number as u32), known.kind?)))
            .collect()
    }
}
