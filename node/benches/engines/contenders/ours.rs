//! The store of this project, as a node opens it: a flush before every acknowledgement,
//! shared by whatever waits. It acknowledges only objects whose ids were computed from
//! their data in this process: here before the clock starts, like everybody's ids. A row of
//! its own has the load as a replica gets it, with that on the clock.

use std::path::Path;
use std::sync::Arc;

use gitstratum_core::metrics::Samples;
use gitstratum_core::object::{Kind, Object, ObjectId};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{Durability, Found};
use gitstratum_host::Disk;
use gitstratum_store::{Fsync, SegmentStore, Store, StoreOptions};

use super::Engine;
use crate::Outcome;

/// Our store.
pub struct Ours(Arc<SegmentStore>);

impl Engine for Ours {
    async fn open(dir: &Path, _: usize) -> Outcome<Self> {
        let options = StoreOptions::new(NodeId::new("engines"), Fsync::Always);
        Ok(Ours(SegmentStore::open(Disk::new(dir), options).await?))
    }

    async fn put(&self, objects: Vec<Object>) -> Outcome<()> {
        for stored in self.0.put(objects).await {
            if stored?.durability != Durability::Synced {
                return Err("the store acknowledged what it had not flushed".into());
            }
        }
        Ok(())
    }

    async fn get<R: Send>(
        &self,
        id: ObjectId,
        look: impl FnOnce(Kind, &[u8]) -> R + Send,
    ) -> Outcome<Option<R>> {
        match self.0.get(id).await? {
            Found::Object(object) => Ok(Some(look(object.kind(), object.data()))),
            Found::Absent => Ok(None),
            Found::Large(_) => Err("no object here is too large to be whole".into()),
        }
    }

    fn syncs(&self) -> Option<u64> {
        let counted = Samples::registered_by(|registry| self.0.register(registry));
        Some(counted.count("gitstratum_store_syncs_total"))
    }

    async fn close(self) -> Outcome<()> {
        self.0.close().await;
        Ok(())
    }
}
