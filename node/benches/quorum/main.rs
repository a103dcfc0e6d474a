//! What the quorum writer adds to its replicas: time above the slowest that it needs, and
//! allocations.
//!
//! Three nodes in this process, over loopback, with fsync on. Around each replica stands a
//! wrapper that notes when it answered; a put is over when W of three have, so what it took
//! beyond the second answer is the writer's own. Allocations are counted on one thread, with
//! replicas that answer at once, so that nothing but the writer makes any; and once more with
//! around each what a client has around it.
//!
//! `cargo bench -p gitstratum --bench quorum`

mod allocations;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use gitstratum::config::{Config, ConfigOverrides};
use gitstratum::server::{Serving, serve};
use gitstratum_cluster::client::{Around, Client, ClientOptions};
use gitstratum_cluster::quorum::QuorumWriter;
use gitstratum_cluster::quorum::decorate::{
    Adaptive, Breakers, Call, Guarded, Latencies, Layer, Layered, Metered, Meters, Put, Retried,
    Traced,
};
use gitstratum_cluster::transport::{Connections, Dialler, Pool, PoolOptions};
use gitstratum_core::object::{HashAlgorithm, Kind, Object, ObjectId};
use gitstratum_core::placement::{CurrentLayout, Layout, Member, NodeId};
use gitstratum_core::replica::{Durability, NodeError, NodeWriter, StoreError, Stored, Writers};
use gitstratum_host::{Disk, Host, Net};
use gitstratum_testing::ScriptedReplica;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::sync::oneshot;
use tokio::time::Instant;

const WRITE_QUORUM: usize = 2;
/// Puts before anything is noted: connections, latencies and caches become warm.
const WARM_UP: usize = 200;
const PUTS: usize = 3_000;
const COUNTED_PUTS: usize = 10_000;
const BYTES: usize = 4096;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(overhead())?;
    drop(runtime);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(counted("of the writer", |node_id| Arc::new(at_once(node_id))));
    runtime.block_on(counted("with its decorators", decorated));
    Ok(())
}

fn object(number: usize) -> Object {
    let mut data = vec![0; BYTES];
    data[..8].copy_from_slice(&(number as u64).to_be_bytes());
    let object = Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from(data));
    object.expect("no collision attack")
}

fn member(number: usize, address: &str) -> Member {
    Member::active(NodeId::new(format!("n{number}")), address.to_owned(), "z".to_owned(), 1)
}

/// When each replica answered for each object.
type Answered = Arc<Mutex<BTreeMap<ObjectId, Vec<Instant>>>>;

/// Notes when each replica answered.
#[derive(Clone)]
struct Noting(Answered);

impl Layer for Noting {
    async fn put<N: NodeWriter + Clone + 'static>(
        &self,
        call: Put<'_, N>,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError> {
        let id = call.objects[0].id();
        let answers = call.send().await;
        let at = Instant::now();
        self.0.lock().expect("nobody panicked").entry(id).or_default().push(at);
        answers
    }
}

/// Starts a node with its data under `data`; returns where it listens.
async fn node(number: usize, layout: &Layout, data: &Path) -> Outcome<String> {
    let address = layout.members[number - 1].address.clone();
    let overrides = ConfigOverrides {
        data: Some("unused".into()),
        listen: Some(address.parse()?),
        node_id: Some(format!("n{number}")),
        ..ConfigOverrides::default()
    };
    let mut config = Config::from_toml("", "bench", overrides)?.config;
    config.layout = layout.clone();
    let disk = Disk::new(data.join(format!("n{number}")));
    let (ready, serving) = oneshot::channel();
    tokio::spawn(async move {
        let host = Host { net: Net::new(), disk };
        let ready = |serving: Serving| ready.send(serving.address).expect("the bench waits");
        let rng = ChaCha12Rng::seed_from_u64(1);
        serve(config, host, rng, ready, std::future::pending()).await
    });
    Ok(serving.await?.to_string())
}

async fn overhead() -> Outcome<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?;
    let data = root.join("target/bench-data/quorum");
    if data.exists() {
        std::fs::remove_dir_all(&data)?;
    }
    let free = || -> Outcome<String> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        Ok(listener.local_addr()?.to_string())
    };
    let addresses = [free()?, free()?, free()?];
    let members = (1..).zip(&addresses).map(|(number, address)| member(number, address));
    let layout = Layout::first((3, WRITE_QUORUM, 2), members.collect()).validated()?;
    for number in 1..=3 {
        node(number, &layout, &data).await?;
    }
    let answered = Answered::default();
    let noting = Noting(answered.clone());
    let writer =
        move |inner| Arc::new(Layered::around(noting.clone(), inner)) as Arc<dyn NodeWriter>;
    let around = Around { writer: Box::new(writer), ..Around::default() };
    let begin = |learned: Arc<Layout>| {
        let layout = CurrentLayout::new(learned);
        let rng = ChaCha12Rng::seed_from_u64(2);
        let dialler = Dialler::new(Net::new(), "");
        let pool = Pool::new(dialler, &layout, rng, PoolOptions::default());
        (layout, Arc::new(pool) as Arc<dyn Connections>)
    };
    let options = ClientOptions::default();
    let client = Client::connect_around(Net::new(), &addresses, options, begin, around).await?;
    let (mut took, mut above) = (Vec::new(), Vec::new());
    for number in 0..WARM_UP + PUTS {
        let object = object(number);
        let id = object.id();
        let began = Instant::now();
        client.put(object).await?;
        let ended = Instant::now();
        if number < WARM_UP {
            continue;
        }
        let mut answers = answered.lock().expect("nobody panicked")[&id].clone();
        answers.sort_unstable();
        took.push(ended - began);
        above.push(ended - answers[WRITE_QUORUM - 1]);
    }
    client.drain().await;
    println!("{PUTS} puts of {BYTES} bytes, one after another, N = 3, W = 2, fsync on");
    print("a put", &mut took);
    print("above the slowest replica needed", &mut above);
    Ok(())
}

fn print(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: f64| {
        let index = (times.len() as f64 * share) as usize;
        times[index.min(times.len() - 1)].as_secs_f64() * 1e6
    };
    println!("{what:<34} median {:>9.1} us  p99 {:>9.1} us", at(0.50), at(0.99));
}

/// Answers for a replica at once, and allocates its answer alone.
#[derive(Clone, Copy)]
struct AtOnce;

impl Layer for AtOnce {
    async fn put<N: NodeWriter + Clone + 'static>(
        &self,
        call: Put<'_, N>,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError> {
        let stored = |object: &Object| {
            let bytes = object.size_bytes();
            Ok(Stored { bytes, durability: Durability::Synced, already_present: false })
        };
        Ok(call.objects.iter().map(stored).collect())
    }
}

fn at_once(node_id: NodeId) -> Layered<AtOnce, ScriptedReplica> {
    Layered::around(AtOnce, ScriptedReplica::new(node_id))
}

/// A replica with around it what a client has around each.
fn decorated(node_id: NodeId) -> Arc<dyn NodeWriter> {
    let counted = Metered::new(Traced::new(Retried::new(at_once(node_id))), &Meters::default());
    Arc::new(Guarded::new(Adaptive::new(counted, &Latencies::default()), &Breakers::default()))
}

async fn counted(what: &str, replica: impl Fn(NodeId) -> Arc<dyn NodeWriter>) {
    let members = (1..=3).map(|number| member(number, &format!("127.0.0.1:{number}"))).collect();
    let layout = Layout::first((3, WRITE_QUORUM, 2), members).validated();
    let layout = CurrentLayout::new(layout.expect("three members are a layout"));
    let replicas: BTreeMap<NodeId, Arc<dyn NodeWriter>> = (1..=3)
        .map(|number| NodeId::new(format!("n{number}")))
        .map(|node_id| (node_id.clone(), replica(node_id)))
        .collect();
    let writers: Writers = Arc::new(move |member: &Member| replicas[&member.node_id].clone());
    let writer = QuorumWriter::new(layout, writers, Duration::from_secs(5));
    // Made before, because an object is its caller's.
    let objects: Vec<_> = (0..COUNTED_PUTS).map(object).collect();
    let before = allocations::so_far();
    for object in objects {
        let stored = writer.put(vec![object], false).await.pop().expect("one outcome");
        stored.expect("every replica is well");
        writer.drain().await;
    }
    let (count, bytes) = allocations::since(before);
    println!(
        "allocations a put, {what:<21} {:>6.1}, {:.0} bytes",
        count as f64 / COUNTED_PUTS as f64,
        bytes as f64 / COUNTED_PUTS as f64
    );
}
