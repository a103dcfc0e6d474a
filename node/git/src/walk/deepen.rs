//! Shallow boundaries: where a client's history ends.
//!
//! What `get_shallow_commits` and `get_shallow_commits_by_rev_list` of Git's `shallow.c` say. A
//! depth counts from the tips, which are at 1, and by the shortest way. Git calls the commits at
//! that depth shallow whether or not they have parents, and so does this.

use std::collections::BTreeSet;

use gitstratum_core::object::ObjectId;

use super::graph::Graph;
use super::id_table::NumberSet;
use super::objects::{Objects, commits};
use super::pace::Pace;
use super::paint::{HAD, paint};
use super::reach::reached;
use super::tips::{Absent, resolve};
use crate::service::{Depth, INFINITE_DEPTH, RepositoryError, Shallow};

/// What becomes of the boundary of a client that asks for another depth. `find` turns into an
/// object what [`Depth::Since`] names: the full name of a ref, or an id.
///
/// [`Depth::Relative`] goes on from those commits of the boundary that the wanted objects reach.
///
/// # Errors
/// [`RepositoryError::NotOurRef`] where a wanted object is not there, [`RepositoryError::Refused`]
/// where a name is none or nothing is as young as asked for, and [`RepositoryError::Damaged`].
pub async fn deepen<O: Objects + ?Sized>(
    objects: &O,
    wants: &[ObjectId],
    client_shallow: &[ObjectId],
    depth: &Depth,
    find: impl Fn(&str) -> Option<ObjectId> + Send,
) -> Result<Shallow, RepositoryError> {
    if *depth == Depth::Commits(0) {
        return Err(RepositoryError::Refused("Invalid deepen: 0".to_owned()));
    }
    let boundary = known(objects, client_shallow).await?;
    if let Depth::Commits(INFINITE_DEPTH..) | Depth::Relative(INFINITE_DEPTH..) = depth {
        return Ok(Shallow { shallow: Vec::new(), unshallow: boundary });
    }
    let not = match depth {
        Depth::Since { not, .. } => excluded(not, find)?,
        _ => Vec::new(),
    };
    let tips = resolve(objects, wants, Absent::Refuse).await?.commits;
    let mut graph = Graph::new(objects, BTreeSet::new());
    let tips = graph.begin_needed(&tips).await?;
    let pace = &mut Pace::quiet();
    let (shallow, whole) = match depth {
        Depth::Commits(count) => within(&mut graph, tips, *count, pace).await?,
        Depth::Relative(count) => {
            let ends = graph.begin(&boundary).await?;
            let ends = reached(&mut graph, &tips, &ends, pace).await?;
            within(&mut graph, ends, count.saturating_add(1), pace).await?
        }
        Depth::Since { since, .. } => {
            let not = resolve(objects, &not, Absent::Refuse).await?.commits;
            let not = graph.begin_needed(&not).await?;
            not_older(&mut graph, &tips, &not, *since, pace).await?
        }
    };
    let client: BTreeSet<ObjectId> = boundary.iter().copied().collect();
    let mut shallow: Vec<ObjectId> = shallow.into_iter().map(|end| graph.id(end)).collect();
    shallow.retain(|id| !client.contains(id));
    let whole: BTreeSet<ObjectId> = whole.into_iter().map(|number| graph.id(number)).collect();
    let unshallow = boundary.into_iter().filter(|id| whole.contains(id)).collect();
    Ok(Shallow { shallow, unshallow })
}

/// Those of a client's boundary that are commits of the repository.
async fn known<O: Objects + ?Sized>(
    objects: &O,
    client_shallow: &[ObjectId],
) -> Result<Vec<ObjectId>, RepositoryError> {
    let found = commits(objects, client_shallow).await?;
    let known = client_shallow.iter().zip(found).filter(|(_, commit)| commit.is_some());
    Ok(known.map(|(id, _)| *id).collect())
}

fn excluded(
    names: &[String],
    find: impl Fn(&str) -> Option<ObjectId>,
) -> Result<Vec<ObjectId>, RepositoryError> {
    let refused = |name| RepositoryError::Refused(format!("deepen-not is not a ref: {name}"));
    names.iter().map(|name| find(name).ok_or_else(|| refused(name))).collect()
}

/// Commits at the end of a boundary, and those within it whose parents are there too.
type Ends = (Vec<u32>, Vec<u32>);

/// Up to `depth` commits from the tips, level by level.
async fn within<O: Objects + ?Sized>(
    graph: &mut Graph<'_, O>,
    mut level: Vec<u32>,
    depth: u32,
    pace: &mut Pace<'_>,
) -> Result<Ends, RepositoryError> {
    let (mut seen, mut whole) = (NumberSet::default(), Vec::new());
    level.retain(|&number| seen.insert(number));
    for _ in 1..depth {
        let mut next = Vec::new();
        for &number in &level {
            pace.step().await;
            graph.load_parents(number).await?;
            for which in 0..graph.parents_count(number) {
                let parent = graph.need_parent(number, which)?;
                if seen.insert(parent) {
                    next.push(parent);
                }
            }
        }
        whole.append(&mut level);
        level = next;
        if level.is_empty() {
            break;
        }
    }
    Ok((level, whole))
}

/// What the tips reach without passing by what is older or excluded.
async fn not_older<O: Objects + ?Sized>(
    graph: &mut Graph<'_, O>,
    tips: &[u32],
    not: &[u32],
    since: u64,
    pace: &mut Pace<'_>,
) -> Result<Ends, RepositoryError> {
    let found = paint(graph, tips, not, since, pace).await?;
    if found.is_empty() {
        let nothing = "no commits selected for shallow requests".to_owned();
        return Err(RepositoryError::Refused(nothing));
    }
    let graph = &*graph;
    Ok(found
        .into_iter()
        .partition(|&number| graph.parents(number).iter().any(|&parent| graph.has(parent, HAD))))
}
