//! redb: `Durability::Immediate`, its default, which flushes at every commit. It has one
//! write transaction at a time and advises to put many writes into each, so a committer
//! does that with what is queued. Reads go through one read transaction that stays open,
//! its cheapest way. It does not compress.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use gitstratum_core::object::{Kind, Object, ObjectId};
use redb::{Database, Durability, ReadOnlyTable, ReadableDatabase, TableDefinition};

use super::group::Committer;
use super::{Engine, parts_of, tag_of};
use crate::Outcome;

const OBJECTS: TableDefinition<'_, &[u8; 20], &[u8]> = TableDefinition::new("objects");

/// redb with a committer.
pub struct Redb {
    database: Arc<Database>,
    reader: OnceLock<ReadOnlyTable<&'static [u8; 20], &'static [u8]>>,
    committer: Committer,
}

impl Redb {
    fn table(&self) -> Outcome<&ReadOnlyTable<&'static [u8; 20], &'static [u8]>> {
        if self.reader.get().is_none() {
            let table = self.database.begin_read()?.open_table(OBJECTS)?;
            // Another task may have been faster; both see the same.
            let _ = self.reader.set(table);
        }
        Ok(self.reader.get().expect("set just above"))
    }
}

fn key_of(id: &ObjectId) -> Outcome<&[u8; 20]> {
    Ok(id.as_bytes().try_into()?)
}

fn commit(database: &Database, objects: &[Object]) -> Outcome<()> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    {
        let mut table = transaction.open_table(OBJECTS)?;
        for object in objects {
            let id = object.id();
            let len = 1 + object.data().len();
            let mut value = table.insert_reserve(key_of(&id)?, len)?;
            value.as_mut()[0] = tag_of(object.kind());
            value.as_mut()[1..].copy_from_slice(object.data());
        }
    }
    Ok(transaction.commit()?)
}

impl Engine for Redb {
    async fn open(dir: &Path, cache_bytes: usize) -> Outcome<Self> {
        let mut builder = Database::builder();
        let database = builder.set_cache_size(cache_bytes).create(dir.join("objects.redb"))?;
        let database = Arc::new(database);
        let written = database.clone();
        let committer = Committer::start(move |objects| commit(&written, objects));
        Ok(Redb { database, reader: OnceLock::new(), committer })
    }

    async fn put(&self, objects: Vec<Object>) -> Outcome<()> {
        self.committer.put(objects).await
    }

    async fn get<R: Send>(
        &self,
        id: ObjectId,
        look: impl FnOnce(Kind, &[u8]) -> R + Send,
    ) -> Outcome<Option<R>> {
        let Some(value) = self.table()?.get(key_of(&id)?)? else { return Ok(None) };
        let (kind, data) = parts_of(value.value())?;
        Ok(Some(look(kind, data)))
    }

    async fn close(self) -> Outcome<()> {
        self.committer.close().await?;
        drop(self.reader);
        drop(self.database);
        Ok(())
    }
}
