//! Whole rounds between two real stores, with a peer in the same process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, Object, ObjectHead, ObjectId};
use gitstratum_core::placement::{CurrentLayout, Layout, Member, NodeId, Versions};
use gitstratum_core::replica::compare::{Counterpart, Key, Question, Reply, Span};
use gitstratum_core::replica::{
    Found, LargeReader, NodeError, Parts, Standing, StoreError, Stored,
};
use gitstratum_host::Disk;
use gitstratum_host::disk::scratch;
use gitstratum_store::{Fsync, SegmentStore, Store, StoreOptions};

use crate::repair::Budget;
use crate::repair::reconcile::{Counts, Numbers, Round, Shared, answer};

/// A peer that is a store of this process.
struct Peer {
    node_id: NodeId,
    store: Arc<SegmentStore>,
    layout: CurrentLayout,
    /// Bytes that it damages in what it gives.
    lies: bool,
    /// Requests that it answers before it answers no more.
    answers: AtomicUsize,
}

impl Peer {
    fn answering(&self) -> Result<(), NodeError> {
        let left = self
            .answers
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| NodeError::ShuttingDown)
    }
}

#[async_trait]
impl Counterpart for Peer {
    fn node_id(&self) -> &NodeId {
        &self.node_id
    }

    async fn compare(
        &self,
        question: &Question,
        caller: &NodeId,
        versions: &Versions,
    ) -> Result<Reply, NodeError> {
        self.answering()?;
        let placement = self.layout.placement();
        assert_eq!(*versions, placement.versions());
        question.check().expect("a question that may be answered");
        let arcs = placement.sharing(&self.node_id, caller).compared;
        let listing = Shared::new(self.store.inventory(0, u64::MAX).await, arcs);
        Ok(answer(&listing, question).await?)
    }

    async fn standing(&self, ids: &[ObjectId]) -> Result<Vec<Standing>, NodeError> {
        self.answering()?;
        Ok(self.store.standing(ids).await?)
    }

    async fn fetch(&self, ids: &[ObjectId]) -> Result<Vec<Result<Found, StoreError>>, NodeError> {
        self.answering()?;
        let mut all = Vec::new();
        for id in ids {
            all.push(match self.store.get(*id).await {
                Ok(Found::Object(object)) if self.lies => {
                    let data = Bytes::from(vec![0; object.data().len()]);
                    Ok(Found::Object(Object::claimed(*id, object.kind(), data)))
                }
                other => other,
            });
        }
        Ok(all)
    }

    async fn fetch_large(&self, id: ObjectId) -> Result<Option<Box<dyn LargeReader>>, NodeError> {
        Ok(self.store.get_large(id).await?)
    }

    async fn send(
        &self,
        objects: Vec<Object>,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError> {
        self.answering()?;
        Ok(self.store.put(objects).await)
    }

    async fn send_large(&self, head: ObjectHead, mut parts: Parts) -> Result<Stored, NodeError> {
        let mut writer = self.store.put_large(head).await?;
        while let Some(part) = parts.recv().await {
            writer.write(part).await?;
        }
        Ok(writer.finish().await?)
    }
}

/// Two stores, and what the first compares itself with the second by.
struct Pair {
    store: Arc<SegmentStore>,
    peer: Peer,
    layout: CurrentLayout,
    numbers: Numbers,
}

impl Pair {
    async fn new(disks: [&Disk; 2], members: &[&str]) -> Self {
        let member = |name: &&str| {
            Member::active(NodeId::new(*name), format!("{name}:1"), "z".to_owned(), 1)
        };
        let members = members.iter().map(member).collect();
        let layout = Layout::first((2, 2, 1), members).validated().unwrap();
        let layout = CurrentLayout::new(layout);
        let numbers = Numbers::new(true);
        numbers.follow(&[NodeId::new("n2")]);
        let peer = Peer {
            node_id: NodeId::new("n2"),
            store: open(disks[1], "n2").await,
            layout: layout.clone(),
            lies: false,
            answers: AtomicUsize::new(usize::MAX),
        };
        Pair { store: open(disks[0], "n1").await, peer, layout, numbers }
    }

    async fn round(&self, position: &mut u64) -> Result<(), String> {
        let round = Round {
            ourselves: &NodeId::new("n1"),
            store: &self.store,
            layout: &self.layout,
            peer: &self.peer,
            budget: &Budget::new(1 << 30, 2),
            numbers: &self.numbers,
        };
        let key = Key { low: 3, high: 4 };
        let done = round.run(key, &[Span::ALL], position).await;
        done.map_err(|error| error.to_string())
    }

    fn counts(&self) -> Counts {
        self.numbers.report().peers[&NodeId::new("n2")].counts.clone()
    }
}

async fn open(disk: &Disk, name: &str) -> Arc<SegmentStore> {
    open_with_reserve(disk, name, 0).await
}

async fn open_with_reserve(disk: &Disk, name: &str, bytes: u64) -> Arc<SegmentStore> {
    let options = StoreOptions::new(NodeId::new(name), Fsync::Never).reserve_bytes(bytes);
    SegmentStore::open(disk.clone(), options).await.unwrap()
}

fn blobs(numbers: std::ops::Range<usize>) -> Vec<Object> {
    let blob = |n: usize| {
        let data = Bytes::from(format!("object {n} {}", "x".repeat(n * 7 % 900)));
        Object::hash(HashAlgorithm::Sha1, Kind::Blob, data).unwrap()
    };
    numbers.map(blob).collect()
}

async fn put(store: &SegmentStore, objects: &[Object]) {
    for stored in store.put(objects.to_vec()).await {
        stored.unwrap();
    }
}

async fn put_large(store: &SegmentStore, object: &Object) {
    let mut writer = store.put_large(object.head()).await.unwrap();
    writer.write(object.data().clone()).await.unwrap();
    writer.finish().await.unwrap();
}

async fn ids(store: &SegmentStore) -> Vec<ObjectId> {
    store.inventory(0, u64::MAX).await.ids(0, u64::MAX).await.unwrap()
}

#[tokio::test]
async fn a_round_brings_everything_to_both() {
    let disks = [scratch(), scratch()];
    let pair = Pair::new([&disks[0].disk, &disks[1].disk], &["n1", "n2"]).await;
    let objects = blobs(0..3_000);
    put(&pair.store, &objects[..2_000]).await;
    put(&pair.peer.store, &objects[1_000..]).await;
    let large = Object::hash(HashAlgorithm::Sha1, Kind::Blob, vec![7; 3 << 20].into()).unwrap();
    let theirs = Object::hash(HashAlgorithm::Sha1, Kind::Blob, vec![8; 3 << 20].into()).unwrap();
    put_large(&pair.store, &large).await;
    put_large(&pair.peer.store, &theirs).await;
    pair.round(&mut 0).await.unwrap();
    assert_eq!(ids(&pair.store).await, ids(&pair.peer.store).await);
    assert_eq!(ids(&pair.store).await.len(), 3_002);
    let counts = pair.counts();
    assert_eq!((counts.pulled, counts.pushed, counts.differing), (1_001, 1_001, 2_002));
    assert_eq!((counts.withheld, counts.objects_failed, counts.last_error), (0, 0, None));
    assert!(counts.bytes_pulled > 3 << 20 && counts.bytes_pushed > 3 << 20);
    pair.round(&mut 0).await.unwrap();
    assert_eq!(pair.counts().differing, 2_002, "nothing is left to find");
}

#[tokio::test]
async fn what_one_side_deleted_comes_back_to_it_from_neither() {
    let disks = [scratch(), scratch()];
    let pair = Pair::new([&disks[0].disk, &disks[1].disk], &["n1", "n2"]).await;
    let objects = blobs(0..500);
    put(&pair.store, &objects).await;
    put(&pair.peer.store, &objects).await;
    let (here, there) = (objects[3].id(), objects[4].id());
    pair.store.delete(&[here]).await.unwrap();
    pair.peer.store.delete(&[there]).await.unwrap();
    pair.round(&mut 0).await.unwrap();
    assert!(!ids(&pair.store).await.contains(&here));
    assert!(!ids(&pair.peer.store).await.contains(&there));
    let counts = pair.counts();
    assert_eq!((counts.withheld, counts.pulled, counts.pushed), (2, 0, 0));
}

#[tokio::test]
async fn bytes_that_are_not_the_object_are_not_taken() {
    let disks = [scratch(), scratch()];
    let mut pair = Pair::new([&disks[0].disk, &disks[1].disk], &["n1", "n2"]).await;
    pair.peer.lies = true;
    put(&pair.peer.store, &blobs(0..20)).await;
    pair.round(&mut 0).await.unwrap();
    assert!(ids(&pair.store).await.is_empty());
    let counts = pair.counts();
    assert_eq!((counts.pulled, counts.objects_failed), (0, 20));
    assert!(counts.last_error.is_some());
}

#[tokio::test]
async fn a_round_that_is_interrupted_again_and_again_comes_to_its_end() {
    let disks = [scratch(), scratch()];
    let pair = Pair::new([&disks[0].disk, &disks[1].disk], &["n1", "n2"]).await;
    let objects = blobs(0..8_000);
    put(&pair.peer.store, &objects).await;
    let (mut position, mut attempts) = (0, 0);
    loop {
        pair.peer.answers.store(12, Ordering::Relaxed);
        let before = (position, ids(&pair.store).await.len());
        if pair.round(&mut position).await.is_ok() {
            break;
        }
        attempts += 1;
        assert!(before.0 <= position, "it does not go back");
        assert!(before.1 < ids(&pair.store).await.len(), "each attempt brings some");
    }
    assert!(attempts > 1, "it was interrupted");
    assert_eq!(ids(&pair.store).await, ids(&pair.peer.store).await);
}

/// It would fare no better with the next object, and this one was not passed over.
#[tokio::test]
async fn a_large_object_that_finds_no_room_ends_the_round() {
    let large = Object::hash(HashAlgorithm::Sha1, Kind::Blob, vec![7; 3 << 20].into()).unwrap();
    for to_the_peer in [true, false] {
        let (disks, full) = ([scratch(), scratch()], scratch());
        let mut pair = Pair::new([&disks[0].disk, &disks[1].disk], &["n1", "n2"]).await;
        let (from, to) = match to_the_peer {
            true => (&pair.store, &mut pair.peer.store),
            false => (&pair.peer.store, &mut pair.store),
        };
        put_large(from, &large).await;
        *to = open_with_reserve(&full.disk, if to_the_peer { "n2" } else { "n1" }, u64::MAX).await;
        let ended = pair.round(&mut 0).await.unwrap_err();
        assert!(ended.contains("the disk is full"), "{ended}");
        assert_eq!(pair.counts().objects_failed, 0);
    }
}

#[tokio::test]
async fn only_what_both_are_replicas_of_is_exchanged() {
    let disks = [scratch(), scratch()];
    let members = ["n1", "n2", "n3", "n4"];
    let pair = Pair::new([&disks[0].disk, &disks[1].disk], &members).await;
    let objects = blobs(0..2_000);
    put(&pair.peer.store, &objects).await;
    pair.round(&mut 0).await.unwrap();
    let placement = pair.layout.placement();
    let both = |id: &ObjectId| {
        let replicas = placement.replicas(id);
        ["n1", "n2"].iter().all(|name| replicas.contains(&NodeId::new(*name)))
    };
    let expected: std::collections::BTreeSet<_> =
        objects.iter().map(Object::id).filter(both).collect();
    assert_eq!(ids(&pair.store).await, Vec::from_iter(expected));
}

/// What both hold that the other lacks, and n2 is to be given none of it.
#[tokio::test]
async fn one_that_drains_is_fetched_from_and_given_nothing() {
    let disks = [scratch(), scratch()];
    let members = ["n1", "n2", "n3", "n4"];
    let pair = Pair::new([&disks[0].disk, &disks[1].disk], &members).await;
    let objects = blobs(0..2_000);
    put(&pair.peer.store, &objects[..1_500]).await;
    put(&pair.store, &objects[1_000..]).await;
    let before = pair.layout.placement();
    let mut next = Layout { version: 2, ..Layout::clone(before.layout()) };
    next.members[1].state = gitstratum_core::placement::MemberState::Draining;
    pair.layout.replace(&next).unwrap();
    let theirs = ids(&pair.peer.store).await;
    pair.round(&mut 0).await.unwrap();
    assert_eq!(ids(&pair.peer.store).await, theirs);
    // What n1 owns now and n2 held before; of that n1 lacked the first thousand.
    let placement = pair.layout.placement();
    let moved = |id: &ObjectId| {
        placement.replicas(id).contains(&NodeId::new("n1"))
            && before.replicas(id).contains(&NodeId::new("n2"))
    };
    let came: std::collections::BTreeSet<_> =
        objects[..1_000].iter().map(Object::id).filter(moved).collect();
    assert!(!came.is_empty());
    let had = objects[1_000..].iter().map(Object::id);
    let expected: std::collections::BTreeSet<_> = came.iter().copied().chain(had).collect();
    assert_eq!(ids(&pair.store).await, Vec::from_iter(expected));
    let counts = pair.counts();
    assert_eq!((counts.pulled, counts.pushed), (came.len() as u64, 0));
    assert_eq!(counts.differing, counts.pulled, "what nobody is given is no difference");
}
