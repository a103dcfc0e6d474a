//! Plan of a round: what makes the cluster's refs those of the remote, and what that would lose.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use gitstratum_core::limits;
use gitstratum_core::object::ObjectId;
use gitstratum_git::service::{Head, RefCommand, Refs};

use super::MirrorOptions;
use super::remote::RemoteRefs;

/// What a round is to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Updates.
    pub(super) commands: Vec<RefCommand>,
    /// The deletion of the branch at which `HEAD` is, until it was pointed elsewhere.
    pub(super) last_deletion: Option<RefCommand>,
    /// Where `HEAD` is to point, if it does not yet.
    pub(super) head: Option<Head>,
    /// Refs that would lose their values, with those. Not the ones of which it is known that the
    /// remote gave them.
    pub(super) at_risk: Vec<(String, ObjectId)>,
    /// Refs that the remote does not have, and that stay.
    pub(super) kept: Vec<String>,
}

impl Plan {
    /// Compares the refs of both sides. `followed` is what an earlier round has set.
    pub(super) fn new(
        options: &MirrorOptions,
        theirs: &RemoteRefs,
        ours: &Refs,
        followed: &BTreeMap<String, ObjectId>,
    ) -> Self {
        let mut plan = Plan { head: wanted_head(options, theirs, ours), ..Plan::default() };
        let by_name: BTreeMap<&str, ObjectId> =
            ours.refs.iter().map(|found| (found.name.as_str(), found.id)).collect();
        for (name, id) in &theirs.refs {
            let old = by_name.get(name.as_str()).copied();
            if old != Some(*id) {
                plan.commands.push(RefCommand { name: name.clone(), old, new: Some(*id) });
            }
        }
        let current = match &ours.head {
            Head::Branch(branch) => Some(branch.as_str()),
            Head::Detached(_) => None,
        };
        for (name, id) in by_name {
            if theirs.refs.contains_key(name) || !options.selection.covers(name) {
                continue;
            }
            let deletion = RefCommand { name: name.to_owned(), old: Some(id), new: None };
            let is_current = current == Some(name);
            if !options.prune || (is_current && plan.head.is_none()) {
                plan.kept.push(name.to_owned());
            } else if is_current {
                plan.last_deletion = Some(deletion);
            } else {
                plan.commands.push(deletion);
            }
        }
        let replaced = plan.commands.iter().chain(&plan.last_deletion).filter_map(|command| {
            let old = command.old.filter(|old| followed.get(&command.name) != Some(old))?;
            Some((command.name.clone(), old))
        });
        plan.at_risk = replaced.collect();
        plan
    }

    /// How many refs are deleted.
    pub(super) fn deletions(&self) -> u64 {
        let all = self.commands.iter().chain(&self.last_deletion);
        all.filter(|command| command.new.is_none()).count() as u64
    }

    /// Objects that are needed for it, each once.
    pub(super) fn tips(&self) -> Vec<ObjectId> {
        let mut tips: BTreeSet<ObjectId> =
            self.commands.iter().filter_map(|command| command.new).collect();
        if let (Some(Head::Detached(id)), false) = (&self.head, self.commands.is_empty()) {
            tips.insert(*id);
        }
        tips.into_iter().collect()
    }

    /// What the remote is told to be there: old values of what changes, then others.
    pub(super) fn haves(&self, ours: &Refs) -> Vec<ObjectId> {
        let (mut haves, mut known) = (Vec::new(), BTreeSet::new());
        let changing = self.commands.iter().filter_map(|command| command.old);
        let at_risk = self.at_risk.iter().map(|(_, id)| *id);
        for id in at_risk.chain(changing) {
            if known.insert(id) {
                haves.push(id);
            }
        }
        let others = ours.refs.iter().map(|found| found.id).filter(|id| known.insert(*id));
        haves.extend(others.take(limits::MIRROR_HAVES_MAX));
        haves
    }
}

/// Where `HEAD` is to point; nothing where it does, or where the remote does not say, or points it at
/// a ref that is not followed.
fn wanted_head(options: &MirrorOptions, theirs: &RemoteRefs, ours: &Refs) -> Option<Head> {
    let head = theirs.head.as_ref().filter(|head| **head != ours.head)?;
    match head {
        Head::Branch(branch) if !options.selection.covers(branch) => None,
        head => Some(head.clone()),
    }
}
