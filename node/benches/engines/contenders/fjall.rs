//! fjall: batches with `PersistMode::SyncData`. It has no group commit, and its journal one
//! writer at a time, so a committer makes one batch of what is queued. Values of a kibibyte
//! and more are kept apart from the tree (its key-value separation, made for large values),
//! and blocks are compressed with lz4, its default.

use std::path::Path;
use std::time::Duration;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use gitstratum_core::object::{Kind, Object, ObjectId};

use super::group::Committer;
use super::{Engine, parts_of, value_of};
use crate::Outcome;

/// How often it is asked whether it is still busy.
const SETTLE_POLL: Duration = Duration::from_millis(20);
/// Idle answers in a row after which it has settled.
const SETTLE_POLLS: u32 = 10;

/// fjall with a committer.
pub struct Fjall {
    database: Database,
    objects: Keyspace,
    committer: Committer,
}

fn commit(database: &Database, keyspace: &Keyspace, objects: &[Object]) -> Outcome<()> {
    let mut batch = database.batch().durability(Some(PersistMode::SyncData));
    for object in objects {
        batch.insert(keyspace, object.id().as_bytes(), value_of(object));
    }
    Ok(batch.commit()?)
}

impl Engine for Fjall {
    async fn open(dir: &Path, cache_bytes: usize) -> Outcome<Self> {
        let database = Database::builder(dir).cache_size(cache_bytes as u64).open()?;
        let objects = database.keyspace("objects", || {
            let separated = KvSeparationOptions::default();
            KeyspaceCreateOptions::default().with_kv_separation(Some(separated))
        })?;
        let written = (database.clone(), objects.clone());
        let committer = Committer::start(move |objects| commit(&written.0, &written.1, objects));
        Ok(Fjall { database, objects, committer })
    }

    async fn put(&self, objects: Vec<Object>) -> Outcome<()> {
        self.committer.put(objects).await
    }

    async fn get<R: Send>(
        &self,
        id: ObjectId,
        look: impl FnOnce(Kind, &[u8]) -> R + Send,
    ) -> Outcome<Option<R>> {
        let Some(value) = self.objects.get(id.as_bytes())? else { return Ok(None) };
        let (kind, data) = parts_of(&value)?;
        Ok(Some(look(kind, data)))
    }

    async fn settle(&self) -> Outcome<()> {
        let mut idle = 0;
        while idle < SETTLE_POLLS {
            let database = &self.database;
            let busy = database.outstanding_flushes() > 0 || database.active_compactions() > 0;
            idle = if busy { 0 } else { idle + 1 };
            tokio::time::sleep(SETTLE_POLL).await;
        }
        Ok(())
    }

    async fn close(self) -> Outcome<()> {
        self.committer.close().await?;
        drop(self.objects);
        drop(self.database);
        Ok(())
    }
}
