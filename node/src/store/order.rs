//! What the committer is asked for, and how it answers.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use super::draft::Draft;
use super::format::record::Content;
use super::shared::Shared;
use super::{StoreError, Stored};
use crate::object::ObjectId;

/// The records of one put or deletion, to be stored together.
pub(super) struct Queued {
    pub(super) drafts: Vec<Draft>,
    pub(super) bytes: usize,
    pub(super) answer: oneshot::Sender<Vec<Result<Stored, StoreError>>>,
}

/// What the committer is asked for.
pub(super) enum Order {
    /// Store these.
    Write(Queued),
    /// Begin a new segment, and answer when the index of the old one is written.
    Seal(oneshot::Sender<Result<(), StoreError>>),
}

/// The ids that a group wrote, each with the first place that brought it.
pub(super) type Fresh = BTreeMap<ObjectId, (usize, usize)>;

/// Tells every put of a group what became of it, and gives its room in the queue back.
pub(super) fn answer(shared: &Shared, group: Vec<Queued>, committed: &Result<Fresh, StoreError>) {
    for (place, queued) in group.into_iter().enumerate() {
        let answers = queued.drafts.iter().enumerate().map(|(at, draft)| match committed {
            Ok(fresh) => Ok(Stored {
                bytes: match draft.head.content {
                    Content::Object { size, .. } => size.into(),
                    Content::Tombstone { .. } | Content::Void { .. } => 0,
                },
                durability: shared.durability(),
                already_present: fresh.get(&draft.head.id) != Some(&(place, at)),
            }),
            Err(error) => Err(error.clone()),
        });
        // A caller that went away needs no answer.
        let _ = queued.answer.send(answers.collect());
        shared.release_queue(queued.bytes);
    }
}
