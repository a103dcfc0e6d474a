//! Giving a cluster the chunks of a backup: those that it lacks, each on W replicas.

use std::sync::atomic::Ordering;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use gitstratum_cluster::client::{Client, PutError};
use gitstratum_core::limits;
use gitstratum_core::object::{Object, ObjectId};

use super::super::objects::{Objects, Unsound};
use super::super::{BackupError, blocking};
use super::damaged;
use crate::transfer::{Counters, Progress, backoff, showing};

/// What is put at once: so many chunks, or as many as have so many bytes.
const OBJECTS_AT_ONCE: usize = 256;
const BYTES_AT_ONCE: u64 = 2 << 20;

/// Puts what the cluster lacks, and then proves that W replicas have all of it.
pub(super) async fn give(
    client: &Client,
    objects: &Objects,
    needed: &[(ObjectId, u64)],
    jobs: usize,
    progress: &dyn Progress,
) -> Result<(), BackupError> {
    let counters = Counters::default();
    progress.begin("restoring", needed.len() as u64);
    let giving = stream::iter(batches(needed)).map(|batch| {
        let counters = &counters;
        async move {
            put(client, objects, batch, true).await?;
            counters.objects.fetch_add(batch.len() as u64, Ordering::Relaxed);
            let bytes = batch.iter().map(|(_, bytes)| bytes).sum();
            counters.bytes.fetch_add(bytes, Ordering::Relaxed);
            Ok::<_, BackupError>(())
        }
    });
    let giving = giving.buffer_unordered(jobs).try_collect();
    let given: Result<(), BackupError> = showing(giving, &counters, progress).await;
    given?;
    progress.end();
    // A sweep that was under way may have taken what was there before its pack had an owner again.
    for batch in needed.chunks(limits::BATCH_OBJECTS_MAX) {
        let lacking = lacking(client, batch).await?;
        if lacking.is_empty() {
            continue;
        }
        let again: Vec<_> = lacking.iter().map(|(object, _)| *object).collect();
        for batch in batches(&again) {
            put(client, objects, batch, false).await?;
        }
        if let Some(&((id, _), holders)) = self::lacking(client, &again).await?.first() {
            return Err(BackupError::Lost { id, holders });
        }
    }
    Ok(())
}

/// Parts of a list that are put at once.
fn batches(needed: &[(ObjectId, u64)]) -> Vec<&[(ObjectId, u64)]> {
    let (mut batches, mut rest) = (Vec::new(), needed);
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take(OBJECTS_AT_ONCE).take_while(|(_, of)| {
            let is_room = bytes == 0 || bytes + of <= BYTES_AT_ONCE;
            bytes += of;
            is_room
        });
        let (batch, after) = rest.split_at(fits.count().max(1));
        batches.push(batch);
        rest = after;
    }
    batches
}

/// Puts these, several times where replicas do not answer.
async fn put(
    client: &Client,
    objects: &Objects,
    batch: &[(ObjectId, u64)],
    skip_present: bool,
) -> Result<(), BackupError> {
    let mut wanting = read(objects, batch).await?;
    for attempt in 1.. {
        let put = client.put_batch(wanting.clone(), skip_present).await;
        let mut failed: Vec<(Object, PutError)> = Vec::new();
        for (object, put) in wanting.into_iter().zip(put) {
            failed.extend(put.err().map(|error| (object, error)));
        }
        let Some((_, error)) = failed.first() else { return Ok(()) };
        if attempt >= limits::TRANSFER_ATTEMPTS_MAX {
            return Err(BackupError::Put { source: error.clone() });
        }
        tokio::time::sleep(backoff(attempt - 1)).await;
        wanting = failed.into_iter().map(|(object, _)| object).collect();
    }
    Ok(())
}

async fn read(objects: &Objects, batch: &[(ObjectId, u64)]) -> Result<Vec<Object>, BackupError> {
    let (objects, batch) = (objects.clone(), batch.to_vec());
    blocking(move || {
        let read = batch.iter().map(|(id, _)| match objects.read(id)? {
            Ok(object) => Ok(object),
            // It was sound a while ago.
            Err(Unsound::Missing) => Err(damaged(1, 1, &format!("object {id} is missing"))),
            Err(Unsound::Damaged(why)) => Err(damaged(1, 1, &format!("object {id}: {why}"))),
        });
        read.collect()
    })
    .await
}

/// Those that fewer than W replicas have, and how many have each.
async fn lacking(
    client: &Client,
    batch: &[(ObjectId, u64)],
) -> Result<Vec<((ObjectId, u64), usize)>, BackupError> {
    let write_quorum = client.layout().write_quorum;
    let ids = batch.iter().map(|(id, _)| *id).collect();
    let mut lacking = Vec::new();
    for (object, holders) in batch.iter().zip(client.has(ids).await) {
        use gitstratum_cluster::client::GetError;
        let holders = match holders {
            Ok(holders) => holders.len(),
            Err(GetError::NotFound { .. }) => 0,
            Err(source) => return Err(BackupError::Get { source }),
        };
        if holders < write_quorum {
            lacking.push((*object, holders));
        }
    }
    Ok(lacking)
}
