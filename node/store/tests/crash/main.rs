//! The storage engine on a simulated machine: crashes, power losses, failing disks.
//!
//! Here and not beside the engine, because only the simulated disk can lose its power.
#![cfg(madsim)]

mod damage;
mod durability;
mod flights;
mod losses;
mod trouble;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gitstratum_core::limits;
use gitstratum_core::object::{HashAlgorithm, Kind, Object};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{StoreError, Stored};
use gitstratum_host::Disk;
use gitstratum_host::simulated::{DiskProfile, Link, Machine, Network};
use gitstratum_store::{Fsync, SegmentStore, Store, StoreOptions};

fn ms(from: u64, to: u64) -> std::ops::RangeInclusive<Duration> {
    Duration::from_millis(from)..=Duration::from_millis(to)
}

fn slow_disk() -> DiskProfile {
    DiskProfile { write_latency: ms(1, 2), sync_latency: ms(1, 6), ..DiskProfile::instant() }
}

fn machine(disk: DiskProfile, seed: u64) -> (Network, Machine) {
    let network = Network::new(seed, Link { latency: ms(1, 1), loss: 0.0 });
    let machine = Machine::new(&network, "m", Ipv4Addr::new(10, 0, 0, 1), disk, seed);
    (network, machine)
}

/// The `n`-th object; every fifth is a large one.
fn object(n: u64) -> Object {
    let text = format!("object {n}");
    let data = match n % 5 {
        4 => Bytes::from(text.repeat(limits::OBJECT_BYTES_WHOLE_MAX / text.len() + 1)),
        _ => Bytes::from(text.repeat(1 + n as usize * 37 % 60)),
    };
    Object::hash(HashAlgorithm::Sha1, Kind::Blob, data).unwrap()
}

async fn open(disk: &Disk) -> Arc<SegmentStore> {
    // From start to start the next group is written behind a flush, or after it.
    let flight_bytes_min = [limits::FLIGHT_BYTES_MIN, 0][disk.operations() as usize % 2];
    let options = StoreOptions::new(NodeId::new("m"), Fsync::Always)
        .segment_bytes_max(3_000)
        .flight_bytes_min(flight_bytes_min);
    SegmentStore::open(disk.clone(), options).await.expect("a crash leaves a store that opens")
}

async fn put(store: &SegmentStore, object: &Object) -> Result<Stored, StoreError> {
    if object.size_bytes() <= limits::OBJECT_BYTES_WHOLE_MAX as u64 {
        return store.put(vec![object.clone()]).await.remove(0);
    }
    let mut writer = store.put_large(object.head()).await?;
    for part in object.data().chunks(limits::PART_BYTES_MAX) {
        writer.write(Bytes::copy_from_slice(part)).await?;
    }
    writer.finish().await
}

/// Whether the store has the object; its bytes are compared.
async fn held(store: &SegmentStore, object: &Object) -> bool {
    let Some(mut reader) = store.get_large(object.id()).await.expect("nothing is damaged") else {
        return false;
    };
    let mut data = Vec::new();
    while let Some(part) = reader.next().await.expect("nothing is damaged") {
        data.extend_from_slice(&part);
    }
    assert!(data == object.data()[..], "{} came back as other bytes", object.id());
    true
}
