//! Hint delivery batch.
//!
//! One batch of hints: who has what, what is read here, what is sent, what is settled.

use std::collections::BTreeSet;
use std::sync::Arc;

use gitstratum_core::limits;
use gitstratum_core::object::{Object, ObjectHead, ObjectId};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{Found, LargeReader, NodeError, NodeWriter, Standing, StoreError};
use gitstratum_store::Store;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Delivery, Trouble};
use crate::repair::hints::{Hint, HintError, IdPrefix, Outcome};

/// What our store has of a batch.
#[derive(Default)]
struct Gathered {
    whole: Vec<Object>,
    large: Vec<ObjectHead>,
    settled: Settling,
    last_error: Option<Trouble>,
}

/// What becomes of the hints of a batch.
#[derive(Default)]
struct Settling {
    settled: Vec<(ObjectId, Outcome)>,
    /// Ranges of ids of which we lost some ourselves.
    lost: BTreeSet<IdPrefix>,
}

impl Settling {
    fn settle(&mut self, id: ObjectId, outcome: Outcome) {
        self.settled.push((id, outcome));
    }

    /// We stored it once, and cannot give it: its range is dirty for the target and for us.
    fn lose(&mut self, id: ObjectId) {
        self.settle(id, Outcome::MovedToRanges);
        self.lost.insert(IdPrefix::of(&id));
    }
}

impl Delivery {
    /// Sends what the target lacks of these. Whatever happens, what is certain is settled.
    pub(super) async fn send(&self, target: &NodeId, hints: Vec<Hint>) -> Result<(), Trouble> {
        let began = Instant::now();
        let node = (self.targets)(target);
        let ids: Arc<[ObjectId]> = hints.iter().map(|hint| hint.id).collect();
        let present = node.has(ids.clone(), limits::HINT_TIMEOUT).await?;
        let (mut delivered, mut lacking) = (Vec::new(), Vec::new());
        for (id, present) in ids.iter().zip(present) {
            match present {
                true => delivered.push((*id, Outcome::Delivered)),
                false => lacking.push(*id),
            }
        }
        let gathered = self.gather(&lacking).await;
        let mut settled = gathered.settled;
        settled.settled.extend(delivered);
        let mut last_error = gathered.last_error;
        if !gathered.whole.is_empty() {
            let sent = self.send_whole(&*node, gathered.whole, &mut settled).await;
            last_error = sent.err().or(last_error);
        }
        for head in gathered.large {
            match self.send_large(&*node, head, &mut settled).await {
                Ok(()) => {}
                Err(error) => {
                    last_error = Some(error);
                    break;
                }
            }
        }
        let hints = settled.settled.len() as u64;
        self.settle(target, settled).await?;
        self.log.paces.note(target, hints, began, Instant::now());
        last_error.map_or(Ok(()), Err)
    }

    async fn settle(&self, target: &NodeId, settling: Settling) -> Result<(), HintError> {
        let Settling { settled, lost } = settling;
        if let Some(prefix) = lost.first() {
            let ranges = lost.len();
            tracing::error!(
                %target, ranges, first = %prefix,
                "objects that we kept hints for are not here any more: their ranges are dirty"
            );
        }
        let dirty = lost.into_iter().map(|prefix| (self.ourselves.clone(), prefix)).collect();
        self.log.settle_and_mark(target, settled, dirty).await
    }

    /// How the hint of an object is settled that is not here. Only a tombstone says that it was
    /// deleted; else we lost it.
    async fn settle_absent(&self, id: ObjectId, settling: &mut Settling) -> Result<(), Trouble> {
        let standing = self.store.standing(&[id]).await.map_err(Trouble::Store)?;
        match standing.first() {
            Some(Standing::Deleted) => settling.settle(id, Outcome::Deleted),
            // It came since: it is sent with the next batch.
            Some(Standing::Held) => {}
            Some(Standing::Lacking) | None => settling.lose(id),
        }
        Ok(())
    }

    /// Reads objects until they fill a batch; those after that wait for the next.
    async fn gather(&self, ids: &[ObjectId]) -> Gathered {
        let mut gathered = Gathered::default();
        let mut bytes = 0;
        for id in ids {
            match self.store.get(*id).await {
                Ok(Found::Object(object)) => {
                    let Ok(object) = object.verified() else {
                        tracing::error!(%id, "what is held under this id is another object");
                        gathered.settled.lose(*id);
                        continue;
                    };
                    bytes += object.data().len();
                    if bytes > limits::BATCH_BYTES_MAX && !gathered.whole.is_empty() {
                        break;
                    }
                    gathered.whole.push(object);
                }
                Ok(Found::Large(head)) => gathered.large.push(head),
                Ok(Found::Absent) => {
                    if let Err(last_error) = self.settle_absent(*id, &mut gathered.settled).await {
                        gathered.last_error = Some(last_error);
                        break;
                    }
                }
                Err(StoreError::Damaged { .. }) => gathered.settled.lose(*id),
                Err(error) => {
                    gathered.last_error = Some(Trouble::Store(error));
                    break;
                }
            }
        }
        gathered
    }

    async fn send_whole(
        &self,
        node: &dyn NodeWriter,
        objects: Vec<Object>,
        settled: &mut Settling,
    ) -> Result<(), Trouble> {
        let bytes: usize = objects.iter().map(|object| object.data().len()).sum();
        self.budget.bytes(bytes as u64).await;
        let objects: Arc<[Object]> = objects.into();
        let answers = node.put(objects.clone(), limits::HINT_TIMEOUT).await?;
        let mut refused = None;
        for (object, answer) in objects.iter().zip(answers) {
            match answer {
                Ok(_) => settled.settle(object.id(), Outcome::Delivered),
                Err(error) => refused = Some(Trouble::Target(NodeError::Rejected(error))),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Sends one object in parts, and settles its hint.
    async fn send_large(
        &self,
        node: &dyn NodeWriter,
        head: ObjectHead,
        settled: &mut Settling,
    ) -> Result<(), Trouble> {
        let reader = match self.store.get_large(head.id).await {
            Ok(Some(reader)) => reader,
            Ok(None) => return self.settle_absent(head.id, settled).await,
            Err(StoreError::Damaged { .. }) => {
                settled.lose(head.id);
                return Ok(());
            }
            Err(error) => return Err(Trouble::Store(error)),
        };
        let (parts, receiver) = mpsc::channel(limits::LARGE_PARTS_IN_FLIGHT);
        let putting = async {
            // For as long as it goes on, however large it is; the reader's end ends it.
            node.put_large(head, receiver).await
        };
        let (read, stored) = futures_util::future::join(self.pump(reader, parts), putting).await;
        match (read, stored) {
            // A replica that has heard all of it has verified it.
            (_, Ok(_)) => settled.settle(head.id, Outcome::Delivered),
            (Err(StoreError::Damaged { .. }), Err(_)) => settled.lose(head.id),
            (Err(error), Err(_)) => return Err(Trouble::Store(error)),
            (Ok(()), Err(error)) => return Err(error.into()),
        }
        Ok(())
    }

    /// Hands on part after part, as the budget allows, while they are taken.
    async fn pump(
        &self,
        mut reader: Box<dyn LargeReader>,
        parts: mpsc::Sender<bytes::Bytes>,
    ) -> Result<(), StoreError> {
        while let Some(part) = reader.next().await? {
            self.budget.bytes(part.len() as u64).await;
            let sent = tokio::time::timeout(limits::HINT_TIMEOUT, parts.send(part)).await;
            if !matches!(sent, Ok(Ok(()))) {
                // The target's own answer says why it takes no more.
                return Ok(());
            }
        }
        Ok(())
    }

    /// Hints about ourselves, which nobody should give us: settled by what we have.
    pub(super) async fn settle_own(&self, hints: Vec<Hint>) -> Result<(), Trouble> {
        let ids: Vec<_> = hints.iter().map(|hint| hint.id).collect();
        let standing = self.store.standing(&ids).await.map_err(Trouble::Store)?;
        let outcome = |standing| match standing {
            Standing::Held => Outcome::Delivered,
            Standing::Deleted => Outcome::Deleted,
            Standing::Lacking => Outcome::MovedToRanges,
        };
        let settled = ids.into_iter().zip(standing.into_iter().map(outcome)).collect();
        Ok(self.settle(&self.ourselves, Settling { settled, lost: BTreeSet::new() }).await?)
    }
}
