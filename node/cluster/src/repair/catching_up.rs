//! Catch-up state.
//!
//! Whether a node may have lost what it acknowledged, and what it says "absent" with then.
//!
//! A node that was merely down lacks what it did not acknowledge, and "not found" allows for
//! that: of R replicas that say "absent", one would have the object. A node whose disk was
//! replaced by an empty one, or its data by a backup, lacks what it did acknowledge. Counted
//! among the R, it would make "not found" of an object that is safe on others. It is like a
//! replica of Viewstamped Replication that recovers from amnesia (Liskov and Cowling,
//! "Viewstamped Replication Revisited", 2012): it takes part in writes, and proves nothing until
//! it has caught up.
//!
//! Invariant: a data directory is remembered as new before a store is opened in it, and until the
//! node that it is has compared all that it may have held with every peer that may hold it too.
//! Until then [`CatchingUp::refuses_absent`] stands between the store and whoever is told "absent".
//!
//! It is doubted by position. A position that was compared with everybody concerned is proven,
//! though a peer that shares others is away. And what a layout that is not settled placed here,
//! while the one in force places it elsewhere, stays in doubt: the node is not given it again,
//! and readers still count its word for that layout.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum_core::object::{Object, ObjectHead, ObjectId};
use gitstratum_core::placement::Arcs;
use gitstratum_core::replica::{Deleted, Found, LargeReader, LargeWriter, StoreError, Stored};
use gitstratum_host::Disk;
use gitstratum_store::{OpenError, Snapshot, Store};

/// The file that says it, in the root of the data directory.
const FILE: &str = "catching-up";
const TEXT: &str = "This directory was new, or a backup, when its node started, or records in it \
                    could not be read. The file goes when the node has compared what it holds \
                    with all of its peers.\n";

/// Whether a node has to catch up before its "absent" proves anything, and of what.
#[derive(Debug)]
pub struct CatchingUp {
    disk: Disk,
    /// Whether the file is there, so that the next start doubts everything.
    noted: AtomicBool,
    /// Whether anything is doubted: so that nobody waits for a lock when nothing is.
    pending: AtomicBool,
    /// Positions of whose objects "absent" proves nothing.
    doubted: RwLock<Arcs>,
}

impl CatchingUp {
    /// Looks at a data directory before a store is opened in it.
    ///
    /// # Errors
    /// [`OpenError`] when it cannot be read or written.
    pub async fn open(disk: &Disk) -> Result<Arc<Self>, OpenError> {
        let failed = |doing: &str| {
            let doing = format!("{doing} {FILE}");
            move |source| OpenError::Io { doing, source }
        };
        if !gitstratum_store::was_open(disk).await? {
            if gitstratum_store::owner(disk).await?.is_none() {
                gitstratum_store::check_vacant(disk).await?;
            }
            let named = async {
                disk.create_dir_all("").await?;
                match disk.exists(FILE).await? {
                    true => disk.sync_dir("").await,
                    false => disk.replace(FILE, Bytes::from_static(TEXT.as_bytes())).await,
                }
            };
            named.await.map_err(failed("write"))?;
        }
        let pending = disk.exists(FILE).await.map_err(failed("look for"))?;
        let doubted = if pending { Arcs::all() } else { Arcs::default() };
        Ok(Arc::new(CatchingUp {
            disk: disk.clone(),
            noted: AtomicBool::new(pending),
            pending: AtomicBool::new(pending),
            doubted: RwLock::new(doubted),
        }))
    }

    /// Whether anything is in doubt.
    pub fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    /// Whether it is remembered that something is, or was: until [`CatchingUp::done`].
    pub fn is_noted(&self) -> bool {
        self.noted.load(Ordering::Acquire)
    }

    /// Whether this object's absence proves nothing.
    pub fn doubts(&self, id: &ObjectId) -> bool {
        self.is_pending() && self.read().contains(id.prefix_u64())
    }

    /// The positions that are in doubt.
    pub fn doubted(&self) -> Arcs {
        self.read().clone()
    }

    /// Doubts no position any more but these, as far as they were doubted.
    pub fn narrow(&self, still: &Arcs) {
        let mut doubted = self.write();
        *doubted = doubted.intersection(still);
        if doubted.is_empty() && self.pending.swap(false, Ordering::AcqRel) {
            tracing::info!("caught up: compared with every peer");
        }
    }

    /// Doubts these positions too, and remembers it: what was lost at them is not given to this
    /// node again.
    ///
    /// # Errors
    /// When it cannot be remembered; then nothing has changed.
    pub async fn doubt(&self, positions: &Arcs) -> std::io::Result<()> {
        if !self.is_noted() {
            self.disk.replace(FILE, Bytes::from_static(TEXT.as_bytes())).await?;
            self.noted.store(true, Ordering::Release);
        }
        let mut doubted = self.write();
        *doubted = doubted.union(positions);
        self.pending.store(!doubted.is_empty(), Ordering::Release);
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, Arcs> {
        self.doubted.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Arcs> {
        self.doubted.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that nothing is in doubt. What the disk does not take is told it again after
    /// the next start.
    pub async fn done(&self) {
        self.narrow(&Arcs::default());
        if !self.noted.swap(false, Ordering::AcqRel) {
            return;
        }
        let forgotten = async {
            self.disk.remove(FILE).await?;
            self.disk.sync_dir("").await
        };
        match forgotten.await {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(%error, "{FILE} stays, and with it the next start's doubt")
            }
        }
    }

    /// The same store, which answers [`StoreError::CatchingUp`] in the place of "absent" for
    /// what is in doubt.
    pub fn refuses_absent(self: &Arc<Self>, store: Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(CatchingUpStore { store, catching_up: self.clone() })
    }
}

/// A store whose "absent" may prove nothing.
struct CatchingUpStore {
    store: Arc<dyn Store>,
    catching_up: Arc<CatchingUp>,
}

#[async_trait]
impl Store for CatchingUpStore {
    async fn put(&self, objects: Vec<Object>) -> Vec<Result<Stored, StoreError>> {
        self.store.put(objects).await
    }

    async fn get(&self, id: ObjectId) -> Result<Found, StoreError> {
        // Asked first: what comes between the two must not make a proof of an old "absent".
        let doubted = self.catching_up.doubts(&id);
        match self.store.get(id).await? {
            Found::Absent if doubted => Err(StoreError::CatchingUp),
            found => Ok(found),
        }
    }

    async fn has(&self, ids: &[ObjectId]) -> Result<Vec<bool>, StoreError> {
        self.store.has(ids).await
    }

    async fn put_large(&self, head: ObjectHead) -> Result<Box<dyn LargeWriter>, StoreError> {
        self.store.put_large(head).await
    }

    async fn get_large(&self, id: ObjectId) -> Result<Option<Box<dyn LargeReader>>, StoreError> {
        let doubted = self.catching_up.doubts(&id);
        match self.store.get_large(id).await? {
            None if doubted => Err(StoreError::CatchingUp),
            found => Ok(found),
        }
    }

    async fn delete(&self, ids: &[ObjectId]) -> Result<Deleted, StoreError> {
        self.store.delete(ids).await
    }

    async fn snapshot(&self, name: &str) -> Result<Snapshot, StoreError> {
        self.store.snapshot(name).await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

#[cfg(test)]
mod tests {
    use gitstratum_host::disk::scratch;

    use super::*;
    use gitstratum_core::object::{HashAlgorithm, Kind};
    use gitstratum_core::placement::NodeId;
    use gitstratum_store::{Fsync, SegmentStore, StoreOptions};

    async fn open(disk: &Disk) -> (Arc<CatchingUp>, Arc<SegmentStore>) {
        let catching_up = CatchingUp::open(disk).await.unwrap();
        let options = StoreOptions::new(NodeId::new("n1"), Fsync::Always);
        let store = SegmentStore::open(disk.clone(), options).await.unwrap();
        (catching_up, store)
    }

    #[tokio::test]
    async fn a_new_directory_proves_nothing_until_it_has_caught_up_even_after_a_restart() {
        let scratch = scratch();
        let id = ObjectId::from_bytes(&[7; 20]).unwrap();
        let kept = Object::hash(HashAlgorithm::Sha1, Kind::Blob, "kept".into()).unwrap();
        for restart in 0..2 {
            let (catching_up, store) = open(&scratch.disk).await;
            let doubtful = catching_up.refuses_absent(store.clone());
            store.put(vec![kept.clone()]).await.pop().unwrap().unwrap();
            assert!(matches!(doubtful.get(kept.id()).await, Ok(Found::Object(_))));
            let refused = doubtful.get(id).await;
            assert!(matches!(refused, Err(StoreError::CatchingUp)), "{refused:?}");
            assert!(doubtful.get_large(id).await.is_err());
            if restart == 1 {
                catching_up.done().await;
                assert!(matches!(doubtful.get(id).await, Ok(Found::Absent)));
                assert!(doubtful.get_large(id).await.unwrap().is_none());
            }
            store.close().await;
        }
        let (catching_up, _store) = open(&scratch.disk).await;
        assert!(!catching_up.is_pending(), "it is over for good");
    }

    #[tokio::test]
    async fn absence_is_doubted_by_position_and_after_a_restart_everywhere_again() {
        let scratch = scratch();
        let at = |byte: u8| ObjectId::from_bytes(&[byte; 20]).unwrap();
        let from = |byte: u8| Arcs::of(at(byte).prefix_u64()..=u64::MAX);
        let (catching_up, store) = open(&scratch.disk).await;
        let doubtful = catching_up.refuses_absent(store.clone());
        catching_up.narrow(&from(0x80));
        assert!(matches!(doubtful.get(at(0x7f)).await, Ok(Found::Absent)));
        assert!(matches!(doubtful.get(at(0x80)).await, Err(StoreError::CatchingUp)));
        // What is narrower on one side does not widen the doubt on the other.
        catching_up.narrow(&Arcs::all());
        assert!(!catching_up.doubts(&at(0x7f)) && catching_up.is_pending());
        store.close().await;
        let (catching_up, store) = open(&scratch.disk).await;
        assert!(catching_up.doubts(&at(0x7f)));
        // All of it is proven, and still it is noted until somebody says that it is done.
        catching_up.narrow(&Arcs::default());
        assert!(!catching_up.is_pending() && catching_up.is_noted());
        catching_up.done().await;
        // What was lost later is doubted from then on, and after a restart.
        catching_up.doubt(&from(0x80)).await.unwrap();
        assert!(catching_up.doubts(&at(0x80)) && !catching_up.doubts(&at(0x7f)));
        store.close().await;
        assert!(CatchingUp::open(&scratch.disk).await.unwrap().doubts(&at(0x80)));
    }

    #[tokio::test]
    async fn a_directory_in_which_a_store_was_open_is_not_new_and_a_snapshot_is() {
        let scratch = scratch();
        let options = StoreOptions::new(NodeId::new("n1"), Fsync::Always);
        let store = SegmentStore::open(scratch.disk.clone(), options).await.unwrap();
        let path = store.snapshot("monday").await.unwrap().path;
        store.close().await;
        assert!(!CatchingUp::open(&scratch.disk).await.unwrap().is_pending());
        // As what an operator copies has it.
        let names = scratch.disk.list(&path).await.unwrap();
        assert!(names.contains(&"node".to_owned()), "{names:?}");
        scratch.disk.remove("lock").await.unwrap();
        assert!(!names.contains(&"lock".to_owned()), "{names:?}");
        assert!(CatchingUp::open(&scratch.disk).await.unwrap().is_pending());
    }
}
