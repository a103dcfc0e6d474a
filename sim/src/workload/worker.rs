//! Workload worker.
//!
//! One line of operations, one after another, on a client.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join, join_all};
use gitstratum_cluster::client::{Client, GetError, Got, PutError, PutReport};
use gitstratum_core::limits::PART_BYTES_MAX;
use gitstratum_core::object::{Object, ObjectId};
use gitstratum_core::placement::{NodeId, Placement, ReadSet};
use rand::{Rng, RngCore};
use rand_chacha::ChaCha12Rng;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::ledger::{Known, Ledger};
use super::objects::{Blueprint, ContentHash};
use super::quiet::Quiet;
use super::streams::{draw_duration, stream};
use crate::scenario::WorkloadPlan;
use crate::trace::{Call, Event, Outcome, Recorder, Wanted, WriterSample};

/// Parts of a large object on their way into the client.
const PARTS_WAITING: usize = 4;

/// A call that was begun.
struct Begun {
    op: u64,
    ids: Vec<ObjectId>,
    /// What the client went by.
    placement: Arc<Placement>,
}

/// One line of operations of a client.
pub struct Worker {
    seed: u64,
    machine: String,
    name: String,
    client: Client,
    plan: WorkloadPlan,
    ledger: Ledger,
    quiet: Quiet,
    recorder: Recorder,
    choices: ChaCha12Rng,
    targets: ChaCha12Rng,
    pauses: ChaCha12Rng,
    puts: u64,
    operations: u64,
}

impl Worker {
    /// Worker `number` (below 1,000) of client `client_number` (from 1, below 1,000), whose
    /// process was started `starts` times before.
    pub fn new(
        seed: u64,
        (client_number, number, starts): (usize, usize, usize),
        client: Client,
        plan: WorkloadPlan,
        (ledger, quiet): (Ledger, Quiet),
        recorder: Recorder,
    ) -> Self {
        let machine = format!("c{client_number}");
        // No process puts or draws what one before it did.
        let name = match starts {
            0 => format!("{machine}.{number}"),
            starts => format!("{machine}.{number}.{starts}"),
        };
        Worker {
            choices: stream(seed, &format!("choices/{name}")),
            targets: stream(seed, &format!("targets/{name}")),
            pauses: stream(seed, &format!("pauses/{name}")),
            // Numbers of operations are unique in the run without a shared counter.
            operations: ((starts * 1_000 + client_number) * 1_000 + number) as u64 * 1_000_000,
            puts: 0,
            seed,
            machine,
            name,
            client,
            plan,
            ledger,
            quiet,
            recorder,
        }
    }

    /// Puts and gets, with pauses, until `end`.
    pub async fn run_until(&mut self, end: Instant) {
        loop {
            let pause = draw_duration(&mut self.pauses, &self.plan.pace);
            // The simulated clock has no finer sleep; a pause of nothing would not let
            // time pass at all.
            sleep(pause.max(Duration::from_millis(1))).await;
            self.quiet.over().await;
            if Instant::now() >= end {
                return;
            }
            let put = self.choices.random_bool(self.plan.put_share);
            let batch = self.choices.random_bool(self.plan.batch_share);
            let count = self.choices.random_range(1..=self.plan.batch_objects_max);
            let large = self.choices.random_bool(self.plan.large_share);
            match (put, batch) {
                (true, true) => self.put_batch(count).await,
                (true, false) => self.put(large).await,
                (false, true) => self.get_batch(count).await,
                (false, false) => self.get().await,
            }
        }
    }

    /// Puts of ordinary size, one after another without pause.
    pub async fn put_many(&mut self, count: usize) {
        for _ in 0..count {
            self.put(false).await;
        }
    }

    /// So many puts in one moment, each by a caller of its own.
    pub async fn put_at_once(&mut self, callers: usize) {
        let begun: Vec<_> = (0..callers).map(|_| self.begin_put(false)).collect();
        join_all(begun.into_iter().map(|(begun, object)| self.finish_put(begun, object, false)))
            .await;
    }

    async fn put(&mut self, large: bool) {
        let (begun, object) = self.begin_put(large);
        self.finish_put(begun, object, large).await;
    }

    fn begin_put(&mut self, large: bool) -> (Begun, Object) {
        let object = self.next_object(large);
        let call = if large { Call::PutLarge } else { Call::Put };
        let wanted = self.wanted(object.id(), Some(&object));
        (self.begin(call, vec![object.id()], vec![wanted]), object)
    }

    async fn finish_put(&self, begun: Begun, object: Object, large: bool) {
        let known = known(&object);
        let result = if large {
            put_large(&self.client, &object).await
        } else {
            self.client.put(object).await
        };
        self.ledger.note(known, result.is_ok());
        self.end(begun, vec![put_outcome(result)]);
    }

    async fn put_batch(&mut self, count: usize) {
        let objects: Vec<Object> = (0..count).map(|_| self.next_object(false)).collect();
        let wanted = objects.iter().map(|object| self.wanted(object.id(), Some(object)));
        let wanted = wanted.collect();
        let begun = self.begin(Call::PutBatch, objects.iter().map(Object::id).collect(), wanted);
        let known: Vec<Known> = objects.iter().map(known).collect();
        let results = self.client.put_batch(objects, false).await;
        assert_eq!(results.len(), count, "put_batch answers once for each object");
        for (known, result) in known.into_iter().zip(&results) {
            self.ledger.note(known, result.is_ok());
        }
        self.end(begun, results.into_iter().map(put_outcome).collect());
    }

    /// Reads these, one after another without pause.
    pub async fn read_all(&mut self, objects: Vec<Known>) {
        for known in objects {
            let wanted = self.wanted_of(&known);
            self.get_this(known.id, wanted).await;
        }
    }

    async fn get(&mut self) {
        let (id, wanted) = self.next_target();
        self.get_this(id, wanted).await;
    }

    async fn get_this(&mut self, id: ObjectId, wanted: Wanted) {
        let begun = self.begin(Call::Get, vec![id], vec![wanted]);
        let outcome = read_object(&self.client, id).await;
        self.end(begun, vec![outcome]);
    }

    async fn get_batch(&mut self, count: usize) {
        let (ids, wanted): (Vec<_>, Vec<_>) = (0..count).map(|_| self.next_target()).unzip();
        let begun = self.begin(Call::GetBatch, ids.clone(), wanted);
        let results = self.client.get_batch(ids.clone()).await;
        assert_eq!(results.len(), count, "get_batch answers once for each id");
        let mut outcomes = Vec::with_capacity(count);
        for (id, result) in ids.into_iter().zip(results) {
            outcomes.push(get_outcome(&self.client, id, result).await);
        }
        self.end(begun, outcomes);
    }

    fn next_object(&mut self, large: bool) -> Object {
        self.puts += 1;
        Blueprint::new(self.seed, format!("{}/{}", self.name, self.puts), large).object()
    }

    /// Mostly what was acknowledged; sometimes what failed or never was.
    fn next_target(&mut self) -> (ObjectId, Wanted) {
        let choice = self.targets.random_range(0..100);
        let known = match choice {
            0..8 => None,
            8..20 => self.ledger.draw_in_doubt(&mut self.targets),
            _ => self.ledger.draw_acked(&mut self.targets),
        };
        let Some(known) = known else {
            let mut raw = [0; 20];
            self.targets.fill_bytes(&mut raw);
            let id = ObjectId::from_bytes(&raw).expect("20 bytes are an id");
            return (id, self.wanted(id, None));
        };
        (known.id, self.wanted_of(&known))
    }

    fn wanted_of(&self, known: &Known) -> Wanted {
        Wanted {
            bytes: known.size_bytes,
            content: Some(known.content()),
            ..self.wanted(known.id, None)
        }
    }

    fn wanted(&self, id: ObjectId, object: Option<&Object>) -> Wanted {
        let placement = self.client.placement();
        let earlier = |read_set: &ReadSet| {
            let quorums = read_set.quorums().skip(1);
            quorums.map(|(nodes, read_quorum)| (names(nodes), read_quorum)).collect()
        };
        Wanted {
            id: id.to_string(),
            bytes: object.map_or(0, Object::size_bytes),
            content: object.map(ContentHash::of),
            replicas: names(&placement.replicas(&id)),
            write_quorum: placement.layout().write_quorum,
            read_quorum: placement.layout().read_quorum,
            earlier: earlier(&placement.read_set(&id)),
        }
    }

    fn begin(&mut self, call: Call, ids: Vec<ObjectId>, objects: Vec<Wanted>) -> Begun {
        self.operations += 1;
        let op = self.operations;
        self.recorder.record(&self.machine, Event::OpStarted { op, call, objects });
        Begun { op, ids, placement: self.client.placement() }
    }

    fn end(&self, Begun { op, ids, placement }: Begun, outcomes: Vec<Outcome>) {
        let acked = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Acked { .. }));
        let moved = match placement.versions() == self.client.placement().versions() {
            true => Vec::new(),
            false => ids.into_iter().map(|id| self.wanted(id, None)).collect(),
        };
        self.recorder.record(&self.machine, Event::OpFinished { op, outcomes, moved });
        if acked {
            self.ledger.tell_ack(&self.machine);
        }
    }
}

fn known(object: &Object) -> Known {
    let mut content = [0; 8];
    hex::decode_to_slice(ContentHash::of(object), &mut content).expect("eight bytes in hex");
    Known { id: object.id(), size_bytes: object.size_bytes(), content }
}

fn names(nodes: &[NodeId]) -> Vec<String> {
    nodes.iter().map(ToString::to_string).collect()
}

async fn put_large(client: &Client, object: &Object) -> Result<PutReport, PutError> {
    let (parts, receiver) = mpsc::channel(PARTS_WAITING);
    let data = object.data().clone();
    let feed = async move {
        for start in (0..data.len()).step_by(PART_BYTES_MAX) {
            let part: Bytes = data.slice(start..data.len().min(start + PART_BYTES_MAX));
            // The client gave up; its answer says why.
            if parts.send(part).await.is_err() {
                return;
            }
        }
    };
    join(feed, client.put_large(object.head(), receiver)).await.1
}

fn put_outcome(result: Result<PutReport, PutError>) -> Outcome {
    match result {
        Ok(report) => {
            let replicas = report.stored.iter().map(|(node, _)| node.to_string()).collect();
            Outcome::Acked { replicas }
        }
        Err(error) => {
            Outcome::PutFailed { replicas: names(&error.stored), error: error.to_string() }
        }
    }
}

/// Reads one object whatever its size, and hashes what came.
pub async fn read_object(client: &Client, id: ObjectId) -> Outcome {
    let result = client.get(id).await;
    get_outcome(client, id, result).await
}

async fn get_outcome(client: &Client, id: ObjectId, result: Result<Got, GetError>) -> Outcome {
    match result {
        Ok(Got::Object(object)) => {
            Outcome::Found { bytes: object.size_bytes(), content: ContentHash::of(&object) }
        }
        Ok(Got::Large(_)) => read_large(client, id).await,
        Err(error) => get_failure(&error),
    }
}

async fn read_large(client: &Client, id: ObjectId) -> Outcome {
    let mut reader = match client.get_large(id).await {
        Ok(reader) => reader,
        Err(error) => return get_failure(&error),
    };
    let mut hash = ContentHash::new(reader.head().kind);
    let mut bytes = 0;
    loop {
        match reader.next().await {
            Ok(Some(part)) => {
                bytes += part.len() as u64;
                hash.update(&part);
            }
            Ok(None) => return Outcome::Found { bytes, content: hash.finish() },
            Err(error) => {
                return Outcome::Unavailable { error: format!("after {bytes} bytes: {error}") };
            }
        }
    }
}

fn get_failure(error: &GetError) -> Outcome {
    match error {
        GetError::NotFound { absent, .. } => Outcome::NotFound { absent: names(absent) },
        GetError::Unavailable { .. } => Outcome::Unavailable { error: error.to_string() },
    }
}

/// The counters of a client's writer, as traces have them.
pub fn writer_sample(client: &Client, drained: bool) -> WriterSample {
    let stats = client.stats();
    WriterSample {
        drained,
        attempted: stats.attempted,
        succeeded: stats.succeeded,
        failed: stats.failed,
        in_flight: stats.in_flight,
        replica_failures: stats.replica_failures,
        missed_recorded: stats.missed_recorded,
        missed_already_recorded: stats.missed_already_recorded,
        missed_moved_to_ranges: stats.missed_moved_to_ranges,
        missed_lost: stats.missed_lost,
    }
}
