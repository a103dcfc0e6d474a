//! What the committer is asked for, and how it answers.

use gitstratum_core::replica::{StoreError, Stored};
use tokio::sync::oneshot;

use crate::codec::draft::Draft;
use crate::format::record::Content;
use crate::state::shared::Shared;
use crate::state::view::Seen;

/// The records of one put or deletion, to be stored together.
pub(crate) struct Queued {
    pub(crate) drafts: Vec<Draft>,
    pub(crate) bytes: usize,
    /// How far it was looked whether they bring anything new.
    pub(crate) seen: Seen,
    pub(crate) answer: oneshot::Sender<Vec<Result<Stored, StoreError>>>,
}

/// What the committer is asked for.
pub(crate) enum Order {
    /// Store these.
    Write(Queued),
    /// Begin a new segment, and answer when the index of the old one is written.
    Seal(oneshot::Sender<Result<(), StoreError>>),
}

/// Tells every put of a group what became of it, and gives its room in the queue back.
/// `committed` says of every draft whether it brought something that was not there.
pub(crate) fn answer(
    shared: &Shared,
    group: Vec<Queued>,
    committed: Result<Vec<bool>, StoreError>,
) {
    let mut fresh = committed.as_deref().unwrap_or_default().iter();
    for queued in group {
        let answers = queued.drafts.iter().map(|draft| match &committed {
            Ok(_) => Ok(Stored {
                bytes: match draft.head.content {
                    Content::Object { size, .. } => size.into(),
                    Content::Tombstone { .. } | Content::Void { .. } => 0,
                },
                durability: shared.durability(),
                already_present: !fresh.next().expect("every draft was looked up"),
            }),
            Err(error) => Err(error.clone()),
        });
        // A caller that went away needs no answer.
        let _ = queued.answer.send(answers.collect());
        shared.release_queue(queued.bytes);
    }
}
