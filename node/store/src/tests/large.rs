//! Objects in parts.

use gitstratum_core::replica::{Found, StoreError};

use super::*;

#[tokio::test]
async fn a_large_object_comes_back_in_parts_also_after_reopening() {
    let scratch = scratch();
    let (head, parts) = large();
    let store = open(&scratch.disk).await;
    let stored = put_parts(&store, head, &parts).await.unwrap();
    assert_eq!((stored.bytes, stored.already_present), (3_000_000, false));
    assert!(put_parts(&store, head, &parts).await.unwrap().already_present);
    put_all(&store, &blobs(3)).await;
    store.close().await;
    let store = open(&scratch.disk).await;
    assert!(matches!(store.get(head.id).await, Ok(Found::Large(found)) if found == head));
    assert_eq!(read_parts(&store, head.id).await.unwrap(), parts.concat());
    put_all(&store, &blobs(4)).await;
}

#[tokio::test]
async fn a_large_object_that_ends_early_or_hashes_otherwise_leaves_nothing() {
    let scratch = scratch();
    let (head, parts) = large();
    let store = open(&scratch.disk).await;
    let short = put_parts(&store, head, &parts[..2]).await;
    assert!(matches!(short, Err(StoreError::Truncated { .. })));
    let mut other = parts.clone();
    other.swap(0, 1);
    assert!(matches!(put_parts(&store, head, &other).await, Err(StoreError::HashMismatch(_))));
    let long = [parts.clone(), parts.clone()].concat();
    assert!(matches!(put_parts(&store, head, &long).await, Err(StoreError::TooLarge { .. })));
    assert!(matches!(store.get(head.id).await, Ok(Found::Absent)));
    store.close().await;
    assert!(scratch.disk.list("large").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_damaged_large_object_is_an_error_at_the_latest_at_its_end() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let (head, parts) = large();
    let store = open(disk).await;
    put_parts(&store, head, &parts).await.unwrap();
    let (path, bytes) = bytes_of(disk, names::large_path(head.id)).await;
    let mut flipped = bytes.to_vec();
    flipped[1_500_000] ^= 1;
    overwrite(disk, &path, flipped.into()).await;
    let read = read_parts(&store, head.id).await;
    assert!(matches!(read, Err(StoreError::Damaged { .. })));
}

/// Waits until no file of a large put is left, nor of an object.
async fn until_nothing_is_left(disk: &Disk) {
    for _ in 0..5_000 {
        if disk.list("large").await.unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("left over: {:?}", disk.list("large").await.unwrap());
}

#[tokio::test]
async fn the_file_of_a_large_put_that_is_given_up_goes_at_once() {
    let scratch = scratch();
    let (head, parts) = large();
    let store = open(&scratch.disk).await;
    let mut writer = store.put_large(head).await.unwrap();
    for part in &parts[..6] {
        writer.write(part.clone()).await.unwrap();
    }
    assert_eq!(scratch.disk.list("large").await.unwrap().len(), 1);
    drop(writer);
    // Nothing else is asked of the store.
    until_nothing_is_left(&scratch.disk).await;
    let other: Vec<_> = parts.iter().rev().cloned().collect();
    assert!(matches!(put_parts(&store, head, &other).await, Err(StoreError::HashMismatch(_))));
    until_nothing_is_left(&scratch.disk).await;
    put_parts(&store, head, &parts).await.unwrap();
    assert_eq!(scratch.disk.list("large").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_store_that_is_closed_leaves_no_file_of_a_large_put_under_way() {
    let scratch = scratch();
    let (head, parts) = large();
    let store = open(&scratch.disk).await;
    let mut writer = store.put_large(head).await.unwrap();
    for part in &parts {
        writer.write(part.clone()).await.unwrap();
    }
    store.close().await;
    assert!(scratch.disk.list("large").await.unwrap().is_empty());
    assert!(matches!(writer.finish().await, Err(StoreError::Closed)));
    assert!(matches!(store.put_large(head).await, Err(StoreError::Closed)));
    assert!(scratch.disk.list("large").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_size_that_no_file_can_have_is_refused_before_any_of_it_comes() {
    let scratch = scratch();
    let (head, _) = large();
    let store = open(&scratch.disk).await;
    let claimed = ObjectHead { size_bytes: u64::MAX, ..head };
    assert!(matches!(store.put_large(claimed).await, Err(StoreError::TooLarge { .. })));
    assert!(scratch.disk.list("large").await.unwrap().is_empty());
}
