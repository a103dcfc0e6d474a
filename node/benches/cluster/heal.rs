//! A node is killed, its data directory deleted, and it is started again empty while a client
//! writes: how long until the cluster is whole, what `repair status` says meanwhile, and what
//! the client feels.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use gitstratum_cluster::client::Client;
use gitstratum_cluster::wire::metrics::metrics_of;
use gitstratum_core::object::{HashAlgorithm, Kind, Object};
use gitstratum_proto::v1::StatusResponse;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha12Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::Outcome;
use crate::cluster::Cluster;

/// Which node loses everything.
const LOST: usize = 1;
/// Objects of one put while the cluster is filled.
const BATCH: usize = 500;
/// Batches that are under way at once then.
const BATCHES_AT_ONCE: usize = 8;
/// Data of an object: uniformly up to this.
const BYTES_MAX: usize = 8192;
/// Tasks of the client, each of which puts one object after another.
const CALLERS: u64 = 4;
/// Between two puts of one of them.
const PACE: Duration = Duration::from_millis(10);
/// How long they put before anything happens.
const BEFORE: Duration = Duration::from_secs(15);
/// How long the node is away.
const AWAY: Duration = Duration::from_secs(3);
/// How often it is asked how far repair is.
const ASK: Duration = Duration::from_millis(250);
/// By then the cluster must be whole.
const WHOLE_WITHIN: Duration = Duration::from_secs(600);

/// A put of the client: when it began, and how long it took.
type Put = (Instant, Duration);

/// What was said of repair at a moment.
struct Said {
    at: Instant,
    lacking: u64,
    left: Option<Duration>,
}

/// Fills a cluster with so many objects, and does that to one of its nodes.
pub async fn measure(cluster: &mut Cluster, objects: usize) -> Outcome<()> {
    let client = cluster.client(1).await?;
    fill(&client, objects).await?;
    let puts: Arc<Mutex<Vec<Put>>> = Arc::default();
    let mut putting = JoinSet::new();
    for caller in 0..CALLERS {
        putting.spawn(put_on(client.clone(), caller, puts.clone()));
    }
    sleep(BEFORE).await;

    let killed = Instant::now();
    cluster.lose(LOST)?;
    sleep(AWAY).await;
    let restarted = Instant::now();
    cluster.start_again(LOST)?;
    let observer = cluster.client(2).await?;
    let said = tokio::select! {
        biased;
        ended = putting.join_next() => {
            return Err(format!("a put failed: {:?}", ended.transpose()).into());
        }
        said = until_whole(&observer, restarted) => said?,
    };
    let whole = Instant::now();
    putting.shutdown().await;

    report(&said, restarted, whole);
    let puts = puts.lock().expect("no caller panicked").clone();
    let p99_before = row("before", &puts, |at| at < killed);
    row("while the node was away", &puts, |at| killed <= at && at < restarted);
    let p99_meanwhile = row("while it was refilled", &puts, |at| restarted <= at && at < whole);
    println!("p99 while it was refilled: {:.2} times that before", p99_meanwhile / p99_before);
    Ok(())
}

async fn fill(client: &Client, objects: usize) -> Outcome<()> {
    let (began, mut bytes) = (Instant::now(), 0);
    let mut rng = ChaCha12Rng::seed_from_u64(0);
    let mut batches = JoinSet::new();
    let mut left = objects;
    while left > 0 {
        let batch: Vec<_> = (0..left.min(BATCH)).map(|_| object(&mut rng)).collect();
        left -= batch.len();
        bytes += batch.iter().map(Object::size_bytes).sum::<u64>();
        if batches.len() >= BATCHES_AT_ONCE
            && let Some(stored) = batches.join_next().await
        {
            stored??;
        }
        let client = client.clone();
        batches.spawn(async move {
            client.put_batch(batch, false).await.into_iter().try_for_each(|put| put.map(drop))
        });
    }
    while let Some(stored) = batches.join_next().await {
        stored??;
    }
    client.drain().await;
    let seconds = began.elapsed().as_secs_f64();
    println!("{objects} objects, {:.1} MiB, put in {seconds:.1} s", bytes as f64 / MIB);
    Ok(())
}

const MIB: f64 = (1 << 20) as f64;

fn object(rng: &mut ChaCha12Rng) -> Object {
    let mut data = vec![0; rng.random_range(1..=BYTES_MAX)];
    rng.fill_bytes(&mut data);
    let object = Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from(data));
    object.expect("random bytes are no collision attack")
}

/// Puts one object after another; ends with the first that fails.
async fn put_on(client: Client, caller: u64, puts: Arc<Mutex<Vec<Put>>>) -> Outcome<()> {
    let mut rng = ChaCha12Rng::seed_from_u64(1_000 + caller);
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        let object = object(&mut rng);
        let began = Instant::now();
        client.put(object).await?;
        puts.lock().expect("no caller panicked").push((began, began.elapsed()));
    }
}

/// Asks how far repair is until nothing lacks a replica and everyone has been compared.
async fn until_whole(client: &Client, restarted: Instant) -> Outcome<Vec<Said>> {
    let mut said = Vec::new();
    loop {
        sleep(ASK).await;
        let at = Instant::now();
        let answers = client.status().await;
        let answers: Vec<_> = answers.into_iter().filter_map(|(_, answer)| answer.ok()).collect();
        let (lacking, left) = repair_of(&answers);
        said.push(Said { at, lacking, left });
        let is_whole = |status: &StatusResponse| {
            let reconcile = status.reconcile.clone().unwrap_or_default();
            let metrics = metrics_of(status);
            let hints = metrics.count("gitstratum_hints_pending");
            !reconcile.absence_unproven
                && !reconcile.catching_up
                && reconcile.peers.iter().all(|peer| peer.progress.is_none())
                && hints + metrics.count("gitstratum_hints_dirty_ranges") == 0
        };
        if answers.len() == crate::REPLICAS && answers.iter().all(is_whole) {
            return Ok(said);
        }
        if restarted.elapsed() > WHOLE_WITHIN {
            return Err("the cluster did not become whole".into());
        }
    }
}

/// Objects that lack a replica, and the time left, as `repair status` sums them up.
fn repair_of(answers: &[StatusResponse]) -> (u64, Option<Duration>) {
    let (mut lacking, mut left) = (0, None);
    for status in answers {
        lacking += metrics_of(status).count("gitstratum_hints_pending");
        let peers = status.reconcile.iter().flat_map(|reconcile| &reconcile.peers);
        for progress in peers.filter_map(|peer| peer.progress.as_ref()) {
            lacking += progress.missing_locally + progress.missing_remotely;
            left = left.max(progress.eta_ms.map(Duration::from_millis));
        }
    }
    (lacking, left)
}

/// Prints what was said at each quarter of the way, and how right it was.
fn report(said: &[Said], restarted: Instant, whole: Instant) {
    let took = whole - restarted;
    println!("whole again {:.1} s after its start", took.as_secs_f64());
    println!("{:>10} {:>16} {:>12} {:>12}", "way", "objects lacking", "left, said", "left, true");
    for tenth in [1, 3, 5, 7, 9] {
        let at = restarted + took * tenth / 10;
        let Some(said) = said.iter().find(|said| said.at >= at) else { continue };
        let truly = (whole - said.at).as_secs_f64();
        let left = said.left.map_or("-".to_owned(), |left| format!("{:.1} s", left.as_secs_f64()));
        println!("{:>8} % {:>16} {left:>12} {truly:>10.1} s", tenth * 10, said.lacking);
    }
}

/// Prints what puts took that began at such moments; returns their p99 in milliseconds.
fn row(name: &str, puts: &[Put], at: impl Fn(Instant) -> bool) -> f64 {
    let mut took: Vec<_> = puts
        .iter()
        .filter(|(began, _)| at(*began))
        .map(|(_, took)| took.as_secs_f64() * 1e3)
        .collect();
    took.sort_unstable_by(f64::total_cmp);
    let quantile = |share: f64| {
        let index = (took.len() as f64 * share) as usize;
        took.get(index.min(took.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    };
    let (p50, p99) = (quantile(0.50), quantile(0.99));
    println!("{name:<26} {:>7} puts  p50 {p50:>7.2} ms  p99 {p99:>7.2} ms", took.len());
    p99
}
