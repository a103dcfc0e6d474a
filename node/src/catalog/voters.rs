//! The leader's care for the members: voters follow the layout, one step at a time, and the catalog
//! knows the layout in force, however that came about. It has deleted repositories purged, too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use gitstratum_catalog::encode::decode_reply;
use gitstratum_catalog::entity::NodeState;
use gitstratum_catalog::{Operation, Reply};
use gitstratum_consensus::{Group, GroupStatus, Member};
use gitstratum_core::limits;
use gitstratum_core::placement::{CurrentLayout, Layout, MemberState, NodeId};

use super::Catalog;
use super::author::Author;
use super::features::{self, Statements};
use super::layouts::unknown;
use super::purge::purge_step;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// More voters than this make agreement slower and no safer.
const VOTERS_MAX: usize = 7;
/// A learner that lacks no more entries than this can vote.
const LAG_MAX: u64 = 100;

/// Looks after the members, and what is to be purged, while this one leads; and whoever leads, after
/// what the catalog knows of this node's program. Never ends.
pub(super) async fn tend(
    author: Author<'_>,
    group: &Group<Catalog>,
    layout: &CurrentLayout,
    mut statements: Statements<'_>,
) {
    let node = author.node;
    let mut contradicted = None;
    loop {
        // Here, because a client of the catalog has one command under way at a time.
        statements.keep(group).await;
        tokio::time::sleep(PAUSE).await;
        let status = group.status();
        if status.leader.as_ref().is_none_or(|leader| leader.id != group.member()) {
            continue;
        }
        let in_force = layout.get();
        if let Some(unknown) = unknown(group, &in_force)
            && contradicted != Some(unknown.version)
        {
            contradicted = adopt(author, group, unknown).await;
        }
        let known = group.with_local(known);
        let step = next_step(&status, &known, &in_force);
        if let Err(error) = take(author, group, &step).await {
            tracing::warn!(%node, ?step, error, "the members of the catalog stay as they are");
        }
        purge_step(author, group).await;
    }
}

/// Has the catalog take note of a layout that is in force; gives its version where that is refused,
/// which it will always be.
async fn adopt(author: Author<'_>, group: &Group<Catalog>, layout: Arc<Layout>) -> Option<u64> {
    let (version, node) = (layout.version, author.node);
    match propose(author, group, Operation::AdoptLayout(layout)).await {
        Ok(Reply::Done(_)) => None,
        Ok(reply) if author.is_behind(&reply) => None,
        Ok(Reply::Refused(error)) => {
            tracing::error!(%node, version, %error, "the catalog does not take the layout in force");
            Some(version)
        }
        Err(error) => {
            tracing::warn!(%node, version, error, "the catalog has not taken the layout in force");
            None
        }
    }
}

/// Nodes that the catalog knows and that were not removed, by member, with what it says of them.
type Known = BTreeMap<u64, (NodeId, NodeState)>;

fn known(catalog: &Catalog) -> Known {
    let nodes = catalog.0.nodes().filter(|(_, node)| node.state != NodeState::Removed);
    nodes.map(|(id, node)| (node.raft.0, (id.clone(), node.state))).collect()
}

/// What is to be done next.
#[derive(Debug, PartialEq)]
enum Step {
    Nothing,
    Add(Member),
    Vote(BTreeSet<u64>),
    HandOver(u64),
    Forget(BTreeSet<u64>),
    /// The catalog is to say what part a node has.
    Note(NodeId, NodeState),
}

async fn take(author: Author<'_>, group: &Group<Catalog>, step: &Step) -> Result<(), String> {
    let changed = match step {
        Step::Nothing => return Ok(()),
        Step::Add(member) => group.add_learner(member.clone()).await,
        Step::Vote(voters) => group.set_voters(voters.clone()).await,
        Step::HandOver(to) => group.hand_over(*to).await,
        Step::Forget(members) => group.remove_learners(members.clone()).await,
        Step::Note(of, state) => return note(author, group, of, *state).await,
    };
    changed.map_err(|error| error.to_string())?;
    tracing::info!(?step, "the members of the catalog changed");
    Ok(())
}

async fn note(
    author: Author<'_>,
    group: &Group<Catalog>,
    of: &NodeId,
    state: NodeState,
) -> Result<(), String> {
    let operation = Operation::SetNodeState { node: of.to_string(), state };
    let reply = propose(author, group, operation).await?;
    // Then the next attempt is not.
    author.is_behind(&reply);
    let done = reply.into_result();
    done.map(drop).map_err(|refused| refused.to_string())
}

/// Has a command of the node itself agreed on.
pub(super) async fn propose(
    author: Author<'_>,
    group: &Group<Catalog>,
    operation: Operation,
) -> Result<Reply, String> {
    let refusal = features::refusal(group, &operation, limits::CATALOG_REQUEST_TIMEOUT).await;
    if let Some(refused) = refusal.map_err(|error| error.to_string())? {
        return Ok(Reply::Refused(refused));
    }
    let command = author.command(operation);
    let proposed = group.propose(command, limits::CATALOG_REQUEST_TIMEOUT).await;
    let reply = proposed.map_err(|error| error.to_string())?.reply;
    decode_reply(&reply).map_err(|error| error.to_string())
}

fn next_step(status: &GroupStatus, known: &Known, layout: &Layout) -> Step {
    let voters = match &status.voters[..] {
        [voters] => voters,
        [.., next] => return completion(status, next),
        [] => return Step::Nothing,
    };
    let missing = known.iter().find(|(id, _)| !status.nodes.contains_key(id));
    if let Some((id, (node, _))) = missing {
        return Step::Add(Member { id: *id, node: node.to_string() });
    }
    let wanted = wanted(voters, known, layout);
    if wanted.is_empty() {
        return Step::Nothing;
    }
    if wanted != *voters {
        if wanted.difference(voters).any(|id| !can_vote(status, *id)) {
            return Step::Nothing;
        }
        return match heir(status, &wanted) {
            Heir::Ourselves => Step::Vote(wanted),
            Heir::Other(id) => Step::HandOver(id),
            Heir::Nobody => Step::Vote(&wanted | voters),
        };
    }
    let forgotten = |id: &&u64| !known.contains_key(id) && !voters.contains(id);
    let forgotten: BTreeSet<u64> = status.nodes.keys().filter(forgotten).copied().collect();
    if !forgotten.is_empty() {
        return Step::Forget(forgotten);
    }
    let part = |id| if voters.contains(id) { NodeState::Voter } else { NodeState::Learner };
    let wrong = known.iter().filter(|(id, (_, said))| part(id) != *said);
    // Who votes first, so that there is a voter at every moment.
    let wrong = wrong.min_by_key(|(id, _)| !voters.contains(id));
    wrong.map_or(Step::Nothing, |(id, (node, _))| Step::Note(node.clone(), part(id)))
}

/// Completes a change that another leader began, and did not come to the end of: nobody else does.
fn completion(status: &GroupStatus, next: &BTreeSet<u64>) -> Step {
    match heir(status, next) {
        Heir::Ourselves => Step::Vote(next.clone()),
        Heir::Other(id) => Step::HandOver(id),
        Heir::Nobody => Step::Nothing,
    }
}

/// Who is to lead when these vote.
enum Heir {
    Ourselves,
    Other(u64),
    Nobody,
}

/// The present leader if it is among them: leadership moves before a leader is removed. Else one of
/// them that votes now, and has nearly all of the log.
fn heir(status: &GroupStatus, wanted: &BTreeSet<u64>) -> Heir {
    if wanted.contains(&status.member) {
        return Heir::Ourselves;
    }
    let votes = |id: &u64| status.voters.iter().all(|voters| voters.contains(id));
    let fit = wanted.iter().copied().find(|id| votes(id) && can_vote(status, *id));
    fit.map_or(Heir::Nobody, Heir::Other)
}

/// Who is to vote: an odd number of the active members, those that do already first.
fn wanted(voters: &BTreeSet<u64>, known: &Known, layout: &Layout) -> BTreeSet<u64> {
    let is_active = |node: &NodeId| {
        layout.member(node).is_some_and(|member| member.state == MemberState::Active)
    };
    let active = known.iter().filter(|(_, (node, _))| is_active(node)).map(|(id, _)| *id);
    let mut active: Vec<u64> = active.collect();
    active.sort_by_key(|id| (!voters.contains(id), *id));
    let most = active.len().min(VOTERS_MAX);
    let odd = most - usize::from(most.is_multiple_of(2) && most > 0);
    active.into_iter().take(odd).collect()
}

/// Whether a member has nearly all of the log.
fn can_vote(status: &GroupStatus, id: u64) -> bool {
    let matched = status.matched.get(&id).copied().flatten();
    let last = status.last_index.unwrap_or(0);
    matched.is_some_and(|matched| matched.index + LAG_MAX >= last)
}

#[cfg(test)]
mod tests;
