//! What a lookup reads.

use super::*;
use crate::format::index::{IndexHead, head_len};

/// Enough for filters to be wrong about some of them.
const SEGMENT_OBJECTS: usize = 40_000;

/// How many indexes a lookup of the id reads: until the segment that has it, those whose filters
/// let it through.
fn indexes_read(store: &SegmentStore, id: &ObjectId, segment: usize) -> usize {
    let sealed = store.shared.view().sealed.clone();
    let asked = sealed.iter().take_while(|sealed| sealed.id().last as usize >= segment);
    asked.filter(|sealed| sealed.may_have(id)).count()
}

/// Stores numbered objects in so many segments.
async fn fill_segments(disk: &Disk, segments: usize) -> Vec<Object> {
    let store = open(disk).await;
    let count = segments * SEGMENT_OBJECTS;
    let objects: Vec<_> = (0..count).map(|n| blob(&format!("number {n}"))).collect();
    for part in objects.chunks(SEGMENT_OBJECTS) {
        put_all(&store, part).await;
        store.seal().await.unwrap();
    }
    store.close().await;
    objects
}

async fn loaded(disk: &Disk) -> Arc<SegmentStore> {
    let store = open(disk).await;
    let sealed = store.shared.view().sealed.clone();
    for segment in sealed.iter() {
        segment.load().await.unwrap();
    }
    store
}

#[tokio::test]
async fn a_present_object_costs_the_read_of_one_index_but_for_one_in_thousands() {
    let scratch = scratch();
    let objects = fill_segments(&scratch.disk, 3).await;
    let store = loaded(&scratch.disk).await;
    assert_eq!(store.shared.view().sealed.len(), 3);
    let mut doubted = Vec::new();
    for (number, object) in objects.iter().enumerate() {
        match indexes_read(&store, &object.id(), number / SEGMENT_OBJECTS) {
            1 => {}
            2 | 3 => doubted.push(object.clone()),
            other => panic!("{other} indexes are read for number {number}"),
        }
    }
    // 15 are to be expected: one in 8,192 for each newer segment.
    assert!((4..35).contains(&doubted.len()), "{} pass a newer filter too", doubted.len());
    assert!(holds(&store, &doubted[0]).await);

    // What was deleted is gone whichever filters pass, and what came back is there.
    let ids: Vec<_> = doubted.iter().map(Object::id).collect();
    store.delete(&ids).await.unwrap();
    store.seal().await.unwrap();
    for object in &doubted {
        assert!(!holds(&store, object).await);
    }
    put_all(&store, &doubted).await;
    store.close().await;
    let store = loaded(&scratch.disk).await;
    for object in objects.iter().step_by(7).chain(&doubted) {
        assert!(holds(&store, object).await);
    }
    store.close().await;
}

#[tokio::test]
async fn verify_finds_an_index_that_denies_what_it_has() {
    let scratch = scratch();
    let disk = &scratch.disk;
    fill_segments(disk, 2).await;
    let names = disk.list("segments").await.unwrap();
    let newest = names.iter().rfind(|name| name.ends_with(".idx")).expect("it was sealed");
    let (path, sound) = bytes_of(disk, format!("segments/{newest}")).await;
    let found = offline::verify(disk, |_, _| {}).await.unwrap();
    assert!(found.problems.is_empty() && found.remarks.is_empty(), "{found:?}");

    let begin = head_len(&sound).unwrap();
    let head = IndexHead::parse(&sound[..begin], sound.len() as u64).unwrap();
    let end = begin + head.directory_piece().len - 4;
    // The filter is most of the directory. A checksum that holds says only that this is what was
    // written.
    let mut bytes = sound.to_vec();
    bytes[(begin + end) / 2..(begin + end) / 2 + 16].fill(0xff);
    let head_crc = u32::from_le_bytes(sound[begin - 4..begin].try_into().unwrap());
    let crc = crc32c::crc32c_append(head_crc, &bytes[begin..end]);
    bytes[end..end + 4].copy_from_slice(&crc.to_le_bytes());
    overwrite(disk, &path, bytes.into()).await;
    let found = offline::verify(disk, |_, _| {}).await.unwrap();
    assert!((1..=200).contains(&found.problems.len()), "{:?}", found.problems);
    let by_name = |problem: &String| problem.starts_with(&path) && problem.contains("lookup");
    assert!(found.problems.iter().all(by_name), "{:?}", found.problems);
}
