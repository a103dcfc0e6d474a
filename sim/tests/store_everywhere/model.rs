//! What the store must hold, and the comparison with what it does hold.

use std::future::Future;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use gitstratum::object::{HashAlgorithm, Kind, Object, ObjectId};
use gitstratum::placement::NodeId;
use gitstratum::store::{Found, Fsync, OpenError, SegmentStore, Store, StoreError, StoreOptions};
use gitstratum_host::Disk;
use gitstratum_host::simulated::DiskProfile;
use madsim::runtime::Runtime;

/// What the store must hold of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Absent,
    Present,
    /// An operation on it was begun and not acknowledged.
    Either,
}

/// What the store does hold of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    Whole,
    Absent,
}

/// All objects that there are, and what the store must hold of each.
#[derive(Clone)]
pub struct Model {
    pub objects: Arc<Vec<Object>>,
    pub expected: Vec<Expected>,
}

impl Model {
    /// So many objects, none of which was put. Sizes from none to several segments.
    pub fn new(count: usize) -> Self {
        let object = |n: usize| {
            let kind = [Kind::Blob, Kind::Tree, Kind::Commit, Kind::Tag][n % 4];
            let size = [0, 1, 40, 300, 700, 1500, 5000][n % 7];
            let data = format!("object {n} ").into_bytes();
            let data = data.into_iter().cycle().take(size + n % 5).collect::<Vec<u8>>();
            Object::hash(HashAlgorithm::Sha1, kind, data.into()).expect("no collision")
        };
        let mut objects: Vec<Object> = (0..count).map(object).collect();
        // The smallest ones are equal.
        objects.sort_by_key(Object::id);
        objects.dedup_by_key(|object| object.id());
        let expected = vec![Expected::Absent; objects.len()];
        Model { objects: Arc::new(objects), expected }
    }

    pub fn ids(&self) -> Vec<ObjectId> {
        self.objects.iter().map(Object::id).collect()
    }

    /// Puts of these are begun.
    pub fn begin(&mut self, objects: &[usize]) {
        for &n in objects {
            if self.expected[n] == Expected::Absent {
                self.expected[n] = Expected::Either;
            }
        }
    }

    pub fn acknowledge(&mut self, n: usize) {
        self.expected[n] = Expected::Present;
    }

    /// A deletion of these is begun.
    pub fn begin_deletion(&mut self, objects: &[usize]) {
        for &n in objects {
            if self.expected[n] == Expected::Present {
                self.expected[n] = Expected::Either;
            }
        }
    }

    pub fn acknowledge_deletion(&mut self, objects: &[usize]) {
        objects.iter().for_each(|&n| self.expected[n] = Expected::Absent);
    }

    /// Compares one object; the error says what is wrong.
    pub async fn check(&self, store: &dyn Store, n: usize) -> Result<Held, String> {
        let object = &self.objects[n];
        let read = read(store, object.id()).await;
        let read = read.map_err(|error| format!("object {n} could not be read: {error}"))?;
        if let Some((kind, data)) = &read
            && (*kind != object.kind() || data != object.data())
        {
            return Err(format!("object {n} came back as other bytes"));
        }
        match (self.expected[n], read.is_some()) {
            (Expected::Present, false) => Err(format!("object {n} was acknowledged and is gone")),
            (Expected::Absent, true) => Err(format!("object {n} is there and was never put")),
            (_, true) => Ok(Held::Whole),
            (_, false) => Ok(Held::Absent),
        }
    }

    /// Compares every object, and `has` with what is read.
    pub async fn check_all(&self, store: &dyn Store) -> Result<Vec<Held>, String> {
        let mut held = Vec::with_capacity(self.objects.len());
        for n in 0..self.objects.len() {
            held.push(self.check(store, n).await?);
        }
        let said = store.has(&self.ids()).await;
        let said = said.map_err(|error| format!("has cannot say: {error}"))?;
        for (n, said) in said.into_iter().enumerate() {
            if said != (held[n] == Held::Whole) {
                return Err(format!("has says {said} of object {n}, get {:?}", held[n]));
            }
        }
        Ok(held)
    }

    /// After opening: what was found is durable, so it must stay; and so must what was not.
    pub async fn settle(&mut self, store: &dyn Store) -> Result<(), String> {
        let held = self.check_all(store).await?;
        for (expected, held) in self.expected.iter_mut().zip(held) {
            *expected = match held {
                Held::Whole => Expected::Present,
                Held::Absent => Expected::Absent,
            };
        }
        Ok(())
    }
}

/// Kind and bytes under an id.
pub async fn read(store: &dyn Store, id: ObjectId) -> Result<Option<(Kind, Bytes)>, StoreError> {
    let whole = match store.get(id).await? {
        Found::Object(object) => Some((object.kind(), object.data().clone())),
        Found::Absent => None,
        Found::Large(_) => return read_in_parts(store, id).await,
    };
    // Both ways lead to every object.
    let parts = read_in_parts(store, id).await?;
    assert!(parts == whole, "get and get_large of {id} differ");
    Ok(whole)
}

async fn read_in_parts(
    store: &dyn Store,
    id: ObjectId,
) -> Result<Option<(Kind, Bytes)>, StoreError> {
    let Some(mut reader) = store.get_large(id).await? else { return Ok(None) };
    let mut data = BytesMut::new();
    while let Some(part) = reader.next().await? {
        data.extend_from_slice(&part);
    }
    Ok(Some((reader.head().kind, data.freeze())))
}

/// A disk on which nothing takes time.
pub fn new_disk(seed: u64) -> Disk {
    Disk::simulated(DiskProfile::instant(), seed)
}

/// Opens the store of the disk; its segments are so small that there are many.
pub async fn open(disk: &Disk) -> Result<Arc<SegmentStore>, OpenError> {
    let options = StoreOptions::new(NodeId::new("m"), Fsync::Always).segment_bytes_max(3_000);
    // What a store does after its process is gone must not happen.
    SegmentStore::open(disk.of_process(), options).await
}

/// Runs `body` in a simulation of its own.
pub fn simulate<T>(seed: u64, body: impl Future<Output = T>) -> T {
    Runtime::with_seed_and_config(seed, madsim::Config::default()).block_on(body)
}
