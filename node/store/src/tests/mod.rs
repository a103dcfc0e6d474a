//! The store in either world, on a scratch directory.

mod damage;
mod durability;
mod inventory;
mod large;
mod lookup;
mod losses;
mod maintenance;
mod opening;
mod pack;
mod scrub;

use std::sync::Arc;

use bytes::Bytes;
use gitstratum_core::limits;
use gitstratum_core::metrics::Samples;
use gitstratum_core::object::{HashAlgorithm, Kind};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{Durability, Found, StoreError, Stored};
use gitstratum_host::Disk;
use gitstratum_host::disk::{OpenMode, scratch};

use super::*;
use crate::codec::encode;
use crate::files::{identity, names};
use crate::state::quarantine;

fn blob(text: &str) -> Object {
    Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from(text.to_owned())).unwrap()
}

fn blobs(count: usize) -> Vec<Object> {
    (0..count).map(|n| blob(&format!("object {n} {}", "x".repeat(n * 7 % 300)))).collect()
}

async fn open(disk: &Disk) -> Arc<SegmentStore> {
    SegmentStore::open(disk.clone(), StoreOptions::new(NodeId::new("n1"), Fsync::Always))
        .await
        .unwrap()
}

/// What a store counts under a name.
fn counted(store: &SegmentStore, name: &str) -> u64 {
    Samples::registered_by(|registry| store.register(registry)).count(name)
}

async fn put_all(store: &SegmentStore, objects: &[Object]) {
    for stored in store.put(objects.to_vec()).await {
        assert_eq!(stored.unwrap().durability, Durability::Synced);
    }
}

async fn holds(store: &SegmentStore, object: &Object) -> bool {
    match store.get(object.id()).await {
        Ok(Found::Object(found)) => {
            assert_eq!(found, *object);
            true
        }
        Ok(Found::Absent) | Err(StoreError::Damaged { .. }) => false,
        other => panic!("neither the object nor its absence: {other:?}"),
    }
}

/// The first segment file, as bytes.
async fn segment_bytes(disk: &Disk) -> (String, Bytes) {
    let names = disk.list("segments").await.unwrap();
    let name = names.iter().find(|name| name.ends_with(".seg")).expect("there is one");
    bytes_of(disk, format!("segments/{name}")).await
}

/// A file's path and contents.
async fn bytes_of(disk: &Disk, path: String) -> (String, Bytes) {
    let file = disk.open(&path, OpenMode::Read).await.unwrap();
    let len = usize::try_from(file.len().await.unwrap()).unwrap();
    (path, file.read_at(0, len).await.unwrap())
}

async fn overwrite(disk: &Disk, path: &str, bytes: Bytes) {
    let file = disk.open(path, OpenMode::ReadWrite).await.unwrap();
    file.set_len(bytes.len() as u64).await.unwrap();
    file.write_at_and_sync(0, vec![bytes]).await.unwrap();
}

fn large() -> (ObjectHead, Vec<Bytes>) {
    let data: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let object = Object::hash(HashAlgorithm::Sha256, Kind::Blob, Bytes::from(data)).unwrap();
    let parts = object.data().chunks(limits::PART_BYTES_MAX).map(Bytes::copy_from_slice);
    (object.head(), parts.collect())
}

async fn put_parts(
    store: &SegmentStore,
    head: ObjectHead,
    parts: &[Bytes],
) -> Result<Stored, StoreError> {
    let mut writer = store.put_large(head).await?;
    for part in parts {
        writer.write(part.clone()).await?;
    }
    writer.finish().await
}

async fn read_parts(store: &SegmentStore, id: ObjectId) -> Result<Vec<u8>, StoreError> {
    let mut reader = store.get_large(id).await?.expect("it was put");
    let mut data = Vec::new();
    while let Some(part) = reader.next().await? {
        data.extend_from_slice(&part);
    }
    Ok(data)
}
