//! Commit reachability: fast-forwards, merge bases, and when a negotiation may end.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use gitstratum_core::object::ObjectId;

use super::graph::{Graph, Rank};
use super::id_table::NumberSet;
use super::objects::Objects;
use super::pace::Pace;
use super::tips::{Absent, resolve};
use crate::service::RepositoryError;

/// It was looked at.
const VISITED: u8 = 1;
/// It is what is searched for, or leads there.
const GOOD: u8 = 2;

/// Whether one commit is another or a descendant of it: whether an update of a ref from `to` to
/// `from` is a fast-forward.
///
/// # Errors
/// [`RepositoryError::NotOurRef`] where either is no commit of the repository;
/// [`RepositoryError::Damaged`] where a commit between them is missing.
pub async fn reaches<O: Objects + ?Sized>(
    objects: &O,
    from: ObjectId,
    to: ObjectId,
) -> Result<bool, RepositoryError> {
    let mut graph = Graph::new(objects, BTreeSet::new());
    let from = commit(&mut graph, from).await?;
    let to = commit(&mut graph, to).await?;
    Ok(!reached(&mut graph, &[from], &[to], &mut Pace::quiet()).await?.is_empty())
}

async fn commit<O: Objects + ?Sized>(
    graph: &mut Graph<'_, O>,
    id: ObjectId,
) -> Result<u32, RepositoryError> {
    Ok(graph.begin_needed(&[id]).await?[0])
}

/// The lowest generation among commits that are searched for; no commit of a lower one leads to
/// any. Where one is unknown nothing is too low.
fn floor<O: Objects + ?Sized>(graph: &Graph<'_, O>, sought: impl Iterator<Item = u32>) -> u32 {
    match graph.is_ordered() {
        true => sought.map(|number| graph.rank(number).generation).min().unwrap_or(u32::MAX),
        false => 0,
    }
}

/// Those of `sought` that are among `from` or their ancestors. All of them are loaded and there.
pub(super) async fn reached<O: Objects + ?Sized>(
    graph: &mut Graph<'_, O>,
    from: &[u32],
    sought: &[u32],
    pace: &mut Pace<'_>,
) -> Result<Vec<u32>, RepositoryError> {
    let floor = floor(graph, sought.iter().copied());
    let mut left: BTreeSet<u32> = sought.iter().copied().collect();
    let mut seen = NumberSet::default();
    let mut found = Vec::new();
    let mut stack = from.to_vec();
    while let Some(number) = stack.pop() {
        if left.is_empty() {
            break;
        }
        if graph.rank(number).generation < floor || !seen.insert(number) {
            continue;
        }
        pace.step().await;
        if left.remove(&number) {
            found.push(number);
        }
        graph.load_parents(number).await?;
        for which in (0..graph.parents_count(number)).rev() {
            stack.push(graph.need_parent(number, which)?);
        }
    }
    Ok(found)
}

/// Whether every wanted commit has an ancestor that the client has: then a pack needs little that
/// is not new, and asking for more common commits is not worth another round trip.
///
/// As `ok_to_give_up` of `upload-pack.c`: the parents of what the client has count too, wanted
/// objects that lead to no commit do not, and with nothing in common the answer is no.
///
/// # Errors
/// [`RepositoryError::NotOurRef`] where a wanted object is not there; [`RepositoryError::Damaged`]
/// where something that it needs is not.
pub async fn is_ready<O: Objects + ?Sized>(
    objects: &O,
    wants: &[ObjectId],
    common: &[ObjectId],
) -> Result<bool, RepositoryError> {
    let wants = resolve(objects, wants, Absent::Refuse).await?.commits;
    let common = resolve(objects, common, Absent::Skip).await?.commits;
    if common.is_empty() {
        return Ok(false);
    }
    let mut graph = Graph::new(objects, BTreeSet::new());
    let mut good = graph.begin(&common).await?;
    let oldest = good.iter().map(|&number| graph.committed_at(number)).min().unwrap_or(0);
    for at in 0..good.len() {
        graph.load_parents(good[at]).await?;
        good.extend(graph.parents(good[at]));
    }
    good.retain(|&number| graph.is_there(number));
    good.iter().for_each(|&number| graph.mark(number, GOOD));
    let mut wants = graph.begin_needed(&wants).await?;
    // What an old one finds out spares the younger ones the way.
    wants.sort_by_key(|&number| graph.rank(number));
    let floor = floor(&graph, good.into_iter());
    let mut pace = Pace::quiet();
    for want in wants {
        if !leads_to_good(&mut graph, want, floor, oldest, &mut pace).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a commit is good or leads to one. Depth first; each commit is looked at once for all
/// calls: one that was visited, and did not become good, leads nowhere.
async fn leads_to_good<O: Objects + ?Sized>(
    graph: &mut Graph<'_, O>,
    from: u32,
    floor: u32,
    oldest: u64,
    pace: &mut Pace<'_>,
) -> Result<bool, RepositoryError> {
    // Each with the number of its parents that were tried.
    let mut path = vec![(from, 0)];
    graph.mark(from, VISITED);
    while let Some((number, tried)) = path.last_mut() {
        let number = *number;
        if graph.has(number, GOOD) {
            path.iter().for_each(|&(number, _)| graph.mark(number, GOOD));
            return Ok(true);
        }
        graph.load_parents(number).await?;
        if *tried == graph.parents_count(number) {
            path.pop();
            continue;
        }
        let parent = graph.need_parent(number, *tried)?;
        *tried += 1;
        let seen = graph.has(parent, VISITED);
        graph.mark(parent, VISITED);
        let rank = graph.rank(parent);
        let too_old = match graph.is_ordered() {
            true => rank.generation < floor,
            false => rank.committed_at < oldest,
        };
        if graph.has(parent, GOOD) || !(seen || too_old) {
            pace.step().await;
            path.push((parent, 0));
        }
    }
    Ok(false)
}

/// Ancestor of the first commit, or itself.
const FIRST: u8 = 1;
/// Of the second.
const SECOND: u8 = 2;
/// A proper ancestor of a merge base.
const STALE: u8 = 4;
/// It waits for its turn.
const QUEUED: u8 = 8;

/// The best common ancestors of two commits: those that are ancestors of no other.
///
/// # Errors
/// As [`reaches`].
pub async fn merge_bases<O: Objects + ?Sized>(
    objects: &O,
    first: ObjectId,
    second: ObjectId,
) -> Result<Vec<ObjectId>, RepositoryError> {
    let mut graph = Graph::new(objects, BTreeSet::new());
    let first = commit(&mut graph, first).await?;
    let second = commit(&mut graph, second).await?;
    let mut pace = Pace::quiet();
    let mut bases = common_ancestors(&mut graph, first, second, &mut pace).await?;
    if !graph.is_ordered() {
        let candidates = bases.clone();
        for &base in &candidates {
            graph.load_parents(base).await?;
            let parents = graph.parents(base).to_vec();
            let below = reached(&mut graph, &parents, &candidates, &mut pace).await?;
            bases.retain(|base| !below.contains(base));
        }
    }
    Ok(bases.into_iter().map(|number| graph.id(number)).collect())
}

/// The merge bases, and with them others that are their ancestors where generations are unknown.
async fn common_ancestors<O: Objects + ?Sized>(
    graph: &mut Graph<'_, O>,
    first: u32,
    second: u32,
    pace: &mut Pace<'_>,
) -> Result<Vec<u32>, RepositoryError> {
    let mut queue: BinaryHeap<(Rank, Reverse<u32>)> = BinaryHeap::new();
    let mut bases = Vec::new();
    // Commits in the queue that are not stale.
    let mut open = 0;
    let mut spread = vec![(first, FIRST), (second, SECOND)];
    loop {
        for (number, marks) in spread.drain(..) {
            let before = graph.marks(number);
            if before & marks == marks {
                continue;
            }
            graph.mark(number, marks | QUEUED);
            if before & QUEUED == 0 {
                queue.push((graph.rank(number), Reverse(number)));
                open += usize::from((before | marks) & STALE == 0);
            } else if before & STALE == 0 && marks & STALE != 0 {
                open -= 1;
            }
        }
        let Some((_, Reverse(number))) = queue.pop().filter(|_| open > 0) else { break };
        pace.step().await;
        graph.unmark(number, QUEUED);
        let mut marks = graph.marks(number);
        if marks & STALE == 0 {
            open -= 1;
        }
        if marks == FIRST | SECOND {
            if !bases.contains(&number) {
                bases.push(number);
            }
            marks |= STALE;
        }
        graph.load_parents(number).await?;
        for which in 0..graph.parents_count(number) {
            spread.push((graph.need_parent(number, which)?, marks));
        }
    }
    bases.retain(|&number| !graph.has(number, STALE));
    Ok(bases)
}
