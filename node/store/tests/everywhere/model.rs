//! What the store must hold, and the comparison with what it does hold.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gitstratum_core::limits;
use gitstratum_core::object::{HashAlgorithm, Kind, Object, ObjectId};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{Found, StoreError};
use gitstratum_host::Disk;
use gitstratum_host::simulated::DiskProfile;
use gitstratum_store::{Compression, Fsync, OpenError, SegmentStore, Store, StoreOptions};
use madsim::runtime::Runtime;

/// What the store must hold of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Absent,
    Present,
    /// An operation on it was begun and not acknowledged.
    Either,
}

/// A snapshot that was begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Its directory.
    path: String,
    /// What the store had to hold at that moment.
    expected: Vec<Expected>,
    acknowledged: bool,
}

/// All objects that there are, and what the store must hold of each.
#[derive(Clone)]
pub struct Model {
    pub objects: Arc<Vec<Object>>,
    pub expected: Vec<Expected>,
    /// Objects of which a put was ever begun.
    pub begun: Vec<bool>,
    snapshots: Vec<Begun>,
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
        let begun = vec![false; objects.len()];
        Model { objects: Arc::new(objects), expected, begun, snapshots: Vec::new() }
    }

    pub fn ids(&self) -> Vec<ObjectId> {
        self.objects.iter().map(Object::id).collect()
    }

    /// Puts of these are begun.
    pub fn begin(&mut self, objects: &[usize]) {
        for &n in objects {
            self.begun[n] = true;
            if self.expected[n] == Expected::Absent {
                self.expected[n] = Expected::Either;
            }
        }
    }

    pub fn acknowledge(&mut self, n: usize) {
        self.expected[n] = Expected::Present;
    }

    /// A deletion of these is begun.
    pub fn begin_delete(&mut self, objects: &[usize]) {
        for &n in objects {
            if self.expected[n] == Expected::Present {
                self.expected[n] = Expected::Either;
            }
        }
    }

    pub fn acknowledge_delete(&mut self, objects: &[usize]) {
        objects.iter().for_each(|&n| self.expected[n] = Expected::Absent);
    }

    /// A snapshot is begun; the answer names it.
    pub fn begin_snapshot(&mut self) -> String {
        let name = format!("s{}", self.snapshots.len());
        let (path, expected) = (format!("snapshots/{name}"), self.expected.clone());
        self.snapshots.push(Begun { path, expected, acknowledged: false });
        name
    }

    pub fn acknowledge_snapshot(&mut self) {
        self.snapshots.last_mut().expect("it was begun").acknowledged = true;
    }

    /// Opens every complete snapshot as a store of its own and compares it with what there
    /// was to hold when it was begun.
    pub async fn check_snapshots(&self, disk: &Disk) -> Result<(), String> {
        for Begun { path, expected, acknowledged } in &self.snapshots {
            let complete = format!("{path}/complete");
            if !disk.files().iter().any(|(file, _)| *file == complete) {
                match acknowledged {
                    true => return Err(format!("{path} was acknowledged and is not complete")),
                    false => continue,
                }
            }
            let wrong = |problem| format!("{path}: {problem}");
            let store = open(&disk.copy_below(path)).await.map_err(|error| error.to_string());
            let store = store.map_err(wrong)?;
            let then = Model { expected: expected.clone(), ..self.clone() };
            then.check_all(&*store).await.map_err(wrong)?;
            store.close().await;
        }
        Ok(())
    }

    /// Compares one object; the error says what is wrong.
    pub async fn check(&self, store: &dyn Store, n: usize) -> Result<bool, String> {
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
            (_, held) => Ok(held),
        }
    }

    /// Compares every object, and `has` with what is read.
    pub async fn check_all(&self, store: &dyn Store) -> Result<Vec<bool>, String> {
        let mut held = Vec::with_capacity(self.objects.len());
        for n in 0..self.objects.len() {
            held.push(self.check(store, n).await?);
        }
        let said = store.has(&self.ids()).await;
        let said = said.map_err(|error| format!("has cannot say: {error}"))?;
        for (n, said) in said.into_iter().enumerate() {
            if said != held[n] {
                return Err(format!("has says {said} of object {n}, get {:?}", held[n]));
            }
        }
        Ok(held)
    }

    /// Compares the store's own count with what it holds.
    pub async fn check_count(&self, store: &SegmentStore) -> Result<(), String> {
        let held = self.check_all(store).await?;
        let there = held.iter().filter(|held| **held).count() as u64;
        let counted = store.stats().objects;
        if there != counted {
            return Err(format!("{there} objects are there, and it counts {counted}"));
        }
        Ok(())
    }

    /// After opening: what was found is durable, so it must stay; and so must what was not.
    pub async fn settle(&mut self, store: &dyn Store) -> Result<(), String> {
        let held = self.check_all(store).await?;
        for (expected, held) in self.expected.iter_mut().zip(held) {
            *expected = if held { Expected::Present } else { Expected::Absent };
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

/// An empty disk; on one of two, operations take time, so that work gets mixed.
pub fn new_disk(seed: u64) -> Disk {
    let ms = |most: u64| Duration::ZERO..=Duration::from_millis(most);
    let slow = DiskProfile {
        read_latency: ms(1),
        write_latency: ms(3),
        sync_latency: ms(6),
        ..DiskProfile::instant()
    };
    Disk::simulated(if seed.is_multiple_of(2) { DiskProfile::instant() } else { slow }, seed)
}

/// Opens the store of the disk; its segments are so small that there are many.
pub async fn open(disk: &Disk) -> Result<Arc<SegmentStore>, OpenError> {
    // Whether new objects are compressed may change from start to start.
    let compression = [Compression::None, Compression::Lz4][disk.operations() as usize % 2];
    let options = StoreOptions::new(NodeId::new("m"), Fsync::Always)
        .segment_bytes_max(3_000)
        .zeros_ahead_bytes([0, 500, 3_000][disk.operations() as usize % 3])
        .flight_bytes_min([limits::FLIGHT_BYTES_MIN, 0, 1_000][disk.operations() as usize / 3 % 3])
        .compression(compression);
    // What a store does after its process is gone must not happen.
    SegmentStore::open(disk.of_process(), options).await
}

/// Runs `body` in a simulation of its own.
pub fn simulate<T>(seed: u64, body: impl Future<Output = T>) -> T {
    Runtime::with_seed_and_config(seed, madsim::Config::default()).block_on(body)
}
