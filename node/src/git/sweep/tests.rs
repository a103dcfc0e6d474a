//! What a sweep takes, and what it leaves.

use gitstratum_catalog::command::{CreateRepository, Expected, NewTarget, Push, RefUpdate};
use gitstratum_catalog::entity::{Pack, RepositoryLimits};
use gitstratum_catalog::ids::{ClientId, PackId};
use gitstratum_catalog::{Command, Operation, Reply, Request};
use gitstratum_core::object::{HashAlgorithm, Object};
use gitstratum_core::placement::NodeId;
use gitstratum_git::chunk::Part;
use gitstratum_host::disk::scratch;
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

#[tokio::test]
async fn only_what_nobody_has_and_nobody_can_come_to_have_is_swept() {
    let (catalog, stored) = (scratch(), scratch());
    let participant = alone(&catalog.disk).await;
    let running = tokio::spawn(participant.clone().run(ChaCha12Rng::seed_from_u64(1)));
    let options = StoreOptions::new(NodeId::new("n1"), Fsync::Always).reserve_bytes(0);
    let store = SegmentStore::open(stored.disk.clone(), options).await.unwrap();
    // The founder's own commands bring the clock to the time of day.
    let now = gitstratum_host::unix_time_ms() + HOUR_MS;
    done(&participant, 1, now, create()).await;

    let owned = chunk(pack_id(now, 1));
    let waiting = chunk(pack_id(now, 2));
    let old = chunk(pack_id(now - 7 * HOUR_MS, 3));
    let all = [owned, waiting, old];
    for put in store.put(all.to_vec()).await {
        put.unwrap();
    }
    done(&participant, 2, now, push(pack_id(now, 1))).await;

    let sweeper = Sweeper {
        store: store.clone(),
        participant: participant.clone(),
        swept: Arc::default(),
        interval: Duration::from_secs(3600),
        bytes_per_second: 1 << 20,
    };
    let holds = async || store.has(&all.each_ref().map(|object| object.id())).await.unwrap();
    let counts = sweeper.sweep().await.unwrap();
    assert_eq!((counts.chunks, counts.waiting), (1, 1));
    assert_eq!(holds().await, [true, true, false]);

    // Hours later the one that waited is refused by the catalog, and so it is litter.
    done(&participant, 3, now + 7 * HOUR_MS, create_other()).await;
    let counts = sweeper.sweep().await.unwrap();
    assert_eq!((counts.chunks, counts.waiting), (1, 0));
    assert_eq!(holds().await, [true, false, false]);
    assert_eq!(sweeper.swept.lock().chunks, 2);
    running.abort();
    participant.close().await;
    store.close().await;
}

fn create_other() -> Operation {
    let Operation::CreateRepository(create) = create() else { unreachable!("it makes one") };
    Operation::CreateRepository(CreateRepository { name: "other".to_owned(), ..create })
}
