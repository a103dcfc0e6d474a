//! Tips: what a client names, and tag chains.
//!
//! Clients name objects of every kind. Annotated tags are followed, through tags of tags, to what
//! they stand for; all that one request names is asked for together, one link of every chain at a
//! time.

use std::collections::BTreeSet;

use bytes::Bytes;
use gitstratum_core::limits::BATCH_OBJECTS_MAX;
use gitstratum_core::object::{Kind, ObjectId};

use super::objects::{Objects, heads, lacking, unreadable};
use crate::object::Tag;
use crate::service::RepositoryError;

/// What becomes of a tip that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// It is refused.
    Refuse,
    /// It is left out: nothing depends on it.
    Skip,
}

/// Objects by their kinds, in the order in which they were named.
#[derive(Debug, Default)]
pub(super) struct Tips {
    pub(super) commits: Vec<ObjectId>,
    pub(super) tags: Vec<ObjectId>,
    pub(super) trees: Vec<ObjectId>,
    pub(super) blobs: Vec<ObjectId>,
}

/// Sorts out objects by their kinds, with all that tags among them lead to.
pub(super) async fn resolve<O: Objects + ?Sized>(
    objects: &O,
    named: &[ObjectId],
    absent: Absent,
) -> Result<Tips, RepositoryError> {
    let mut tips = Tips::default();
    let mut seen = BTreeSet::new();
    // Each with the tag that named it.
    let mut level: Vec<(ObjectId, Option<ObjectId>)> = named.iter().map(|&id| (id, None)).collect();
    while !level.is_empty() {
        level.retain(|(id, _)| seen.insert(*id));
        let ids: Vec<ObjectId> = level.iter().map(|(id, _)| *id).collect();
        let mut tags = Vec::new();
        for (head, (id, owner)) in heads(objects, &ids).await?.into_iter().zip(&level) {
            match head.map(|head| head.kind) {
                Some(Kind::Commit) => tips.commits.push(*id),
                Some(Kind::Tree) => tips.trees.push(*id),
                Some(Kind::Blob) => tips.blobs.push(*id),
                Some(Kind::Tag) => tags.push(*id),
                None if absent == Absent::Skip => {}
                Some(Kind::Chunk) | None if absent == Absent::Skip => {}
                Some(Kind::Chunk) | None => return Err(not_there(*id, *owner)),
            }
        }
        level = targets(objects, &tags, absent).await?;
        tips.tags.extend(tags);
    }
    Ok(tips)
}

fn not_there(id: ObjectId, owner: Option<ObjectId>) -> RepositoryError {
    match owner {
        None => RepositoryError::NotOurRef(id),
        Some(tag) => lacking(Kind::Tag, tag, "object", id),
    }
}

/// What tags point to, each with its tag.
async fn targets<O: Objects + ?Sized>(
    objects: &O,
    tags: &[ObjectId],
    absent: Absent,
) -> Result<Vec<(ObjectId, Option<ObjectId>)>, RepositoryError> {
    let mut targets = Vec::with_capacity(tags.len());
    let mut rest = tags;
    while !rest.is_empty() {
        let answer = objects.read(&rest[..rest.len().min(BATCH_OBJECTS_MAX)]).await?;
        assert!(!answer.is_empty() && answer.len() <= rest.len(), "at least the first is answered");
        let (answered, unanswered) = rest.split_at(answer.len());
        rest = unanswered;
        for (found, &id) in answer.into_iter().zip(answered) {
            match target(objects, id, found) {
                Ok(target) => targets.push((target, Some(id))),
                Err(_) if absent == Absent::Skip => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(targets)
}

fn target<O: Objects + ?Sized>(
    objects: &O,
    id: ObjectId,
    found: Option<(Kind, Bytes)>,
) -> Result<ObjectId, RepositoryError> {
    let Some((Kind::Tag, data)) = found else {
        return Err(RepositoryError::Damaged(format!("tag {id} cannot be read")));
    };
    let tag = Tag::parse(objects.algorithm(), &data).map_err(|error| unreadable(id, &error))?;
    Ok(tag.target)
}

/// What an object comes to once all annotated tags are followed, and what that is.
///
/// # Errors
/// [`RepositoryError::NotOurRef`] where the object is not there; [`RepositoryError::Damaged`] where
/// a tag leads nowhere.
pub async fn peel<O: Objects + ?Sized>(
    objects: &O,
    id: ObjectId,
) -> Result<(ObjectId, Kind), RepositoryError> {
    let tips = resolve(objects, &[id], Absent::Refuse).await?;
    let found = [(tips.commits, Kind::Commit), (tips.trees, Kind::Tree), (tips.blobs, Kind::Blob)];
    found
        .into_iter()
        .find_map(|(ids, kind)| ids.first().map(|&id| (id, kind)))
        .ok_or_else(|| RepositoryError::Damaged(format!("tag {id} leads back to itself")))
}
