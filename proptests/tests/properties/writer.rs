//! The writer's accounts, whatever its replicas do and whoever stops waiting: every object is
//! counted once, at the moment in which it is decided, and every replica write that failed is
//! recorded or counted as lost. A panic inside a replica's write is that replica's failure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use gitstratum_cluster::quorum::decorate::{Layer, Layered, Put, StoreHints};
use gitstratum_cluster::quorum::{QuorumWriter, WriterStats};
use gitstratum_core::object::{HashAlgorithm, Kind, Object, ObjectId};
use gitstratum_core::placement::{CurrentLayout, Member, NodeId};
use gitstratum_core::replica::{
    Durability, NodeError, NodeWriter, Recorded, StoreError, Stored, Writers,
};
use gitstratum_testing::ScriptedCluster;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tokio::sync::oneshot;

const REPLICAS: usize = 3;
const WRITE_QUORUM: usize = 2;
/// Every task has run as far as it can after so many turns of the runtime.
const TURNS: usize = 64;

/// How a replica's write ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Stores,
    /// Stores the first object of the batch, and has no room for the others.
    StoresOne,
    Refuses,
    TimesOut,
    Panics,
}

#[derive(Clone, Debug)]
enum Step {
    /// A caller puts so many objects.
    Put(usize),
    /// The write of one replica ends.
    Ends(Index, Fate),
    /// A caller that waits goes away.
    GoesAway(Index),
}

/// A replica's write that is under way.
struct Write {
    ids: Vec<ObjectId>,
    node_id: NodeId,
    end: oneshot::Sender<Fate>,
}

/// What all replicas have in common.
#[derive(Default)]
struct World {
    writes: Mutex<Vec<Write>>,
    /// Who recorded that somebody missed something.
    recorded: Mutex<BTreeMap<(NodeId, ObjectId), NodeId>>,
}

/// Around each replica: its writes end when the test says, and as it says.
#[derive(Clone)]
struct Ended(Arc<World>);

impl Layer for Ended {
    async fn put<N: NodeWriter>(
        &self,
        call: Put<'_, N>,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError> {
        let (end, ended) = oneshot::channel();
        let Put { to, objects, timeout } = call;
        let ids = objects.iter().map(Object::id).collect();
        let node_id = to.node_id().clone();
        self.0.writes.lock().unwrap().push(Write { ids, node_id, end });
        let fate = ended.await.expect("every write is ended");
        let answer = |(place, object): (usize, &Object)| match fate {
            Fate::StoresOne if place > 0 => Err(StoreError::DiskFull),
            _ => {
                let (bytes, durability) = (object.size_bytes(), Durability::Synced);
                Ok(Stored { bytes, durability, already_present: false })
            }
        };
        match fate {
            Fate::Stores | Fate::StoresOne => Ok(objects.iter().enumerate().map(answer).collect()),
            Fate::Refuses => Err(NodeError::Overloaded { reason: "scripted".into() }),
            Fate::TimesOut => Err(NodeError::TimedOut { stage: "scripted", after: timeout }),
            // As a panic, but for the words on standard error.
            Fate::Panics => std::panic::resume_unwind(Box::new("scripted")),
        }
    }

    async fn store_hints<N: NodeWriter>(
        &self,
        call: StoreHints<'_, N>,
    ) -> Result<Recorded, NodeError> {
        let mut recorded = self.0.recorded.lock().unwrap();
        let mut told = Recorded::default();
        for missed in call.missed {
            let pair = (missed.node_id, missed.id);
            match recorded.insert(pair, call.to.node_id().clone()) {
                None => told.new += 1,
                Some(_) => told.already += 1,
            }
        }
        Ok(told)
    }
}

/// What became of one object so far, as the replicas know it.
#[derive(Clone, Debug, Default)]
struct Known {
    stored: BTreeSet<NodeId>,
    failed: BTreeSet<NodeId>,
}

impl Known {
    fn succeeded(&self) -> bool {
        self.stored.len() >= WRITE_QUORUM
    }

    fn failed(&self) -> bool {
        self.failed.len() > REPLICAS - WRITE_QUORUM
    }
}

type Waiting = tokio::task::JoinHandle<Vec<bool>>;

struct Driver {
    world: Arc<World>,
    writer: QuorumWriter,
    known: BTreeMap<ObjectId, Known>,
    callers: Vec<(Vec<ObjectId>, Waiting)>,
}

impl Driver {
    fn new() -> Self {
        let cluster = ScriptedCluster::new(4, (REPLICAS, WRITE_QUORUM, 2));
        let layout = CurrentLayout::new(cluster.layout());
        let world = Arc::new(World::default());
        let ended = Ended(world.clone());
        let writers: Writers = Arc::new(move |member: &Member| {
            Arc::new(Layered::around(ended.clone(), cluster.replica(&member.node_id)))
        });
        let writer = QuorumWriter::new(layout, writers, Duration::from_secs(5));
        Driver { world, writer, known: BTreeMap::new(), callers: Vec::new() }
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Put(count) => self.put(*count),
            Step::Ends(which, fate) => self.end(|writes| which.index(writes), *fate),
            Step::GoesAway(which) if !self.callers.is_empty() => {
                let (_, caller) = self.callers.swap_remove(which.index(self.callers.len()));
                caller.abort();
            }
            Step::GoesAway(_) => {}
        }
        turn().await;
    }

    fn put(&mut self, count: usize) {
        let objects: Vec<Object> = (0..count)
            .map(|place| {
                let data = format!("{} {place}", self.known.len());
                Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from(data))
                    .expect("it is small")
            })
            .collect();
        let ids: Vec<ObjectId> = objects.iter().map(Object::id).collect();
        self.known.extend(ids.iter().map(|id| (*id, Known::default())));
        let writer = self.writer.clone();
        let caller = tokio::spawn(async move {
            let outcomes = writer.put(objects, false).await;
            outcomes.iter().map(Result::is_ok).collect()
        });
        self.callers.push((ids, caller));
    }

    /// Ends one of the writes that are under way, if there is one.
    fn end(&mut self, choose: impl FnOnce(usize) -> usize, fate: Fate) {
        let mut writes = self.world.writes.lock().unwrap();
        if writes.is_empty() {
            return;
        }
        let chosen = choose(writes.len());
        let Write { ids, node_id, end } = writes.swap_remove(chosen);
        for (place, id) in ids.iter().enumerate() {
            let known = self.known.get_mut(id).expect("it was put");
            let stores = fate == Fate::Stores || (fate == Fate::StoresOne && place == 0);
            let side = if stores { &mut known.stored } else { &mut known.failed };
            side.insert(node_id.clone());
        }
        end.send(fate).expect("a write that waits is not abandoned");
    }

    /// I4: every object is counted, once, as what it is at this moment.
    fn check(&self) -> Result<(), TestCaseError> {
        let WriterStats { attempted, succeeded, failed, in_flight, .. } = self.writer.stats();
        let count =
            |is: fn(&Known) -> bool| self.known.values().filter(|known| is(known)).count() as u64;
        prop_assert_eq!(attempted, self.known.len() as u64);
        prop_assert_eq!(succeeded, count(Known::succeeded));
        prop_assert_eq!(failed, count(Known::failed));
        prop_assert_eq!(attempted, succeeded + failed + in_flight);
        Ok(())
    }

    /// All writes end, and what they missed is recorded where somebody has the object.
    async fn finish(mut self, fate: Fate) -> Result<(), TestCaseError> {
        // A caller's first turn begins its writes.
        turn().await;
        while !self.world.writes.lock().unwrap().is_empty() {
            self.end(|_| 0, fate);
            turn().await;
            self.check()?;
        }
        self.writer.drain().await;
        for (ids, caller) in self.callers.drain(..) {
            let told = caller.await.expect("no panic of a replica comes to the caller");
            let is: Vec<bool> = ids.iter().map(|id| self.known[id].succeeded()).collect();
            prop_assert_eq!(told, is);
        }
        let stats = self.writer.stats();
        prop_assert_eq!(stats.in_flight, 0);
        let recorded = self.world.recorded.lock().unwrap();
        let mut lost = 0;
        let mut expected = BTreeSet::new();
        for (id, known) in &self.known {
            match known.stored.is_empty() {
                true => lost += known.failed.len() as u64,
                false => expected.extend(known.failed.iter().map(|node| (node.clone(), *id))),
            }
        }
        prop_assert!(recorded.keys().eq(expected.iter()), "{recorded:?} is not {expected:?}");
        let has_it = |((_, id), witness): (&(NodeId, ObjectId), &NodeId)| {
            self.known[id].stored.contains(witness)
        };
        prop_assert!(recorded.iter().all(has_it), "only who has an object can deliver it");
        prop_assert_eq!(stats.missed_lost, lost);
        prop_assert_eq!(stats.missed_recorded, expected.len() as u64);
        let of = stats.missed_already_recorded + stats.missed_moved_to_ranges;
        prop_assert_eq!((of, stats.replica_failures), (0, lost + expected.len() as u64));
        Ok(())
    }
}

async fn turn() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Stores),
        1 => Just(Fate::StoresOne),
        1 => Just(Fate::Refuses),
        1 => Just(Fate::TimesOut),
        1 => Just(Fate::Panics),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (1..=4usize).prop_map(Step::Put),
        6 => (any::<Index>(), fates()).prop_map(|(which, fate)| Step::Ends(which, fate)),
        1 => any::<Index>().prop_map(Step::GoesAway),
    ];
    vec(step, 1..40)
}

proptest! {
    #[test]
    fn every_object_is_counted_once_whatever_replicas_and_callers_do(
        steps in steps(),
        at_the_end in fates(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(async {
            let mut driver = Driver::new();
            for step in &steps {
                driver.take(step).await;
                driver.check()?;
            }
            driver.finish(at_the_end).await
        })?;
    }
}
