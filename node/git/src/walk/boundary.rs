//! Boundary marking: trees and blobs that the client has.
//!
//! The client has all that the trees of its commits reach. Only those of the *boundary* are looked
//! at, the commits that it has and that are parents of what it gets. There are two ways, which are
//! those of `git rev-list --objects` and of `git pack-objects --sparse`, Git's default:
//!
//! - [`mark_all`] opens every tree of the boundary, and so finds what was moved to another place.
//! - [`mark_along_paths`] opens those alone that stand where the pack has a changed tree: for a small
//!   change in a large repository a few trees instead of all. What was moved may be sent again.
//!   A tree is opened once for every path that it has, and there can be more paths than anyone could
//!   follow; past a number of trees the first way is taken, which opens each tree once.
//!
//! Either way nothing is marked that the client lacks. What cannot be read is passed by: what is
//! not marked is sent.

use std::collections::BTreeMap;

use gitstratum_core::limits::{WALK_ALONG_PATHS_TREES_MAX, WALK_TREES_AHEAD_MAX};
use gitstratum_core::object::{Kind, ObjectId};

use super::ahead::Ahead;
use super::objects::Objects;
use super::pace::Pace;
use super::selection::{CLIENT, OPENED, Seen};
use crate::object::{TreeEntry, tree_entries};
use crate::service::RepositoryError;

/// Marks trees, and all that they reach, as what the client has.
pub(super) async fn mark_all<O: Objects + ?Sized>(
    objects: &O,
    seen: &mut Seen,
    roots: Vec<u32>,
    pace: &mut Pace<'_>,
) -> Result<(), RepositoryError> {
    let mut ahead = Ahead::default();
    let mut stack = roots;
    stack.sort_unstable();
    stack.dedup();
    stack.iter().for_each(|&root| seen.mark(root, CLIENT | OPENED));
    while let Some(number) = stack.pop() {
        pace.step().await;
        let next = stack.iter().rev().copied();
        let Some((Kind::Tree, data)) = ahead.read(objects, seen, number, next).await? else {
            continue;
        };
        for entry in tree_entries(objects.algorithm(), &data) {
            let Ok(entry) = entry else { break };
            let Some(kind) = entry.kind() else { continue };
            let child = seen.name(&entry.id, kind)?;
            seen.mark(child, CLIENT);
            if kind == Kind::Tree && !seen.has(child, OPENED) {
                seen.mark(child, OPENED);
                stack.push(child);
            }
        }
    }
    Ok(())
}

/// Trees that stand at one path in different commits.
#[derive(Default)]
struct Place {
    /// Of commits that the client has.
    had: Vec<u32>,
    /// Of commits that it gets.
    new: Vec<u32>,
}

/// Marks the trees `had`, and of what they reach whatever stands at a path where the trees `new`
/// have a tree that the client lacks; or whatever they reach where that is less work.
pub(super) async fn mark_along_paths<O: Objects + ?Sized>(
    objects: &O,
    seen: &mut Seen,
    had: Vec<u32>,
    new: Vec<u32>,
    pace: &mut Pace<'_>,
) -> Result<(), RepositoryError> {
    had.iter().for_each(|&tree| seen.mark(tree, CLIENT));
    let roots = had.clone();
    let mut opened = 0;
    let mut places = vec![Place { had, new }];
    while let Some(Place { mut had, mut new }) = places.pop() {
        new.retain(|&tree| !seen.has(tree, CLIENT));
        if had.is_empty() || new.is_empty() {
            continue;
        }
        for trees in [&mut had, &mut new] {
            trees.sort_unstable();
            trees.dedup();
        }
        opened += had.len() + new.len();
        if opened > WALK_ALONG_PATHS_TREES_MAX {
            return mark_all(objects, seen, roots, pace).await;
        }
        let mut within: BTreeMap<Box<[u8]>, Place> = BTreeMap::new();
        read_each(objects, seen, &had, pace, |seen, entry, kind| {
            let child = seen.name(&entry.id, kind)?;
            seen.mark(child, CLIENT);
            if kind == Kind::Tree {
                within.entry(entry.name.into()).or_default().had.push(child);
            }
            Ok(())
        })
        .await?;
        read_each(objects, seen, &new, pace, |seen, entry, kind| {
            if kind == Kind::Tree
                && let Some(place) = within.get_mut(entry.name)
            {
                place.new.push(seen.name(&entry.id, kind)?);
            }
            Ok(())
        })
        .await?;
        places.extend(within.into_values().filter(|place| !place.new.is_empty()));
    }
    Ok(())
}

/// Calls `each` with all entries of these trees that stand for objects.
async fn read_each<O: Objects + ?Sized>(
    objects: &O,
    seen: &mut Seen,
    trees: &[u32],
    pace: &mut Pace<'_>,
    mut each: impl FnMut(&mut Seen, &TreeEntry<'_>, Kind) -> Result<(), RepositoryError>,
) -> Result<(), RepositoryError> {
    let mut rest = trees;
    while !rest.is_empty() {
        let batch = &rest[..rest.len().min(WALK_TREES_AHEAD_MAX)];
        let ids: Vec<ObjectId> = batch.iter().map(|&tree| seen.id(tree)).collect();
        let answer = objects.read(&ids).await?;
        assert!(!answer.is_empty(), "at least the first is answered");
        rest = &rest[answer.len()..];
        for found in answer {
            pace.step().await;
            let Some((Kind::Tree, data)) = found else { continue };
            for entry in tree_entries(objects.algorithm(), &data) {
                let Ok(entry) = entry else { break };
                if let Some(kind) = entry.kind() {
                    each(seen, &entry, kind)?;
                }
            }
        }
    }
    Ok(())
}
