//! Read failover.
//!
//! A large object from one replica after another.
//!
//! Invariant (I2): the end is told only when all that was delivered, by whichever replicas,
//! hashes to the id. A replica finds its own damage at the end of what it sends, when the
//! caller has it already: going on elsewhere would not take it back.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum_core::object::{ObjectHasher, ObjectHead};
use gitstratum_core::placement::{NodeId, Placement};
use gitstratum_core::replica::{LargeReader, StoreError};

use super::{Inner, Search};

/// The replicas of a large object that were not tried yet.
pub(super) struct Opening {
    pub(super) inner: Arc<Inner>,
    pub(super) placement: Arc<Placement>,
    pub(super) untried: std::vec::IntoIter<NodeId>,
}

impl Opening {
    /// Opens the object on the next replica that has it.
    pub(super) async fn next(
        &mut self,
        search: &mut Search,
    ) -> Option<(NodeId, Box<dyn LargeReader>)> {
        for node_id in self.untried.by_ref() {
            match self.inner.reader(&self.placement, &node_id).get_large(search.id).await {
                Ok(Some(reader)) => return Some((node_id, reader)),
                Ok(None) => search.absent.push(node_id),
                Err(error) => {
                    self.inner.health.suspect(&node_id);
                    search.failed.push((node_id, error));
                }
            }
        }
        None
    }
}

/// Reads from one replica; where that breaks off, goes on at the next.
pub(super) struct ResumingReader {
    opening: Opening,
    /// Who is being read from.
    node_id: NodeId,
    reader: Box<dyn LargeReader>,
    head: ObjectHead,
    delivered_bytes: u64,
    /// Of what was delivered; taken when it was verified.
    hasher: Option<ObjectHasher>,
}

impl ResumingReader {
    /// A reader that begins with `reader`, of `node_id`.
    pub(super) fn new(opening: Opening, node_id: NodeId, reader: Box<dyn LargeReader>) -> Self {
        let head = reader.head();
        let hasher = ObjectHasher::plain(head.id.algorithm(), head.kind, head.size_bytes);
        let hasher = Some(hasher);
        ResumingReader { opening, node_id, reader, head, delivered_bytes: 0, hasher }
    }

    /// Goes on at the next replica that has the same object.
    async fn resume(&mut self, broken: StoreError) -> Result<(), StoreError> {
        let read_set = self.opening.placement.read_set(&self.head.id);
        let mut search = Search::new(0, self.head.id, read_set);
        while let Some((node_id, reader)) = self.opening.next(&mut search).await {
            if reader.head() == self.head {
                if let (StoreError::Damaged { .. }, Some(repair)) =
                    (&broken, &self.opening.inner.repair)
                {
                    // The one before it is found out in the middle of what it sends.
                    search.failed.push((self.node_id.clone(), broken.into()));
                    let placement = &self.opening.placement;
                    let from = self.opening.inner.reader(placement, &node_id);
                    repair.give_large(placement, self.head, from, &search);
                }
                (self.node_id, self.reader) = (node_id, reader);
                return Ok(());
            }
            self.opening.inner.health.suspect(&node_id);
        }
        Err(broken)
    }

    fn verify(&mut self) -> Result<(), StoreError> {
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let ObjectHead { id, size_bytes, .. } = self.head;
        if self.delivered_bytes < size_bytes {
            let received_bytes = self.delivered_bytes;
            return Err(StoreError::Truncated { id, received_bytes, size_bytes });
        }
        hasher.verify(id).map_err(|mismatch| {
            self.opening.inner.health.suspect(&self.node_id);
            let reason = format!("what was delivered is to be thrown away: {mismatch}");
            StoreError::Damaged { id, reason }
        })
    }
}

#[async_trait]
impl LargeReader for ResumingReader {
    fn head(&self) -> ObjectHead {
        self.head
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let mut skip = 0;
        loop {
            match self.reader.next().await {
                Ok(Some(mut part)) => {
                    // What another replica delivered already is read again and dropped.
                    let known = part.len().min(usize::try_from(skip).unwrap_or(usize::MAX));
                    skip -= known as u64;
                    let fresh = part.split_off(known);
                    if !fresh.is_empty() {
                        self.delivered_bytes += fresh.len() as u64;
                        if let Some(hasher) = &mut self.hasher {
                            hasher.update(&fresh);
                        }
                        return Ok(Some(fresh));
                    }
                }
                Ok(None) => {
                    self.verify()?;
                    return Ok(None);
                }
                Err(error) => {
                    self.opening.inner.health.suspect(&self.node_id);
                    tracing::debug!(node = %self.node_id, %error, "a large object broke off");
                    self.resume(error).await?;
                    skip = self.delivered_bytes;
                }
            }
        }
    }
}
