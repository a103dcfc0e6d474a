//! What a worker does with one batch, against a scripted target and a real store.

use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, Object, ObjectId};
use gitstratum_core::placement::{Layout, Member};
use gitstratum_core::replica::{Missed, ReasonClass};
use gitstratum_host::disk::Scratch;
use gitstratum_store::{Fsync, SegmentStore, Store, StoreOptions};
use gitstratum_testing::{Asked, Behaviour, ScriptedReplica};

use super::*;
use crate::repair::HintOptions;

/// Node n1 with hints for n2; all three are replicas of everything.
struct Bench {
    delivery: Delivery,
    /// n2.
    target: ScriptedReplica,
    store: Arc<SegmentStore>,
    _scratch: Scratch,
}

fn members(names: &[&str]) -> Vec<Member> {
    let member =
        |name: &&str| Member::active(NodeId::new(*name), format!("{name}:7000"), "z".into(), 1);
    names.iter().map(member).collect()
}

fn layout(names: &[&str]) -> Layout {
    Layout::first((names.len(), names.len(), 1), members(names)).validated().unwrap()
}

async fn bench() -> Bench {
    let scratch = gitstratum_host::disk::scratch();
    let ourselves = NodeId::new("n1");
    let options = StoreOptions::new(ourselves.clone(), Fsync::Always);
    let store = SegmentStore::open(scratch.disk.clone(), options).await.unwrap();
    let log = HintLog::open(&scratch.disk, HintOptions::default(), &[]).await.unwrap();
    let target = ScriptedReplica::new(NodeId::new("n2"));
    let to = target.clone();
    let delivery = Delivery {
        log,
        store: store.clone(),
        // It knows of no peers, so none is waited for.
        peers: Arc::new(PeerTable::new(&layout(&["n1"]), &ourselves)),
        layout: CurrentLayout::new(layout(&["n1", "n2", "n3"])),
        targets: Arc::new(move |_| Arc::new(to.clone())),
        ourselves,
        budget: Budget::new(1 << 30, 1),
    };
    Bench { delivery, target, store, _scratch: scratch }
}

fn object(text: &str, size: usize) -> Object {
    let data = text.bytes().cycle().take(size).collect::<Vec<u8>>();
    Object::hash(HashAlgorithm::Sha1, Kind::Blob, data.into()).unwrap()
}

impl Bench {
    /// Has objects, and hints that n2 lacks them.
    async fn missed(&self, objects: &[Object]) {
        for object in objects {
            let size = object.size_bytes();
            if size <= limits::OBJECT_BYTES_WHOLE_MAX as u64 {
                self.store.put(vec![object.clone()]).await.remove(0).unwrap();
            } else {
                let mut writer = self.store.put_large(object.head()).await.unwrap();
                for part in object.data().chunks(limits::PART_BYTES_MAX) {
                    writer.write(Bytes::copy_from_slice(part)).await.unwrap();
                }
                writer.finish().await.unwrap();
            }
        }
        self.hint(&objects.iter().map(Object::id).collect::<Vec<_>>(), 1).await;
    }

    async fn hint(&self, ids: &[ObjectId], layout_version: u64) {
        let missed = ids.iter().map(|id| Missed {
            node_id: NodeId::new("n2"),
            id: *id,
            class: ReasonClass::Unreachable,
            reason: String::new(),
        });
        self.delivery.log.record(missed.collect(), layout_version).await.unwrap();
    }

    async fn step(&self) -> Result<(), Trouble> {
        let target = NodeId::new("n2");
        let hints = self.delivery.log.oldest(&target, limits::HINT_BATCH_OBJECTS_MAX);
        self.delivery.step(&target, hints).await
    }

    fn settled(&self) -> super::super::Settled {
        self.delivery.log.numbers().settled
    }
}

#[tokio::test]
async fn hints_are_delivered_oldest_first_in_bounded_batches_and_what_is_there_is_not_sent() {
    let bench = bench().await;
    let there = object("there", 10);
    let objects: Vec<_> =
        (0..4).map(|n| object(&format!("object {n}"), 400_000)).chain([there.clone()]).collect();
    bench.target.insert(there);
    bench.missed(&objects).await;
    let left = || bench.delivery.log.lists().targets[0].eta;
    assert_eq!(left(), None, "none was delivered yet");
    bench.step().await.unwrap();
    assert_eq!(bench.settled().delivered, 3, "two that fill a batch, and the one that was there");
    assert!(left().is_some(), "the time for two more is known from what three took");
    bench.step().await.unwrap();
    assert_eq!((bench.settled().delivered, bench.delivery.log.targets()), (5, vec![]));
    let ids: Vec<_> = objects.iter().map(Object::id).collect();
    let puts = bench.target.requests().into_iter().filter(|request| request.asked == Asked::Put);
    let batches: Vec<_> = puts.map(|request| request.ids).collect();
    assert_eq!(batches, [&ids[..2], &ids[2..4]]);
}

#[tokio::test]
async fn a_large_object_is_delivered_in_parts() {
    let bench = bench().await;
    let large = object("large", limits::OBJECT_BYTES_WHOLE_MAX + 70_000);
    bench.missed(std::slice::from_ref(&large)).await;
    bench.step().await.unwrap();
    assert_eq!(bench.settled().delivered, 1);
    assert_eq!(bench.target.object(large.id()), Some(large));
}

#[tokio::test]
async fn hints_stay_while_their_target_has_no_room_and_go_when_it_has() {
    let bench = bench().await;
    bench.missed(&[object("a", 10), object("b", 10)]).await;
    bench.target.behave(Behaviour::DiskFull);
    let refused = bench.step().await.unwrap_err();
    assert_eq!(refused.to_string(), "rejected: the disk is full");
    assert_eq!(bench.delivery.log.numbers().pending, 2);
    bench.target.behave(Behaviour::Well);
    bench.step().await.unwrap();
    assert_eq!((bench.settled().delivered, bench.delivery.log.numbers().pending), (2, 0));
}

#[tokio::test]
async fn an_object_that_was_deleted_meanwhile_is_gone_and_one_never_had_too() {
    let bench = bench().await;
    let (deleted, other) = (object("deleted", 10), object("other", 10));
    bench.missed(&[deleted.clone(), other.clone()]).await;
    bench.store.delete(&[deleted.id()]).await.unwrap();
    bench.step().await.unwrap();
    assert_eq!((bench.settled().deleted, bench.settled().delivered), (1, 1));
    assert!(!bench.target.holds(deleted.id()));
}

/// Only a tombstone says "deleted". What the keeper of a hint merely does not have it lost: a
/// third may have it, and then it has to come to both.
#[tokio::test]
async fn a_hint_whose_object_its_keeper_lost_makes_the_range_dirty_for_both() {
    let bench = bench().await;
    let (lost, there) = (object("lost", 10).id(), object("there", 10));
    bench.missed(std::slice::from_ref(&there)).await;
    bench.hint(&[lost], 1).await;
    bench.step().await.unwrap();
    let settled = bench.settled();
    assert_eq!((settled.deleted, settled.moved_to_ranges, settled.delivered), (0, 1, 1));
    let dirty = crate::repair::DirtyRanges::of(&bench.delivery.log).list();
    let dirty: Vec<_> = dirty.iter().map(|range| (range.target.as_str(), range.prefix)).collect();
    let prefix = crate::repair::hints::IdPrefix::of(&lost);
    assert_eq!(dirty, [("n1", prefix), ("n2", prefix)]);
}

#[tokio::test]
async fn a_hint_about_ourselves_is_settled_by_what_we_know_of_its_object() {
    let bench = bench().await;
    let (held, deleted, lost) = (object("held", 10), object("deleted", 10), object("lost", 10));
    bench.store.put(vec![held.clone(), deleted.clone()]).await;
    bench.store.delete(&[deleted.id()]).await.unwrap();
    let missed = [&held, &deleted, &lost].map(|object| Missed {
        node_id: NodeId::new("n1"),
        id: object.id(),
        class: ReasonClass::Unreachable,
        reason: String::new(),
    });
    bench.delivery.log.record(missed.into(), 1).await.unwrap();
    let hints = bench.delivery.log.oldest(&NodeId::new("n1"), 9);
    bench.delivery.step(&NodeId::new("n1"), hints).await.unwrap();
    let settled = bench.settled();
    assert_eq!((settled.delivered, settled.deleted, settled.moved_to_ranges), (1, 1, 1));
}

#[tokio::test]
async fn the_present_replicas_get_the_hints_of_one_that_left() {
    let bench = bench().await;
    let id = object("a", 10).id();
    bench.missed(&[object("a", 10)]).await;
    let mut next = layout(&["n1", "n3", "n4"]);
    next.version = 2;
    bench.delivery.layout.replace(&next).unwrap();
    bench.step().await.unwrap();
    let log = &bench.delivery.log;
    assert_eq!(log.targets(), [NodeId::new("n3"), NodeId::new("n4")]);
    assert_eq!(log.oldest(&NodeId::new("n3"), 9)[0].id, id);
    assert_eq!((bench.settled().replaced, log.numbers().recorded), (1, 3));
    // But one whose target may be in a layout that is newer than ours is kept for it.
    bench.hint(&[id], 3).await;
    let waits = bench.step().await.unwrap_err();
    assert!(matches!(waits, Trouble::UnknownTarget), "{waits}");
    assert_eq!(bench.settled().replaced, 1);
}

#[tokio::test]
async fn delivery_begins_by_itself_and_ends_when_dropped() {
    let bench = bench().await;
    let running = tokio::spawn(bench.delivery.clone().run(ChaCha12Rng::seed_from_u64(1)));
    bench.missed(&[object("a", 10)]).await;
    let delivered = async {
        while bench.settled().delivered == 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), delivered).await.expect("it is delivered");
    running.abort();
    bench.delivery.log.close().await;
    let late = bench.delivery.log.record(Vec::new(), 0).await;
    assert!(matches!(late, Err(HintError::Closed)));
    bench.store.close().await;
}
