//! Pack selection: the objects that a client lacks.
//!
//! As `git rev-list --objects wants --not common`, with what shallow clones and partial ones change
//! of that. First the commits; then the *boundary*, which is commits that the client has and that
//! are parents of commits in the pack: what their trees reach is marked as what the client has;
//! then whatever the commits' trees reach and is not marked. What lies behind the boundary is not
//! looked at, so an object that was there long ago and came back is sent again. For few commits the
//! boundary is marked along their paths, because to open all its trees could take longer than all
//! the rest.
//!
//! Shallow clones: whatever is shallow for the client, before or after this request, has no parents
//! here, on either side. Where the client is to get parents that it lacked, those are wanted like
//! tips, and their child is what it has.

use std::collections::BTreeSet;

use gitstratum_core::limits::{WALK_ALONG_PATHS_COMMITS_MAX, WALK_TREES_AHEAD_MAX};
use gitstratum_core::object::{Kind, ObjectId};

use super::boundary::{mark_all, mark_along_paths};
use super::graph::Graph;
use super::objects::{Objects, commits, lacking};
use super::pace::Pace;
use super::paint::{HAD, paint};
use super::selection::{CLIENT, SENT, Seen, Selection};
use super::tips::{Absent, Tips, resolve};
use super::trees::{Entry, TreeWalk};
use crate::service::{PackRequest, RepositoryError};

/// The objects of the pack that answers a request. `tags` are the annotated tags that
/// [`PackRequest::include_tag`] is about, each with what it peels to; `progress` is told now and
/// then how many commits and objects were looked at.
///
/// # Errors
/// [`RepositoryError::NotOurRef`] where a wanted object is not there; [`RepositoryError::Damaged`]
/// where something that it needs is not, with what needs it.
pub async fn select<O: Objects + ?Sized>(
    objects: &O,
    request: &PackRequest,
    tags: &[(ObjectId, ObjectId)],
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Selection, RepositoryError> {
    select_by(objects, request, tags, progress, None).await
}

/// How the boundary is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marking {
    /// With all that its trees reach.
    All,
    /// Where the pack has changed trees.
    AlongPaths,
}

/// As [`select`], with the boundary marked in one way.
pub(super) async fn select_by<O: Objects + ?Sized>(
    objects: &O,
    request: &PackRequest,
    tags: &[(ObjectId, ObjectId)],
    progress: &(dyn Fn(u64) + Send + Sync),
    marking: Option<Marking>,
) -> Result<Selection, RepositoryError> {
    let pace = &mut Pace::new(progress);
    let (wants, had) = tips(objects, request).await?;
    let shallow = request.client_shallow.iter().chain(&request.shallow.shallow);
    let cut: BTreeSet<ObjectId> = shallow.chain(&request.shallow.unshallow).copied().collect();
    let is_shallow = !cut.is_empty();

    let mut graph = Graph::new(objects, cut);
    let had_tips = graph.begin(&had.commits).await?;
    let tips = graph.begin_needed(&wants.commits).await?;
    let order = paint(&mut graph, &tips, &had_tips, 0, pace).await?;

    let mut seen = Seen::new(objects.algorithm());
    let marking = marking.unwrap_or(match order.len() {
        ..=WALK_ALONG_PATHS_COMMITS_MAX => Marking::AlongPaths,
        _ => Marking::All,
    });
    if !order.is_empty() || !wants.trees.is_empty() {
        // Few commits are left between the tips of shallow clones, and none may be a parent here.
        let more = if is_shallow { &had_tips[..] } else { &[] };
        let roots = boundary(&graph, &order, more, &had.trees, &mut seen)?;
        // What stands at no path cannot be looked for along paths.
        if marking == Marking::All || !(had.trees.is_empty() && wants.trees.is_empty()) {
            mark_all(objects, &mut seen, roots, pace).await?;
        } else {
            let mut new = Vec::with_capacity(order.len());
            for &number in &order {
                new.push(seen.name(&graph.tree(number), Kind::Tree)?);
            }
            mark_along_paths(objects, &mut seen, roots, new, pace).await?;
        }
    }
    for (ids, kind) in [(&had.blobs, Kind::Blob), (&had.tags, Kind::Tag)] {
        for id in ids {
            let number = seen.name(id, kind)?;
            seen.mark(number, CLIENT);
        }
    }

    let mut walk = TreeWalk::new(objects, seen, request.filter.clone());
    let mut in_pack = name_tags(&mut walk.seen, &wants.tags)?;
    let wanted = wanted(&mut walk.seen, &wants, &had, &request.wants)?;
    let commit = |number| graph.id(number);
    walk.walk(wanted, &commit, pace).await?;
    for some in order.chunks(WALK_TREES_AHEAD_MAX) {
        let mut roots = Vec::with_capacity(some.len());
        for &number in some {
            roots.push(Entry::root(walk.seen.name(&graph.tree(number), Kind::Tree)?, number));
        }
        walk.walk(roots, &commit, pace).await?;
    }
    pace.finish();

    let TreeWalk { seen, order: others, .. } = walk;
    let (ids, mut commit_marks) = graph.into_marked_ids();
    order.iter().for_each(|&number| commit_marks[number as usize] |= SENT);
    let mut selection = Selection {
        commits: ids,
        commit_marks,
        commit_order: order,
        seen,
        tags: Vec::new(),
        order: others,
        filter: request.filter.clone(),
    };
    if request.include_tag {
        let found = tags.iter().filter(|(_, peeled)| selection.contains(peeled));
        let found: Vec<ObjectId> = found.map(|(tag, _)| *tag).collect();
        let chains = resolve(objects, &found, Absent::Refuse).await?;
        in_pack.extend(name_tags(&mut selection.seen, &chains.tags)?);
    }
    selection.tags = in_pack;
    Ok(selection)
}

/// What the client wants and what it has, its boundary's changes among them.
async fn tips<O: Objects + ?Sized>(
    objects: &O,
    request: &PackRequest,
) -> Result<(Tips, Tips), RepositoryError> {
    let mut wants = resolve(objects, &request.wants, Absent::Refuse).await?;
    let mut had = resolve(objects, &request.common, Absent::Skip).await?;
    let children = &request.shallow.unshallow;
    let mut parents = Vec::new();
    for (&id, commit) in children.iter().zip(commits(objects, children).await?) {
        let Some(commit) = commit else { continue };
        had.commits.push(id);
        parents.extend(commit.parents.into_iter().map(|parent| (parent, id)));
    }
    let ids: Vec<ObjectId> = parents.iter().map(|(parent, _)| *parent).collect();
    let found = commits(objects, &ids).await?;
    if let Some(at) = found.iter().position(Option::is_none) {
        let (parent, child) = &parents[at];
        return Err(lacking(Kind::Commit, *child, Kind::Commit, *parent));
    }
    wants.commits.extend(ids);
    Ok((wants, had))
}

/// The trees at the boundary: of parents of commits in the pack that the client has, of the
/// commits `more`, and those that it says it has.
fn boundary<O: Objects + ?Sized>(
    graph: &Graph<'_, O>,
    order: &[u32],
    more: &[u32],
    trees: &[ObjectId],
    seen: &mut Seen,
) -> Result<Vec<u32>, RepositoryError> {
    let mut commits: BTreeSet<u32> = more.iter().copied().collect();
    for &number in order {
        commits.extend(graph.parents(number));
    }
    commits.retain(|&number| graph.has(number, HAD) && graph.is_there(number));
    let trees = commits.into_iter().map(|number| graph.tree(number)).chain(trees.iter().copied());
    trees.map(|tree| seen.name(&tree, Kind::Tree)).collect()
}

/// Puts tags into the pack that the client does not have. Those that are new to it are returned.
fn name_tags(seen: &mut Seen, tags: &[ObjectId]) -> Result<Vec<u32>, RepositoryError> {
    let mut new = Vec::new();
    for tag in tags {
        let number = seen.name(tag, Kind::Tag)?;
        if !seen.has(number, CLIENT | SENT) {
            seen.mark(number, SENT);
            new.push(number);
        }
    }
    Ok(new)
}

/// Trees and blobs that are wanted by themselves. Those that were named by their own ids are sent
/// even where the client has a commit with them, because a partial clone asks for what it lacks of
/// its commits; unless it says that it has the object itself.
fn wanted(
    seen: &mut Seen,
    wants: &Tips,
    had: &Tips,
    named: &[ObjectId],
) -> Result<Vec<Entry>, RepositoryError> {
    let named: BTreeSet<&ObjectId> = named.iter().collect();
    let had: BTreeSet<&ObjectId> = had.trees.iter().chain(&had.blobs).collect();
    let mut entries = Vec::new();
    for (ids, kind) in [(&wants.trees, Kind::Tree), (&wants.blobs, Kind::Blob)] {
        for id in ids {
            let number = seen.name(id, kind)?;
            let is_had = had.contains(id) || seen.has(number, CLIENT) && !named.contains(id);
            if !is_had {
                entries.push(Entry::wanted(number, kind));
            }
        }
    }
    Ok(entries)
}
