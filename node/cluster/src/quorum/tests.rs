//! Writer and reader against scripted replicas.

mod repair;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, Object, ObjectHead, ObjectId};
use gitstratum_core::placement::{CurrentLayout, Layout, Member};
use gitstratum_core::replica::{
    DialError, DialProblem, Durability, Found, LargeReader, Missed, NodeReader, NodeWriter, Parts,
    Readers, Recorded, Stage, StoreError, Stored, Writers,
};
use tokio::sync::Notify;

use super::*;

/// What a scripted replica does with each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    /// Refuses the connection.
    Dead,
    /// Answers when the test lets it.
    Held,
    Panics,
    /// Returns other bytes than were stored.
    Lies,
    /// Sends other bytes in parts, and finds out half-way.
    Rots,
    /// Has everything, damaged, until it is put again.
    Damaged,
    /// Reads, and stores nothing.
    Full,
}

struct Scripted {
    node_id: NodeId,
    mood: Mood,
    release: Notify,
    objects: Mutex<BTreeMap<ObjectId, Object>>,
    missed: Mutex<Vec<Missed>>,
    requests: Mutex<usize>,
}

impl Scripted {
    fn new(node_id: NodeId, mood: Mood) -> Self {
        Scripted {
            node_id,
            mood,
            release: Notify::new(),
            objects: Mutex::default(),
            missed: Mutex::default(),
            requests: Mutex::default(),
        }
    }

    async fn respond(&self) -> Result<(), NodeError> {
        *self.requests.lock().unwrap() += 1;
        match self.mood {
            Mood::Dead => {
                let problem = DialProblem::Refused;
                Err(DialError::new(Stage::Connect, "nowhere:1", problem).into())
            }
            Mood::Panics => panic!("scripted"),
            Mood::Held => {
                self.release.notified().await;
                Ok(())
            }
            Mood::Well | Mood::Lies | Mood::Rots | Mood::Damaged | Mood::Full => Ok(()),
        }
    }

    fn holds(&self, id: ObjectId) -> bool {
        self.objects.lock().unwrap().contains_key(&id)
    }
}

#[async_trait]
impl NodeWriter for Scripted {
    fn node_id(&self) -> &NodeId {
        &self.node_id
    }

    async fn put(
        &self,
        objects: Arc<[Object]>,
        _timeout: Duration,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError> {
        self.respond().await?;
        if self.mood == Mood::Full {
            return Ok(vec![Err(StoreError::DiskFull); objects.len()]);
        }
        let mut held = self.objects.lock().unwrap();
        let stored = objects.iter().map(|object| {
            let already_present = held.insert(object.id(), object.clone()).is_some();
            let bytes = object.size_bytes();
            Ok(Stored { bytes, durability: Durability::Synced, already_present })
        });
        Ok(stored.collect())
    }

    async fn put_large(&self, head: ObjectHead, mut parts: Parts) -> Result<Stored, NodeError> {
        self.respond().await?;
        let mut data = Vec::new();
        while let Some(part) = parts.recv().await {
            data.extend_from_slice(&part);
        }
        let bytes = data.len() as u64;
        let object = Object::claimed(head.id, head.kind, data.into());
        self.objects.lock().unwrap().insert(head.id, object);
        Ok(Stored { bytes, durability: Durability::Synced, already_present: false })
    }

    async fn has(&self, ids: Arc<[ObjectId]>, _timeout: Duration) -> Result<Vec<bool>, NodeError> {
        self.respond().await?;
        Ok(ids.iter().map(|id| self.holds(*id)).collect())
    }

    async fn store_hints(
        &self,
        missed: Vec<Missed>,
        _timeout: Duration,
    ) -> Result<Recorded, NodeError> {
        let mut recorded = Recorded::default();
        let mut known = self.missed.lock().unwrap();
        for missed in missed {
            match known.contains(&missed) {
                true => recorded.already += 1,
                false => {
                    recorded.new += 1;
                    known.push(missed);
                }
            }
        }
        Ok(recorded)
    }
}

#[async_trait]
impl NodeReader for Scripted {
    fn node_id(&self) -> &NodeId {
        &self.node_id
    }

    async fn get(
        &self,
        ids: Arc<[ObjectId]>,
        _timeout: Duration,
    ) -> Result<Vec<Result<Found, StoreError>>, NodeError> {
        self.respond().await?;
        let held = self.objects.lock().unwrap();
        let found = |id: &ObjectId| match held.get(id) {
            None if self.mood == Mood::Damaged => Err(damaged(*id)),
            None => Ok(Found::Absent),
            Some(_) if self.mood == Mood::Lies => {
                Ok(Found::Object(Object::claimed(*id, Kind::Blob, Bytes::from_static(b"lie"))))
            }
            Some(object) => Ok(Found::Object(object.clone())),
        };
        Ok(ids.iter().map(found).collect())
    }

    async fn get_large(&self, id: ObjectId) -> Result<Option<Box<dyn LargeReader>>, NodeError> {
        self.respond().await?;
        if self.mood == Mood::Damaged && !self.holds(id) {
            return Err(damaged(id).into());
        }
        let held = self.objects.lock().unwrap().get(&id).cloned();
        let rotten = self.mood == Mood::Rots;
        let breaks_off = rotten || self.mood == Mood::Lies;
        Ok(held.map(|object| Box::new(Bytewise { object, at: 0, breaks_off, rotten }) as Box<_>))
    }
}

fn damaged(id: ObjectId) -> StoreError {
    StoreError::Damaged { id, reason: "scripted".into() }
}

/// An object a byte at a time, which may break off in the middle.
struct Bytewise {
    object: Object,
    at: usize,
    breaks_off: bool,
    /// And all before that is other bytes.
    rotten: bool,
}

#[async_trait]
impl LargeReader for Bytewise {
    fn head(&self) -> ObjectHead {
        self.object.head()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.breaks_off && self.at == 3 {
            return Err(StoreError::Closed);
        }
        let data = match self.rotten {
            true => &Bytes::from_static(b"jello\n"),
            false => self.object.data(),
        };
        let part = (self.at < data.len()).then(|| data.slice(self.at..=self.at));
        self.at += 1;
        Ok(part)
    }
}

/// Three replicas in these moods, W = R = 2, in the order that `object()` is placed.
struct Trio {
    nodes: Vec<Arc<Scripted>>,
    writer: QuorumWriter,
    reader: QuorumReader,
}

fn object() -> Object {
    Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from_static(b"hello\n")).unwrap()
}

fn trio(moods: [Mood; 3]) -> Trio {
    let members = ["n1", "n2", "n3"]
        .map(|name| Member::active(NodeId::new(name), format!("{name}:7000"), "z".into(), 1));
    let layout = Layout::first((3, 2, 2), members.into()).validated().unwrap();
    let layout = CurrentLayout::new(layout);
    let order = layout.placement().replicas(&object().id());
    let nodes: Vec<_> = order
        .iter()
        .zip(moods)
        .map(|(node_id, mood)| Arc::new(Scripted::new(node_id.clone(), mood)))
        .collect();
    let timeout = Duration::from_secs(5);
    let known = nodes.clone();
    let find = move |member: &Member| {
        known.iter().find(|node| node.node_id == member.node_id).expect("one of three").clone()
    };
    let find_too = find.clone();
    let writers: Writers = Arc::new(move |member: &Member| find(member));
    let writer = QuorumWriter::new(layout.clone(), writers.clone(), timeout);
    let readers: Readers = Arc::new(move |member: &Member| find_too(member));
    let preference = Preference::default();
    let reader = QuorumReader::repairing(layout, readers, writers, timeout, preference);
    Trio { nodes, writer, reader }
}

async fn put(trio: &Trio) -> Result<PutReport, PutError> {
    trio.writer.put(vec![object()], false).await.pop().unwrap()
}

#[tokio::test]
async fn one_dead_replica_of_three_does_not_fail_a_put() {
    for dead in 0..3 {
        let mut moods = [Mood::Well; 3];
        moods[dead] = Mood::Dead;
        let trio = trio(moods);
        put(&trio).await.unwrap();
        trio.writer.drain().await;
        let witnesses: usize =
            trio.nodes.iter().map(|node| node.missed.lock().unwrap().len()).sum();
        assert_eq!(witnesses, 1, "one replica records what the dead one missed");
        let stats = trio.writer.stats();
        assert_eq!((stats.replica_failures, stats.missed_recorded, stats.missed_lost), (1, 1, 0));
        assert_eq!(trio.writer.missed()[0].node_id, trio.nodes[dead].node_id);
    }
}

#[tokio::test]
async fn a_put_answers_at_w_and_the_last_replica_still_gets_the_object() {
    let trio = trio([Mood::Held, Mood::Well, Mood::Well]);
    let report = put(&trio).await.unwrap();
    assert_eq!(report.stored.len(), 2);
    assert!(!trio.nodes[0].holds(object().id()));
    trio.nodes[0].release.notify_one();
    trio.writer.drain().await;
    assert!(trio.nodes[0].holds(object().id()), "the write was not cancelled at W");
}

#[tokio::test]
async fn a_panic_in_a_replicas_write_is_that_replicas_failure() {
    let trio = trio([Mood::Panics, Mood::Well, Mood::Well]);
    put(&trio).await.unwrap();
    trio.writer.drain().await;
    let stats = trio.writer.stats();
    assert_eq!((stats.succeeded, stats.missed_recorded, stats.missed_lost), (1, 1, 0));
    let missed = trio.writer.missed().remove(0);
    assert_eq!(missed.node_id, trio.nodes[0].node_id);
    assert_eq!(missed.reason, "protocol: the write panicked: scripted");
}

#[tokio::test]
async fn a_put_asks_for_as_many_replicas_as_its_caller_does() {
    let put = async |trio: &Trio, consistency| {
        let writer = trio.writer.consistency(consistency);
        writer.put(vec![object()], false).await.pop().unwrap()
    };
    let one = trio([Mood::Well, Mood::Dead, Mood::Dead]);
    let report = put(&one, Consistency::One).await.unwrap();
    assert_eq!(report.stored[0].0, one.nodes[0].node_id);
    assert_eq!(put(&one, Consistency::Quorum).await.unwrap_err().needed, 2);
    let two = trio([Mood::Well, Mood::Well, Mood::Dead]);
    let error = put(&two, Consistency::All).await.unwrap_err();
    assert_eq!((error.needed, error.failed.len()), (3, 1));
    let report = put(&two, Consistency::Quorum).await.unwrap();
    assert_eq!(report.stored.len() + report.failed.len() + report.waiting, 3);
    two.writer.drain().await;
    assert_eq!(two.writer.stats().missed_lost, 0, "whatever was asked for, it is remembered");
}

#[tokio::test]
async fn a_put_fails_as_soon_as_w_is_out_of_reach_and_says_why() {
    let trio = trio([Mood::Held, Mood::Dead, Mood::Dead]);
    let error = put(&trio).await.unwrap_err();
    assert_eq!(error.failed.len(), 2);
    assert!(error.to_string().contains("refused"), "{error}");
    let stats = trio.writer.stats();
    assert_eq!((stats.attempted, stats.failed, stats.in_flight), (1, 1, 0));
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_nothing() {
    let trio = trio([Mood::Held; 3]);
    {
        let mut waiting = std::pin::pin!(put(&trio));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(trio.writer.stats().in_flight, 1);
    trio.nodes.iter().for_each(|node| node.release.notify_one());
    trio.writer.drain().await;
    assert!(trio.nodes.iter().all(|node| node.holds(object().id())));
    assert_eq!(trio.writer.stats().succeeded, 1);
}

#[tokio::test]
async fn replicas_that_have_the_object_are_not_sent_it_again() {
    let trio = trio([Mood::Well; 3]);
    put(&trio).await.unwrap();
    trio.writer.drain().await;
    let before: usize = trio.nodes.iter().map(|node| *node.requests.lock().unwrap()).sum();
    let report = trio.writer.put(vec![object()], true).await.pop().unwrap().unwrap();
    trio.writer.drain().await;
    let after: usize = trio.nodes.iter().map(|node| *node.requests.lock().unwrap()).sum();
    assert!(report.stored.iter().all(|(_, stored)| stored.already_present));
    assert_eq!(after - before, 3, "each was asked, none was sent to");
}

#[tokio::test]
async fn not_found_needs_r_absent_answers() {
    let absent = trio([Mood::Well; 3]).reader.get(&[object().id()]).await.pop().unwrap();
    assert!(matches!(absent, Err(GetError::NotFound { absent, .. }) if absent.len() >= 2));
    let unsure = trio([Mood::Well, Mood::Dead, Mood::Dead]);
    let unsure = unsure.reader.get(&[object().id()]).await.pop().unwrap();
    let Err(GetError::Unavailable { absent, failed, .. }) = unsure else {
        panic!("one absent answer of three is no proof: {unsure:?}");
    };
    assert_eq!((absent.len(), failed.len()), (1, 2));
}

#[tokio::test]
async fn other_bytes_than_the_ids_are_never_returned() {
    let trio = trio([Mood::Lies, Mood::Well, Mood::Well]);
    put(&trio).await.unwrap();
    trio.writer.drain().await;
    let got = trio.reader.get(&[object().id()]).await.pop().unwrap().unwrap();
    assert!(matches!(got, Got::Object(got) if got == object()));
}

#[tokio::test]
async fn a_large_read_that_breaks_off_goes_on_at_the_next_replica() {
    for (moods, whole) in [
        ([Mood::Lies, Mood::Dead, Mood::Well], true),
        ([Mood::Lies, Mood::Dead, Mood::Lies], false),
    ] {
        let trio = trio(moods);
        for node in &trio.nodes {
            node.objects.lock().unwrap().insert(object().id(), object());
        }
        let mut reader = trio.reader.get_large(object().id()).await.unwrap();
        let mut data = Vec::new();
        let ended = loop {
            match reader.next().await {
                Ok(Some(part)) => data.extend_from_slice(&part),
                ended => break ended,
            }
        };
        assert_eq!(ended.is_ok(), whole);
        assert_eq!(data, object().data()[..data.len()]);
        assert_eq!(data.len() == object().data().len(), whole);
    }
}

#[tokio::test]
async fn other_bytes_that_were_delivered_are_not_made_good_by_another_replica() {
    let trio = trio([Mood::Rots, Mood::Well, Mood::Well]);
    put(&trio).await.unwrap();
    trio.writer.drain().await;
    let mut reader = trio.reader.get_large(object().id()).await.unwrap();
    let mut data = Vec::new();
    let end = loop {
        match reader.next().await {
            Ok(Some(part)) => data.extend_from_slice(&part),
            end => break end,
        }
    };
    assert_eq!(data, b"jello\n", "the replica found out when its bytes were delivered");
    assert!(matches!(end, Err(StoreError::Damaged { .. })), "{end:?}");
}

#[tokio::test]
async fn a_replica_that_hangs_is_overtaken_by_the_next() {
    let trio = trio([Mood::Held, Mood::Well, Mood::Well]);
    trio.nodes[1].objects.lock().unwrap().insert(object().id(), object());
    let began = tokio::time::Instant::now();
    trio.reader.get(&[object().id()]).await.pop().unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(2));
}
