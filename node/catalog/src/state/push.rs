//! Pushes: compare-and-swap of refs, each by itself or all together.
//!
//! Deletions are done first, then the rest in the push's order, so that `a` can be deleted and
//! `a/b` made by one push. So does git's receive-pack where a push is not atomic; an atomic one it
//! refuses then, for reasons of its files that do not apply here. A name stands in one update only,
//! so no expectation meets what the same push did.

use std::collections::BTreeMap;
use std::sync::Arc;

use gitstratum_core::limits::{
    PACK_SOURCE_BYTES_MAX, PACKS_PER_PUSH_MAX, PACKS_PER_REPOSITORY_MAX, REFLOG_MESSAGE_BYTES_MAX,
    REFS_PER_PUSH_MAX, REFS_PER_REPOSITORY_MAX,
};
use gitstratum_core::object::{HashAlgorithm, ObjectId};

use super::refs::{NewRef, RefKey, Refs};
use super::settings::branch;
use super::{Context, State};
use crate::command::{Expected, NewTarget, Push, RefUpdate};
use crate::entity::{Change, Note, Pack, RefTarget, Repository};
use crate::error::{CatalogError, within};
use crate::ids::{PackId, RepositoryId};
use crate::names::RefName;
use crate::reply::{Outcome, Verdict};

/// An update that obeys the rules, whatever the refs are.
struct Planned {
    name: RefName,
    expected: Expected,
    /// Nothing where the ref is to be deleted.
    new: Option<NewRef>,
}

/// A push under way.
struct Work<'a> {
    context: &'a Context,
    id: RepositoryId,
    refs: &'a mut Refs,
    /// Refs that the repository has by now, and may have.
    count: u64,
    count_max: u64,
    note: Arc<Note>,
    changes: Vec<Change>,
}

impl State {
    pub(super) fn push(&mut self, context: &Context, push: Push) -> Result<Outcome, CatalogError> {
        let id = push.repository;
        let repository = self.repositories.live(id)?.clone();
        check_bounds(&push)?;
        check_generation(&repository, &push)?;
        let new_packs = self.new_packs(context, &repository, &push)?;

        let hidden = if push.may_update_hidden { &[][..] } else { &repository.hidden_refs };
        let refs_max = repository.limits.refs_max.unwrap_or(REFS_PER_REPOSITORY_MAX);
        // One update alone changes nothing when it is refused.
        let atomic = push.atomic && push.updates.len() > 1;
        let before = atomic.then(|| self.refs.clone());
        let mut work = Work {
            context,
            id,
            refs: &mut self.refs,
            count: repository.refs,
            count_max: refs_max.min(REFS_PER_REPOSITORY_MAX),
            note: Arc::new(context.note(push.message)),
            changes: Vec::new(),
        };
        let verdicts = work.run(plan(repository.object_format, hidden, push.updates));
        let Work { count, changes, .. } = work;
        match before {
            Some(before) if !verdicts.iter().all(is_done) => {
                self.refs = before;
                let verdicts = verdicts.into_iter().map(aborted).collect();
                return Ok(Outcome::Pushed { verdicts });
            }
            _ => {}
        }
        let mut packs = 0;
        if verdicts.iter().any(is_done) {
            for pack in new_packs {
                packs += u64::from(self.packs.insert(id, pack));
            }
        }
        self.repositories.count(id, |repository| {
            repository.refs = count;
            repository.packs += packs;
        });
        for change in changes {
            self.events.add(context, change);
        }
        Ok(Outcome::Pushed { verdicts })
    }

    /// The packs of a push that the repository does not have yet.
    ///
    /// One that was begun longer ago than the lease is refused, by the catalog's own clock, which
    /// never goes back: so whoever sees that clock past the lease of a pack that nobody has knows
    /// that nobody ever will.
    fn new_packs(
        &self,
        context: &Context,
        repository: &Repository,
        push: &Push,
    ) -> Result<Vec<Pack>, CatalogError> {
        let bytes = push.packs.iter().fold(0, |sum: u64, pack| sum.saturating_add(pack.bytes));
        if let Some(max) = repository.limits.push_bytes_max.filter(|max| bytes > *max) {
            return Err(CatalogError::PushBytes { given: bytes, max });
        }
        let mut new: BTreeMap<PackId, &Pack> = BTreeMap::new();
        for pack in &push.packs {
            within("bytes of a pack's source", pack.source.len(), PACK_SOURCE_BYTES_MAX)?;
            let held = self.packs.get(push.repository, pack.id).map(|pack| &**pack);
            match held.or(new.get(&pack.id).copied()) {
                Some(other) if other != pack => {
                    return Err(CatalogError::PackExists { pack: pack.id });
                }
                Some(_) => {}
                None if pack.id.is_expired(context.now_ms) => {
                    let (pack, begun_at_ms) = (pack.id, pack.id.begun_at_ms());
                    let now_ms = context.now_ms;
                    return Err(CatalogError::PackExpired { pack, begun_at_ms, now_ms });
                }
                None => drop(new.insert(pack.id, pack)),
            }
        }
        let count = repository.packs + new.len() as u64;
        if count > PACKS_PER_REPOSITORY_MAX {
            return Err(CatalogError::over(
                "packs of the repository",
                count,
                PACKS_PER_REPOSITORY_MAX,
            ));
        }
        Ok(new.into_values().cloned().collect())
    }
}

impl Work<'_> {
    /// Does the updates, deletions first; says what became of each, in the order of the push.
    fn run(&mut self, mut planned: Vec<(usize, Result<Planned, CatalogError>)>) -> Vec<Verdict> {
        let is_made = |planned: &Planned| planned.new.is_some();
        planned.sort_by_key(|(_, planned)| planned.as_ref().is_ok_and(is_made));
        let done = planned.into_iter().map(|(at, planned)| {
            let done = planned.and_then(|planned| self.update(planned));
            (at, done.map_or_else(Verdict::Refused, |old| Verdict::Done { old }))
        });
        let mut verdicts: Vec<(usize, Verdict)> = done.collect();
        verdicts.sort_by_key(|(at, _)| *at);
        verdicts.into_iter().map(|(_, verdict)| verdict).collect()
    }

    /// Does one update if the ref is as expected; says what it was.
    fn update(&mut self, planned: Planned) -> Result<Option<RefTarget>, CatalogError> {
        let Planned { name, expected, new } = planned;
        let key = RefKey { repository: self.id, name: name.clone() };
        let old = self.refs.get(self.id, name.as_str()).cloned();
        let target = old.as_ref().map(|old| old.target.clone());
        if !is_expected(&expected, target.as_ref()) {
            let expected = expected.to_string();
            return Err(CatalogError::RefMoved { expected, actual: target });
        }
        let same = match (&old, &new) {
            (Some(old), Some(new)) => {
                old.target == new.target && old.peeled.as_deref() == new.peeled.as_ref()
            }
            (None, None) => true,
            _ => false,
        };
        if same {
            return Ok(target);
        }
        if old.is_none() {
            if let Some(existing) = self.refs.conflict(self.id, &name) {
                return Err(CatalogError::conflict(existing));
            }
            if self.count >= self.count_max {
                let given = self.count + 1;
                return Err(CatalogError::over("refs of the repository", given, self.count_max));
            }
            self.count += 1;
        }
        let change = Change::RefUpdated {
            repository: self.id,
            name,
            old: target.clone(),
            new: new.as_ref().map(|new| new.target.clone()),
        };
        match new {
            Some(new) => self.refs.set(key, new, self.context.now_ms, &self.note),
            None => {
                self.refs.remove(&key);
                self.count -= 1;
            }
        }
        self.changes.push(change);
        Ok(target)
    }
}

fn is_done(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Done { .. })
}

/// What a verdict comes to when another one of an atomic push is a refusal.
fn aborted(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Done { .. } => Verdict::Refused(CatalogError::AtomicAborted),
        refused => refused,
    }
}

fn check_bounds(push: &Push) -> Result<(), CatalogError> {
    if push.updates.is_empty() {
        return Err(CatalogError::EmptyPush);
    }
    within("refs of the push", push.updates.len(), REFS_PER_PUSH_MAX)?;
    within("packs of the push", push.packs.len(), PACKS_PER_PUSH_MAX)?;
    within("bytes of the push's message", push.message.len(), REFLOG_MESSAGE_BYTES_MAX)
}

/// A push that names objects says of which generation it is known that all they need is there.
fn check_generation(repository: &Repository, push: &Push) -> Result<(), CatalogError> {
    let names_object = |update: &RefUpdate| matches!(update.new, NewTarget::Object { .. });
    let generation = repository.generation;
    if push.generation != generation && push.updates.iter().any(names_object) {
        let (repository, given) = (push.repository, push.generation);
        return Err(CatalogError::Generation { repository, given, generation });
    }
    Ok(())
}

/// Each update with its place in the push.
fn plan(
    format: HashAlgorithm,
    hidden: &[String],
    updates: Vec<RefUpdate>,
) -> Vec<(usize, Result<Planned, CatalogError>)> {
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for update in &updates {
        *names.entry(&update.name).or_default() += 1;
    }
    let twice: Vec<bool> = updates.iter().map(|update| names[&*update.name] > 1).collect();
    let planned = updates.into_iter().zip(twice).map(|(update, twice)| {
        let planned = plan_one(format, hidden, update)?;
        if twice { Err(CatalogError::RefTwice) } else { Ok(planned) }
    });
    planned.enumerate().collect()
}

fn plan_one(
    format: HashAlgorithm,
    hidden: &[String],
    update: RefUpdate,
) -> Result<Planned, CatalogError> {
    let RefUpdate { name, expected, new } = update;
    let name = RefName::parse(&name).map_err(|reason| CatalogError::RefName { name, reason })?;
    if let Some(prefix) = hidden.iter().find(|prefix| name.is_within(prefix)) {
        return Err(CatalogError::RefHidden { prefix: prefix.clone() });
    }
    let new = match new {
        NewTarget::Deleted if name.is_head() => return Err(CatalogError::HeadDeleted),
        NewTarget::Deleted => None,
        NewTarget::Object { id, peeled } => {
            check_id(format, id)?;
            peeled.map_or(Ok(()), |peeled| check_id(format, peeled))?;
            Some(NewRef { target: RefTarget::Object(id), peeled })
        }
        NewTarget::Symbolic(_) if !name.is_head() => return Err(CatalogError::SymbolicRef),
        NewTarget::Symbolic(target) => {
            Some(NewRef { target: RefTarget::Symbolic(branch(&target)?), peeled: None })
        }
    };
    Ok(Planned { name, expected, new })
}

pub(super) fn check_id(object_format: HashAlgorithm, id: ObjectId) -> Result<(), CatalogError> {
    if id.algorithm() != object_format {
        return Err(CatalogError::ObjectFormat { id, object_format });
    }
    if id.as_bytes().iter().all(|&byte| byte == 0) {
        return Err(CatalogError::NullId);
    }
    Ok(())
}

fn is_expected(expected: &Expected, actual: Option<&RefTarget>) -> bool {
    match (expected, actual) {
        (Expected::Any, _) | (Expected::Absent, None) => true,
        (Expected::Object(expected), Some(RefTarget::Object(actual))) => expected == actual,
        (Expected::Symbolic(expected), Some(RefTarget::Symbolic(actual))) => {
            expected == actual.as_str()
        }
        _ => false,
    }
}
