//! What a store lists of what it holds is what it holds, wherever that is.

use std::collections::BTreeSet;

use gitstratum_core::replica::Standing;

use super::*;

async fn listed(store: &SegmentStore, first: u64, last: u64) -> Vec<ObjectId> {
    let inventory = store.inventory(first, last).await;
    let ids = inventory.ids(first, last).await.unwrap();
    assert!(ids.is_sorted(), "in the order of the ids, each once");
    assert!(inventory.count_max(first, last) >= ids.len() as u64, "the bound holds");
    ids
}

fn ids(objects: &[Object]) -> BTreeSet<ObjectId> {
    objects.iter().map(Object::id).collect()
}

#[tokio::test]
async fn all_that_is_held_is_listed_wherever_it_is() {
    let scratch = scratch();
    let store = open(&scratch.disk).await;
    let objects = blobs(900);
    put_all(&store, &objects[..300]).await;
    store.seal().await.unwrap();
    put_all(&store, &objects[300..600]).await;
    store.seal().await.unwrap();
    let deleted = [objects[5].id(), objects[400].id(), objects[401].id()];
    store.delete(&deleted).await.unwrap();
    put_all(&store, &objects[600..]).await;
    // Deleted, and put again.
    put_all(&store, &objects[401..402]).await;
    let (head, parts) = large();
    put_parts(&store, head, &parts).await.unwrap();
    let mut expected = ids(&objects);
    expected.insert(head.id);
    deleted[..2].iter().for_each(|id| assert!(expected.remove(id)));
    for sealed in [false, true] {
        if sealed {
            store.seal().await.unwrap();
        }
        let all = listed(&store, 0, u64::MAX).await;
        assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), expected);
        for bits in [1, 4, 9] {
            let width = 1_u64 << (64 - bits);
            for first in (0..1_u64 << bits).map(|part| part * width) {
                let last = first + (width - 1);
                let within = |id: &&ObjectId| (first..=last).contains(&id.prefix_u64());
                let expected: Vec<_> = expected.iter().filter(within).copied().collect();
                assert_eq!(listed(&store, first, last).await, expected);
            }
        }
    }
    assert_eq!(
        store.standing(&[objects[0].id(), deleted[0], deleted[2], blob("no").id()]).await.unwrap(),
        [Standing::Held, Standing::Deleted, Standing::Held, Standing::Lacking]
    );
}

#[tokio::test]
async fn what_is_damaged_is_not_listed_and_is_wanted() {
    let scratch = scratch();
    let store = open(&scratch.disk).await;
    let objects = blobs(40);
    put_all(&store, &objects).await;
    store.seal().await.unwrap();
    store.close().await;
    drop(store);
    let (path, bytes) = segment_bytes(&scratch.disk).await;
    let mut bytes = bytes.to_vec();
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    overwrite(&scratch.disk, &path, bytes.into()).await;
    let store = open(&scratch.disk).await;
    let mut damaged = Vec::new();
    for object in &objects {
        if !holds(&store, object).await {
            damaged.push(object.clone());
        }
    }
    assert_eq!(damaged.len(), 1, "one record is damaged");
    let all: BTreeSet<_> = listed(&store, 0, u64::MAX).await.into_iter().collect();
    assert_eq!(&ids(&objects) - &all, ids(&damaged));
    assert_eq!(store.standing(&[damaged[0].id()]).await.unwrap(), [Standing::Lacking]);
    put_all(&store, &damaged).await;
    let all: BTreeSet<_> = listed(&store, 0, u64::MAX).await.into_iter().collect();
    assert_eq!(all, ids(&objects));
}

#[tokio::test]
async fn an_index_that_does_not_hold_is_made_again_to_be_listed() {
    let scratch = scratch();
    let store = open(&scratch.disk).await;
    let objects = blobs(500);
    put_all(&store, &objects).await;
    store.seal().await.unwrap();
    let names = scratch.disk.list("segments").await.unwrap();
    let index = names.iter().find(|name| name.ends_with(".idx")).expect("there is one");
    let (path, bytes) = bytes_of(&scratch.disk, format!("segments/{index}")).await;
    let mut bytes = bytes.to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    overwrite(&scratch.disk, &path, bytes.into()).await;
    let all: BTreeSet<_> = listed(&store, 0, u64::MAX).await.into_iter().collect();
    assert_eq!(all, ids(&objects));
}
