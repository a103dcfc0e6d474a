//! Reachability closure.
//!
//! Proof that a repository is closed under reachability, or what it lacks.
//!
//! Readers compare what objects refer to with what is there, as they go by. Only when something
//! is not there does it matter who refers to it: Git, too, keeps unreachable objects for a while
//! that refer to objects which it has pruned. Then HEAD and the references are followed, down to
//! what is missing.

use std::collections::{BTreeMap, BTreeSet};

use gitstratum_core::object::{Kind, ObjectId};

use super::error::ImportError;
use super::ids::Ids;
use super::places::Places;
use super::read::Reader;
use super::warning::Warning;
use crate::abridge::in_one_line;
use crate::transfer::manifest::{Head, Manifest, Target, shown};

/// What HEAD and the references reach and cannot be had.
#[derive(Default)]
pub(super) struct Lacking {
    /// Objects that are not there, with what each is and who refers to it.
    missing: BTreeMap<ObjectId, String>,
    /// Objects that do not say what they refer to, with what is wrong with them.
    malformed: BTreeMap<ObjectId, &'static str>,
}

/// Objects that HEAD and the references name, each with its name.
pub(super) fn roots(manifest: &Manifest) -> impl Iterator<Item = (String, ObjectId)> {
    let head = match &manifest.head {
        Head::Id(id) => Some(("HEAD".to_owned(), *id)),
        Head::Ref(_) => None,
    };
    let refs = manifest.refs.iter().filter_map(|reference| match &reference.target {
        Target::Id(id) => Some((shown(&reference.name), *id)),
        Target::Symbolic(_) => None,
    });
    head.into_iter().chain(refs)
}

impl Lacking {
    /// Follows HEAD and the references through everything that `ids` lists.
    pub(super) fn find(
        manifest: &Manifest,
        ids: &Ids,
        places: &Places,
        shallow: &BTreeSet<ObjectId>,
    ) -> Result<Self, ImportError> {
        let mut lacking = Lacking::default();
        let mut reached = Reached { ids, seen: vec![false; ids.len()], next: Vec::new() };
        for (name, id) in roots(manifest) {
            if !reached.add(id) {
                lacking.missing.entry(id).or_insert_with(|| format!("named by {name}"));
            }
        }
        let mut reader = Reader::default();
        while let Some(id) = reached.next.pop() {
            let Some(item) = reader.find(places, id)? else {
                // It was read before, and has been removed since.
                lacking.missing.entry(id).or_insert_with(|| "removed meanwhile".to_owned());
                continue;
            };
            let malformed = item.links(shallow, &mut |by, link| {
                let there = match link.kind {
                    Kind::Blob => ids.contains(&link.id),
                    _ => reached.add(link.id),
                };
                if !there {
                    let kind = link.kind.as_str();
                    lacking.missing.entry(link.id).or_insert_with(|| format!("{kind}, in {by}"));
                }
            })?;
            lacking.malformed.extend(malformed);
        }
        Ok(lacking)
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.missing.is_empty() && self.malformed.is_empty()
    }

    /// Objects that are not there.
    pub(super) fn missing(&self) -> u64 {
        self.missing.len() as u64
    }

    /// One line about all of it.
    pub(super) fn problem(&self, is_partial_clone: bool) -> String {
        let mut problems = Vec::new();
        let (missing, malformed): (Vec<_>, Vec<_>) = self
            .warnings()
            .into_iter()
            .partition(|warning| matches!(warning, Warning::Missing { .. }));
        if !missing.is_empty() {
            let objects = if missing.len() == 1 { "an object" } else { "objects" };
            problems.push(format!(
                "lacks {objects} that its references reach: {}",
                in_one_line(&missing)
            ));
        }
        if !malformed.is_empty() {
            problems.push(format!(
                "has objects that do not say what they refer to: {}",
                in_one_line(&malformed)
            ));
        }
        let advice = if is_partial_clone {
            "it is a partial clone: fetch what it lacks, or import a whole clone"
        } else {
            "fetch what it lacks from another clone"
        };
        format!("it {}; {advice}, or pass --allow-missing", problems.join("; it "))
    }

    pub(super) fn warnings(&self) -> Vec<Warning> {
        let missing = self.missing.iter();
        let missing = missing.map(|(id, role)| Warning::Missing { id: *id, role: role.clone() });
        let malformed = self.malformed.iter();
        let malformed = malformed
            .map(|(id, problem)| Warning::Malformed { id: *id, problem: (*problem).to_owned() });
        missing.chain(malformed).collect()
    }
}

/// What was reached, and what of it is still to be followed.
struct Reached<'i> {
    ids: &'i Ids,
    seen: Vec<bool>,
    next: Vec<ObjectId>,
}

impl Reached<'_> {
    /// False if there is no such object.
    fn add(&mut self, id: ObjectId) -> bool {
        let Some(at) = self.ids.position(&id) else { return false };
        if !std::mem::replace(&mut self.seen[at], true) {
            self.next.push(id);
        }
        true
    }
}
