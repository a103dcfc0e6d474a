//! One batch of hints: who has what, what is read here, what is sent, what is settled.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Delivery, Trouble};
use crate::limits;
use crate::object::{Object, ObjectHead, ObjectId};
use crate::placement::NodeId;
use crate::quorum::{NodeError, NodeWriter};
use crate::repair::hints::{Hint, Outcome};
use crate::store::{Found, LargeReader, StoreError};

/// What our store has of a batch.
#[derive(Default)]
struct Gathered {
    whole: Vec<Object>,
    large: Vec<ObjectHead>,
    settled: Vec<(ObjectId, Outcome)>,
    trouble: Option<Trouble>,
}

impl Delivery {
    /// Sends what the target lacks of these. Whatever happens, what is certain is settled.
    pub(super) async fn send(&self, target: &NodeId, hints: Vec<Hint>) -> Result<(), Trouble> {
        let began = Instant::now();
        let node = (self.targets)(target);
        let ids: Arc<[ObjectId]> = hints.iter().map(|hint| hint.id).collect();
        let present = node.has(ids.clone(), limits::HINT_TIMEOUT).await?;
        let (mut settled, mut lacking) = (Vec::new(), Vec::new());
        for (id, present) in ids.iter().zip(present) {
            match present {
                true => settled.push((*id, Outcome::Delivered)),
                false => lacking.push(*id),
            }
        }
        let gathered = self.gather(&lacking).await;
        settled.extend(gathered.settled);
        let mut trouble = gathered.trouble;
        if !gathered.whole.is_empty() {
            let sent = self.send_whole(&*node, gathered.whole, &mut settled).await;
            trouble = sent.err().or(trouble);
        }
        for head in gathered.large {
            match self.send_large(&*node, head).await {
                Ok(outcome) => settled.push((head.id, outcome)),
                Err(error) => {
                    trouble = Some(error);
                    break;
                }
            }
        }
        let hints = settled.len() as u64;
        self.log.settle(target, settled).await?;
        self.log.paces.note(target, hints, began, Instant::now());
        trouble.map_or(Ok(()), Err)
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
                        gathered.settled.push((*id, Outcome::Ranged));
                        continue;
                    };
                    bytes += object.data().len();
                    if bytes > limits::BATCH_BYTES_MAX && !gathered.whole.is_empty() {
                        break;
                    }
                    gathered.whole.push(object);
                }
                Ok(Found::Large(head)) => gathered.large.push(head),
                Ok(Found::Absent) => gathered.settled.push((*id, Outcome::Gone)),
                Err(StoreError::Damaged { .. }) => gathered.settled.push((*id, Outcome::Ranged)),
                Err(error) => {
                    gathered.trouble = Some(Trouble::Store(error));
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
        settled: &mut Vec<(ObjectId, Outcome)>,
    ) -> Result<(), Trouble> {
        let bytes: usize = objects.iter().map(|object| object.data().len()).sum();
        self.budget.bytes(bytes as u64).await;
        let objects: Arc<[Object]> = objects.into();
        let answers = node.put(objects.clone(), limits::HINT_TIMEOUT).await?;
        let mut refused = None;
        for (object, answer) in objects.iter().zip(answers) {
            match answer {
                Ok(_) => settled.push((object.id(), Outcome::Delivered)),
                Err(error) => refused = Some(Trouble::Target(NodeError::Rejected(error))),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Sends one object in parts, and says how its hint is settled.
    async fn send_large(
        &self,
        node: &dyn NodeWriter,
        head: ObjectHead,
    ) -> Result<Outcome, Trouble> {
        let reader = match self.store.get_large(head.id).await {
            Ok(Some(reader)) => reader,
            Ok(None) => return Ok(Outcome::Gone),
            Err(StoreError::Damaged { .. }) => return Ok(Outcome::Ranged),
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
            (_, Ok(_)) => Ok(Outcome::Delivered),
            (Err(StoreError::Damaged { .. }), Err(_)) => Ok(Outcome::Ranged),
            (Err(error), Err(_)) => Err(Trouble::Store(error)),
            (Ok(()), Err(error)) => Err(error.into()),
        }
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
        let held = self.store.has(&ids).await.map_err(Trouble::Store)?;
        let outcome = |held| if held { Outcome::Delivered } else { Outcome::Ranged };
        let settled = ids.into_iter().zip(held.into_iter().map(outcome)).collect();
        Ok(self.log.settle(&self.ourselves, settled).await?)
    }
}
