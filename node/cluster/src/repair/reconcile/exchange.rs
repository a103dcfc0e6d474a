//! Anti-entropy transfer.
//!
//! Bringing objects to where they lack, in both directions.
//!
//! Invariant: nothing is sent to a store that knows it deleted it, or that has it by now: the
//! comparison is old when its outcome is acted upon, so each side is asked again by full id.
//! What comes is stored as any put is, so its hash is verified before it is.

use gitstratum_core::limits;
use gitstratum_core::object::{Object, ObjectHead, ObjectId};
use gitstratum_core::replica::compare::Counterpart;
use gitstratum_core::replica::{Found, LargeReader, NodeError, Standing, StoreError, Stored};
use gitstratum_store::{SegmentStore, Store};

use super::Found as Differing;
use crate::repair::Budget;
use crate::repair::reconcile::{Counts, Numbers};

/// What an exchange works with.
pub(super) struct Exchange<'a> {
    pub(super) store: &'a SegmentStore,
    pub(super) peer: &'a dyn Counterpart,
    pub(super) budget: &'a Budget,
    /// What was done is counted here, as it is done.
    pub(super) numbers: &'a Numbers,
}

/// Why an exchange ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The peer did not do its part.
    #[error(transparent)]
    Peer(#[from] NodeError),
    /// Our own store did not.
    #[error("our store: {0}")]
    Store(#[from] StoreError),
}

/// Whether another object would fare no better.
fn ends_all(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Closed
            | StoreError::Failed { .. }
            | StoreError::DiskFull
            | StoreError::Overloaded { .. }
    )
}

impl Exchange<'_> {
    /// Brings what differs to whoever lacks it. An object that one side cannot give or take
    /// is counted, and the others go on.
    pub(super) async fn run(&self, found: &Differing) -> Result<(), ExchangeError> {
        for ids in found.ours.chunks(limits::BATCH_OBJECTS_MAX) {
            let standing = self.peer.standing(ids).await?;
            self.push(&self.lacking(ids, &standing)).await?;
        }
        for ids in found.theirs.chunks(limits::BATCH_OBJECTS_MAX) {
            let standing = self.store.standing(ids).await?;
            self.pull(&self.lacking(ids, &standing)).await?;
        }
        Ok(())
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        self.numbers.count(self.peer.node_id(), change);
    }

    fn lacking(&self, ids: &[ObjectId], standing: &[Standing]) -> Vec<ObjectId> {
        let differing = ids.len() as u64;
        let deleted = standing.iter().filter(|standing| **standing == Standing::Deleted).count();
        self.count(|counts| {
            counts.differing += differing;
            counts.withheld += deleted as u64;
        });
        let pairs = ids.iter().zip(standing);
        pairs.filter(|(_, standing)| **standing == Standing::Lacking).map(|(id, _)| *id).collect()
    }

    async fn push(&self, ids: &[ObjectId]) -> Result<(), ExchangeError> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        for id in ids {
            match self.store.get(*id).await {
                Ok(Found::Object(object)) => {
                    let size = object.data().len();
                    if bytes + size > limits::RECONCILE_BATCH_BYTES && !batch.is_empty() {
                        self.send(std::mem::take(&mut batch), std::mem::take(&mut bytes)).await?;
                    }
                    bytes += size;
                    batch.push(object);
                }
                Ok(Found::Large(head)) => self.push_large(head).await?,
                // Deleted since it was listed.
                Ok(Found::Absent) => {}
                Err(error) => self.failed(*id, &error),
            }
        }
        match batch.is_empty() {
            true => Ok(()),
            false => self.send(batch, bytes).await,
        }
    }

    async fn send(&self, objects: Vec<Object>, bytes: usize) -> Result<(), ExchangeError> {
        let _operation = self.budget.operation().await;
        self.budget.bytes(bytes as u64).await;
        let sizes: Vec<_> = objects.iter().map(|o| (o.id(), o.size_bytes())).collect();
        for (stored, (id, size)) in self.peer.send(objects).await?.into_iter().zip(sizes) {
            match stored {
                Ok(stored) => self.pushed(stored, size),
                Err(error) if ends_all(&error) => return Err(NodeError::Rejected(error).into()),
                Err(error) => self.failed(id, &error),
            }
        }
        Ok(())
    }

    fn pushed(&self, stored: Stored, size: u64) {
        self.count(|counts| {
            counts.pushed += u64::from(!stored.already_present);
            counts.bytes_pushed += size;
        });
    }

    fn failed(&self, id: ObjectId, error: &StoreError) {
        tracing::warn!(%id, peer = %self.peer.node_id(), %error, "not brought to where it lacks");
        let error = format!("{id}: {error}");
        self.count(|counts| {
            counts.objects_failed += 1;
            counts.last_error = Some(error);
        });
    }

    async fn push_large(&self, head: ObjectHead) -> Result<(), ExchangeError> {
        let reader = match self.store.get_large(head.id).await {
            Ok(Some(reader)) => reader,
            Ok(None) => return Ok(()),
            Err(error) => {
                self.failed(head.id, &error);
                return Ok(());
            }
        };
        let _operation = self.budget.operation().await;
        let (parts, receiver) = tokio::sync::mpsc::channel(limits::LARGE_PARTS_IN_FLIGHT);
        let (sent, read) =
            tokio::join!(self.peer.send_large(head, receiver), self.read_parts(reader, parts),);
        match (read, sent) {
            // What we could not read is what ended the other side, too.
            (Err(error), _) => self.failed(head.id, &error),
            (Ok(()), Ok(stored)) => self.pushed(stored, head.size_bytes),
            (Ok(()), Err(NodeError::Rejected(error))) if !ends_all(&error) => {
                self.failed(head.id, &error);
            }
            (Ok(()), Err(error)) => return Err(error.into()),
        }
        Ok(())
    }

    async fn read_parts(
        &self,
        mut reader: Box<dyn LargeReader>,
        parts: tokio::sync::mpsc::Sender<bytes::Bytes>,
    ) -> Result<(), StoreError> {
        while let Some(part) = reader.next().await? {
            self.budget.bytes(part.len() as u64).await;
            if parts.send(part).await.is_err() {
                // Whoever took them has said why, or will.
                break;
            }
        }
        Ok(())
    }

    async fn pull(&self, ids: &[ObjectId]) -> Result<(), ExchangeError> {
        let mut rest = ids;
        let mut at_once = limits::RECONCILE_FETCH_OBJECTS_MIN;
        while !rest.is_empty() {
            let (ids, after) = rest.split_at(at_once.min(rest.len()));
            rest = after;
            let bytes = self.fetch(ids).await?;
            self.budget.bytes(bytes as u64).await;
            // As many as would have filled a batch, if all were like these.
            let fitting = ids.len() * limits::RECONCILE_BATCH_BYTES / bytes.max(1);
            at_once = fitting.clamp(1, (at_once * 4).min(limits::RECONCILE_FETCH_OBJECTS_MAX));
        }
        Ok(())
    }

    /// Fetches objects and stores them; returns their bytes.
    async fn fetch(&self, ids: &[ObjectId]) -> Result<usize, ExchangeError> {
        let mut objects = Vec::with_capacity(ids.len());
        let mut large = Vec::new();
        {
            let _operation = self.budget.operation().await;
            for (found, id) in self.peer.fetch(ids).await?.into_iter().zip(ids) {
                match found {
                    Ok(Found::Object(object)) => objects.push(object),
                    Ok(Found::Large(head)) => large.push(head),
                    // Deleted since it was listed.
                    Ok(Found::Absent) => {}
                    Err(error) => self.failed(*id, &error),
                }
            }
        }
        let sizes: Vec<_> = objects.iter().map(|o| (o.id(), o.data().len())).collect();
        let bytes = sizes.iter().map(|(_, size)| size).sum();
        for (stored, (id, size)) in self.store.put(objects).await.into_iter().zip(sizes) {
            match stored {
                Ok(stored) => self.pulled(stored, size as u64),
                Err(error) if ends_all(&error) => return Err(error.into()),
                Err(error) => self.failed(id, &error),
            }
        }
        for head in large {
            self.pull_large(head).await?;
        }
        Ok(bytes)
    }

    fn pulled(&self, stored: Stored, size: u64) {
        self.count(|counts| {
            counts.pulled += u64::from(!stored.already_present);
            counts.bytes_pulled += size;
        });
    }

    async fn pull_large(&self, head: ObjectHead) -> Result<(), ExchangeError> {
        let _operation = self.budget.operation().await;
        let Some(mut reader) = self.peer.fetch_large(head.id).await? else { return Ok(()) };
        let mut writer = self.store.put_large(reader.head()).await?;
        let copied = async {
            while let Some(part) = reader.next().await? {
                self.budget.bytes(part.len() as u64).await;
                writer.write(part).await?;
            }
            writer.finish().await
        };
        match copied.await {
            Ok(stored) => self.pulled(stored, head.size_bytes),
            Err(error) if ends_all(&error) => return Err(error.into()),
            Err(error) => self.failed(head.id, &error),
        }
        Ok(())
    }
}
