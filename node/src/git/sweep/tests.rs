//! What a sweep takes, and what it leaves.

use gitstratum_catalog::command::{
    BeginRestore, CreateRepository, Expected, NewTarget, Push, RefUpdate, RestoreRecords,
};
use gitstratum_catalog::entity::{Node, NodeState, Pack, Repository, RepositoryLimits};
use gitstratum_catalog::ids::ClientId;
use gitstratum_catalog::names::RepositoryName;
use gitstratum_catalog::{Command, Operation, Reply, Request};
use gitstratum_core::object::{HashAlgorithm, Object};
use gitstratum_core::placement::NodeId;
use gitstratum_git::chunk::Part;
use gitstratum_host::disk::{Scratch, scratch};
use gitstratum_store::{Fsync, StoreOptions};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::catalog::GROUP;
use crate::catalog::tests::alone;

const HOUR_MS: u64 = 3_600_000;
const WITHIN: Duration = Duration::from_secs(20);

/// Has the only member of the catalog do something, by this clock.
async fn done(participant: &Participant, number: u64, at_ms: u64, operation: Operation) {
    let request = Request { client: ClientId([7; 16]), number };
    let command = Command { group: GROUP, request, at_ms, who: "ann".to_owned(), operation };
    let reply = loop {
        match participant.command(&command, WITHIN).await {
            Ok(reply) => break reply,
            // It has not begun yet.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
}

fn pack_id(begun_at_ms: u64, drawn: u8) -> PackId {
    let mut id = [drawn; 32];
    id[..8].copy_from_slice(&begun_at_ms.to_be_bytes());
    PackId(id)
}

fn chunk(pack: PackId) -> Object {
    let (repository, part) = (RepositoryId(1), Part::Whole);
    ChunkHead { repository, pack, part, number: 0 }.chunk(b"words")
}

fn create() -> Operation {
    Operation::CreateRepository(CreateRepository {
        name: "project".to_owned(),
        object_format: HashAlgorithm::Sha1,
        default_branch: "refs/heads/main".to_owned(),
        description: String::new(),
        limits: RepositoryLimits::default(),
        hidden_refs: Vec::new(),
    })
}

fn push(pack: PackId) -> Operation {
    let id = "1111111111111111111111111111111111111111".parse().unwrap();
    let new = NewTarget::Object { id, peeled: None };
    let name = "refs/heads/main".to_owned();
    Operation::Push(Push {
        repository: RepositoryId(1),
        generation: 0,
        atomic: false,
        may_update_hidden: false,
        updates: vec![RefUpdate { name, expected: Expected::Absent, new }],
        packs: vec![Pack { id: pack, bytes: 5, objects: 1, chunks: 1, source: Vec::new() }],
        message: "push".to_owned(),
    })
}

/// A store and the sweeper of it, on a node that is a cluster of one.
struct Alone {
    sweeper: Sweeper,
    running: tokio::task::JoinHandle<()>,
    /// Deleted when this is dropped.
    _disks: [Scratch; 2],
}

impl Alone {
    async fn new() -> Self {
        let (catalog, stored) = (scratch(), scratch());
        let participant = alone(&catalog.disk).await;
        let running = tokio::spawn(participant.clone().run(ChaCha12Rng::seed_from_u64(1)));
        let options = StoreOptions::new(NodeId::new("n1"), Fsync::Always).reserve_bytes(0);
        let store = SegmentStore::open(stored.disk.clone(), options).await.unwrap();
        let sweeper = Sweeper {
            store,
            participant,
            swept: Arc::default(),
            interval: Duration::from_secs(3600),
            bytes_per_second: 1 << 20,
        };
        Alone { sweeper, running, _disks: [catalog, stored] }
    }

    async fn done(&self, number: u64, at_ms: u64, operation: Operation) {
        done(&self.sweeper.participant, number, at_ms, operation).await;
    }

    /// Waits until the leader has nothing to say any more: that it votes itself is the last of it.
    async fn settled(&self) {
        let is_settled = |state: &State| {
            let votes = |(_, node): (_, &Arc<Node>)| node.state == NodeState::Voter;
            state.nodes().all(votes)
        };
        while self.sweeper.participant.with_local(is_settled) != Some(true) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn put(&self, chunks: &[Object]) {
        for put in self.sweeper.store.put(chunks.to_vec()).await {
            put.unwrap();
        }
    }

    async fn holds(&self, chunks: &[Object]) -> Vec<bool> {
        let ids: Vec<ObjectId> = chunks.iter().map(Object::id).collect();
        self.sweeper.store.has(&ids).await.unwrap()
    }

    /// Sweeps once; gives how many chunks were taken, and how many wait.
    async fn sweep(&self) -> (u64, u64) {
        let counts = self.sweeper.sweep().await.unwrap();
        (counts.chunks, counts.waiting)
    }

    async fn close(self) {
        self.running.abort();
        self.sweeper.participant.close().await;
        self.sweeper.store.close().await;
    }
}

#[tokio::test]
async fn only_what_nobody_has_and_nobody_can_come_to_have_is_swept() {
    let alone = Alone::new().await;
    // The founder's own commands bring the clock to the time of day.
    let now = unix_time_ms() + HOUR_MS;
    alone.done(1, now, create()).await;

    let owned = chunk(pack_id(now, 1));
    let waiting = chunk(pack_id(now, 2));
    let old = chunk(pack_id(now - 7 * HOUR_MS, 3));
    let all = [owned, waiting, old];
    alone.put(&all).await;
    alone.done(2, now, push(pack_id(now, 1))).await;
    assert_eq!(alone.sweep().await, (1, 1));
    assert_eq!(alone.holds(&all).await, [true, true, false]);

    // Hours later the one that waited is refused by the catalog, and so it is litter.
    alone.done(3, now + 7 * HOUR_MS, create_other()).await;
    assert_eq!(alone.sweep().await, (1, 0));
    assert_eq!(alone.holds(&all).await, [true, false, false]);
    assert_eq!(alone.sweeper.swept.lock().chunks, 2);
    alone.close().await;
}

#[tokio::test]
async fn in_a_cluster_that_nobody_asks_anything_what_waited_is_swept_all_the_same() {
    let alone = Alone::new().await;
    alone.done(1, unix_time_ms(), create()).await;
    alone.settled().await;
    let clock = || alone.sweeper.participant.with_local(State::clock_ms).unwrap();
    let (clock_ms, lease_ms) = (clock(), 6 * HOUR_MS);
    // Of the one the lease is over in this moment, and the catalog does not know it yet.
    let over = chunk(pack_id(clock_ms - lease_ms, 1));
    let waiting = chunk(pack_id(clock_ms, 2));
    let all = [over, waiting];
    alone.put(&all).await;
    tokio::time::sleep(Duration::from_millis(20)).await;

    assert_eq!(alone.sweep().await, (0, 2));
    assert_eq!(clock(), clock_ms + 1, "past that lease, and no further");
    assert_eq!(alone.sweep().await, (1, 1));
    assert_eq!(alone.holds(&all).await, [false, true]);
    assert_eq!(clock(), clock_ms + 1, "nothing waits that is over");
    alone.close().await;
}

/// Restores repository 1 of another cluster, which has this pack, up to the step before the last.
async fn restored(alone: &Alone, pack: PackId) {
    let Operation::CreateRepository(create) = create() else { unreachable!("it makes one") };
    let repository = Repository {
        name: RepositoryName::parse(&create.name).unwrap(),
        object_format: create.object_format,
        description: create.description,
        limits: create.limits,
        hidden_refs: create.hidden_refs,
        created_at_ms: 1,
        generation: 0,
        deleted: None,
        public: false,
        restored: None,
        refs: 0,
        packs: 0,
    };
    let (cluster, number) = ("there".to_owned(), RepositoryId(1));
    let begin = BeginRestore { repository, cluster, number, position: 9, keeps_number: true };
    let now = unix_time_ms();
    alone.done(1, now, Operation::BeginRestore(begin)).await;
    let packs = vec![Pack { id: pack, bytes: 5, objects: 1, chunks: 1, source: Vec::new() }];
    let records = RestoreRecords { repository: number, packs, refs: Vec::new() };
    alone.done(2, now, Operation::RestoreRecords(records)).await;
}

#[tokio::test]
async fn what_is_being_restored_stays_however_old_and_though_it_was_litter_a_moment_ago() {
    let alone = Alone::new().await;
    let old = |drawn| chunk(pack_id(1_000, drawn));
    let all = [old(1), old(2)];
    alone.put(&all).await;
    let mut litter = Litter::default();
    all.iter().for_each(|chunk| litter.add(chunk.id(), chunk.size_bytes()));
    // Between the moment in which a sweep found them and the one in which it deletes them.
    restored(&alone, pack_id(1_000, 1)).await;
    let (mut throttle, mut counts) = (Throttle::new(Duration::ZERO), Counts::default());
    alone.sweeper.take(litter, &mut throttle, &mut counts).await.unwrap();
    assert_eq!(alone.holds(&all).await, [true, false]);
    assert_eq!(counts.chunks, 1);

    alone.put(&all).await;
    assert_eq!(alone.sweep().await, (1, 0));
    assert_eq!(alone.holds(&all).await, [true, false]);
    alone.close().await;
}

fn create_other() -> Operation {
    let Operation::CreateRepository(create) = create() else { unreachable!("it makes one") };
    Operation::CreateRepository(CreateRepository { name: "other".to_owned(), ..create })
}

#[tokio::test]
async fn a_deleted_repository_is_purged_when_its_time_is_over_and_its_chunks_are_swept_then() {
    let alone = Alone::new().await;
    let participant = alone.sweeper.participant.clone();
    let now = unix_time_ms();
    alone.done(1, now, create()).await;
    alone.done(2, now, create_other()).await;
    let owned = [chunk(pack_id(now, 1))];
    alone.put(&owned).await;
    alone.done(3, now, push(pack_id(now, 1))).await;
    let delete = |number, keep_for_ms| Operation::DeleteRepository {
        repository: RepositoryId(number),
        keep_for_ms,
    };
    alone.done(4, now, delete(2, HOUR_MS)).await;
    alone.done(5, now, delete(1, 1)).await;
    alone.done(6, now + 1, create()).await;
    let has =
        |number| participant.with_local(|state| state.repository(RepositoryId(number)).is_some());
    while has(1) != Some(false) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(has(2), Some(true), "that one can be undeleted");
    assert_eq!(alone.sweep().await, (0, 1));

    // The catalog's clock is past the other one's time, and this node's is not.
    alone.done(7, now + 7 * HOUR_MS, delete(3, HOUR_MS)).await;
    assert_eq!(alone.sweep().await, (1, 0));
    assert_eq!(alone.holds(&owned).await, [false]);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(has(2), Some(true), "one clock alone takes nothing away");
    alone.close().await;
}
