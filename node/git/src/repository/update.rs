//! Ref updates of a push: what the client asked for, as commands of the catalog, and what became
//! of each.

use std::collections::BTreeSet;

use gitstratum_catalog::command::{Expected, NewTarget, Push, RefUpdate};
use gitstratum_catalog::entity::Pack;
use gitstratum_catalog::ids::RepositoryId;
use gitstratum_catalog::{CatalogError, Operation, Outcome, Verdict};
use gitstratum_core::limits;
use gitstratum_core::object::{Kind, ObjectId};
use tracing::instrument;

use crate::names::{CommandError, Names};
use crate::service::{Head, RefCommand, Refs, RepositoryError};

/// Bytes of a command that are not of its updates, and what an update takes beside its name.
const COMMAND_BYTES_BESIDE: usize = 64 << 10;
const UPDATE_BYTES_BESIDE_NAME: usize = 3 * 40 + 16;

const BRANCHES: &str = "refs/heads/";

/// What a new value of a ref was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tip {
    pub(super) kind: Kind,
    /// What it comes to, where it is an annotated tag.
    pub(super) peeled: Option<ObjectId>,
}

/// A command with what is known of its new value; or why it is refused before the catalog is asked.
pub(super) type Planned = Result<RefUpdate, String>;

/// Looks at a command by itself, as git's own server does. `tip` is of its new value.
pub(super) fn plan(command: &RefCommand, tip: Option<Tip>, refs: Option<&Refs>) -> Planned {
    let RefCommand { name, old, new } = command;
    if !name.starts_with("refs/") {
        return Err("funny refname: a ref that is pushed to begins with refs/".to_owned());
    }
    let is_current = |refs: &Refs| matches!(&refs.head, Head::Branch(head) if head == name);
    if new.is_none() && old.is_some() && refs.is_some_and(is_current) {
        return Err("deletion of the current branch prohibited".to_owned());
    }
    let new = match (new, tip) {
        (None, _) => NewTarget::Deleted,
        (Some(_), None) => return Err("missing necessary objects".to_owned()),
        (Some(id), Some(tip)) => {
            if name.starts_with(BRANCHES) && tip.kind != Kind::Commit {
                let kind = tip.kind;
                return Err(format!("a branch points to a commit, and {id} is a {kind}"));
            }
            NewTarget::Object { id: *id, peeled: tip.peeled }
        }
    };
    let expected = old.map_or(Expected::Absent, Expected::Object);
    Ok(RefUpdate { name: name.clone(), expected, new })
}

/// Whether a command makes a branch.
pub(super) fn makes_branch(command: &RefCommand) -> bool {
    command.new.is_some() && command.old.is_none() && command.name.starts_with(BRANCHES)
}

/// Where `HEAD` is to point after the first branches were pushed, so that a clone checks something
/// out; nothing where it points to one of them. It is `master`, as git's own server has it, or else
/// the first of them.
pub(super) fn first_head(commands: &[RefCommand], refs: &Refs) -> Option<RefUpdate> {
    let Head::Branch(current) = &refs.head else { return None };
    if refs.refs.iter().any(|found| found.name.starts_with(BRANCHES)) {
        return None;
    }
    let made = commands.iter().filter(|command| makes_branch(command));
    let mut branches = made.map(|command| &command.name);
    if branches.clone().any(|name| name == current) {
        return None;
    }
    let usual = branches.clone().find(|name| *name == "refs/heads/master");
    let name = usual.or_else(|| branches.next())?;
    let new = NewTarget::Symbolic(name.clone());
    Some(RefUpdate { name: "HEAD".to_owned(), expected: Expected::Any, new })
}

/// What a push wants of the catalog.
pub(super) struct Wanted<'a> {
    pub(super) who: &'a str,
    pub(super) repository: RepositoryId,
    pub(super) generation: u64,
    pub(super) atomic: bool,
    pub(super) packs: &'a [Pack],
    pub(super) message: &'a str,
}

/// How an attempt at the updates ended.
pub(super) enum Updated {
    /// What became of each command.
    Decided(Vec<Result<(), String>>),
    /// Objects were dropped since the push was proved complete: nothing was done.
    Outdated,
}

/// Has the catalog do the updates.
///
/// # Errors
/// [`RepositoryError::Unavailable`] when it was not done, or nobody knows.
#[instrument(name = "update_refs", level = "debug", skip_all, fields(refs = planned.len()))]
pub(super) async fn update(
    names: &dyn Names,
    wanted: &Wanted<'_>,
    planned: Vec<Planned>,
) -> Result<Updated, RepositoryError> {
    if wanted.atomic && planned.iter().any(Result::is_err) {
        let aborted = |planned: Planned| match planned {
            Ok(_) => Err("atomic push failed: another ref was refused".to_owned()),
            Err(reason) => Err(reason),
        };
        return Ok(Updated::Decided(planned.into_iter().map(aborted).collect()));
    }
    let mut verdicts: Vec<Result<(), String>> = Vec::with_capacity(planned.len());
    let mut updates = Vec::with_capacity(planned.len());
    for planned in planned {
        match planned {
            Ok(update) => {
                updates.push((verdicts.len(), update));
                verdicts.push(Ok(()));
            }
            Err(reason) => verdicts.push(Err(reason)),
        }
    }
    let groups = groups(updates);
    if wanted.atomic && groups.len() > 1 {
        let reason = format!(
            "an atomic push updates at most {} refs, and fits one command: push in parts",
            limits::REFS_PER_PUSH_MAX
        );
        return Ok(Updated::Decided(verdicts.into_iter().map(|_| Err(reason.clone())).collect()));
    }
    for (number, group) in groups.into_iter().enumerate() {
        let (places, group): (Vec<usize>, Vec<RefUpdate>) = group.into_iter().unzip();
        let count = group.len();
        let decided = match push(names, wanted, group).await {
            Err(CommandError::Refused(CatalogError::Generation { .. })) if number == 0 => {
                return Ok(Updated::Outdated);
            }
            Ok(decided) => decided,
            Err(CommandError::Refused(error)) => vec![Err(error.to_string()); count],
            // What the groups before did is told.
            Err(error) if number > 0 => vec![Err(error.to_string()); count],
            Err(error) => return Err(RepositoryError::Unavailable(error.to_string())),
        };
        for (place, verdict) in places.into_iter().zip(decided) {
            verdicts[place] = verdict;
        }
    }
    Ok(Updated::Decided(verdicts))
}

/// Updates with their places, in as few commands as they fit. What is deleted comes first, as within
/// one command, so that what is made beneath it or above it finds it gone.
fn groups(mut updates: Vec<(usize, RefUpdate)>) -> Vec<Vec<(usize, RefUpdate)>> {
    updates.sort_by_key(|(_, update)| update.new != NewTarget::Deleted);
    let room = limits::COMMAND_BYTES_MAX - COMMAND_BYTES_BESIDE;
    let (mut groups, mut taken) = (Vec::<Vec<(usize, RefUpdate)>>::new(), 0);
    for placed in updates {
        let bytes = placed.1.name.len() + UPDATE_BYTES_BESIDE_NAME;
        match groups.last_mut() {
            Some(last) if last.len() < limits::REFS_PER_PUSH_MAX && taken + bytes <= room => {
                taken += bytes;
                last.push(placed);
            }
            _ => {
                taken = bytes;
                groups.push(vec![placed]);
            }
        }
    }
    groups
}

async fn push(
    names: &dyn Names,
    wanted: &Wanted<'_>,
    updates: Vec<RefUpdate>,
) -> Result<Vec<Result<(), String>>, CommandError> {
    let push = Push {
        repository: wanted.repository,
        generation: wanted.generation,
        atomic: wanted.atomic,
        may_update_hidden: false,
        updates,
        // With every command: which of them is the first to do anything is not known.
        packs: wanted.packs.to_vec(),
        message: wanted.message.to_owned(),
    };
    match names.command(wanted.who, Operation::Push(push)).await? {
        Outcome::Pushed { verdicts } => Ok(verdicts
            .into_iter()
            .map(|verdict| match verdict {
                Verdict::Done { .. } => Ok(()),
                Verdict::Refused(error) => Err(error.to_string()),
            })
            .collect()),
        other => Err(CommandError::Unknown(format!("the catalog answered {other:?}"))),
    }
}

/// The new values of commands, each once.
pub(super) fn new_values(commands: &[RefCommand]) -> BTreeSet<ObjectId> {
    commands.iter().filter_map(|command| command.new).collect()
}
