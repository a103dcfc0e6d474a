//! `bench`: what the simulator itself can carry, on one core, in wall time.
//!
//! Two figures. Under load: calls that five nodes answered per second, every worker of
//! every client putting and getting objects of 4 KiB as fast as it is answered. Idle:
//! simulated seconds per second while the nodes do nothing but watch each other.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use gitstratum_cluster::client::{Client, ClientOptions};
use gitstratum_cluster::wire::metrics::metrics_of;
use gitstratum_core::object::{HashAlgorithm, Kind, Object};
use madsim::runtime::Runtime;
use rand::RngCore;
use tokio::sync::oneshot;

use super::CommandError;
use super::output::note;
use crate::broken::Followers;
use crate::runner::{on_a_fresh_thread, runtime};
use crate::scenario::Plan;
use crate::trace::{Recorder, Records};
use crate::verdict::Verdict;
use crate::workload::git::Histories;
use crate::workload::{Ledger, Quiet, stream};
use crate::world::{Cluster, Panics, Run};

/// The world that is measured.
const PLAN: &str = include_str!("bench.toml");
/// Bytes of every object.
const OBJECT_BYTES: usize = 4096;
/// Puts of each worker, each followed by a get.
const PUTS_PER_LANE: usize = 100;
/// Simulated time of the idle cluster.
const IDLE: Duration = Duration::from_secs(20_000);
/// A start that takes longer has failed.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Calls answered, and the simulated and wall time that took.
struct Load {
    calls: u64,
    simulated: Duration,
    wall: Duration,
}

/// Measures and prints both figures.
pub(super) fn bench() -> Result<u8, CommandError> {
    let plan = Plan::parse(Path::new("bench.toml"), PLAN)?;
    let idle_plan = plan.clone();
    let measured = on_a_fresh_thread(move || load(&plan))
        .and_then(|load| on_a_fresh_thread(move || idle(&idle_plan)).map(|idle| (load, idle)));
    let (load, idle) = match measured {
        Ok(measured) => measured,
        Err(message) => {
            note(format_args!("gitstratum-sim: bench: {message}"));
            return Ok(Verdict::Panicked.exit_code());
        }
    };
    let per_second = load.calls as f64 / load.wall.as_secs_f64();
    let mut out = std::io::stdout();
    writeln!(out, "five nodes, one core")?;
    writeln!(
        out,
        "under load: {per_second:.0} RPCs per second of wall time ({} calls of {OBJECT_BYTES} \
         bytes, {:.2} s simulated, {:.2} s wall)",
        load.calls,
        load.simulated.as_secs_f64(),
        load.wall.as_secs_f64()
    )?;
    writeln!(
        out,
        "idle: {:.0} simulated seconds per second ({} s simulated, {:.2} s wall)",
        IDLE.as_secs_f64() / idle.as_secs_f64(),
        IDLE.as_secs(),
        idle.as_secs_f64()
    )?;
    Ok(0)
}

#[allow(clippy::disallowed_methods, reason = "wall time, outside the simulated world")]
fn wall() -> Instant {
    Instant::now()
}

fn world(plan: &Plan) -> Run {
    Run {
        plan: plan.clone(),
        control: None,
        seed: 0,
        recorder: Recorder::new(Records::default()),
        ledger: Ledger::default(),
        histories: Histories::default(),
        quiet: Quiet::default(),
        panics: Panics::default(),
        followers: Followers::default(),
    }
}

async fn started(run: &Run) -> Cluster {
    let cluster = Cluster::new(run);
    cluster.start_all();
    assert!(cluster.all_ready(START_TIMEOUT).await, "five nodes start");
    cluster
}

fn load(plan: &Plan) -> Load {
    let runtime = runtime(0);
    let (cluster, clients) = runtime.block_on(async {
        let run = world(plan);
        let cluster = started(&run).await;
        let clients = plan.client_names().into_iter().map(|name| worker(&run, &cluster, &name));
        let clients: Vec<Worker> = clients.collect();
        let (mut go, mut done, mut ready) = (Vec::new(), Vec::new(), Vec::new());
        for worker in clients {
            go.push(worker.go);
            done.push(worker.done);
            ready.push(worker.ready);
        }
        let calls_before = join_all(ready).await;
        (cluster, (go, done, calls_before))
    });
    let (go, done, calls_before) = clients;
    let began = wall();
    let (calls_after, simulated) = runtime.block_on(async {
        let began = tokio::time::Instant::now();
        for go in go {
            go.send(()).expect("clients wait");
        }
        (join_all(done).await, began.elapsed())
    });
    let wall = began.elapsed();
    end(&runtime, cluster);
    // Every client asked every node; the first to ask saw the least, the last the most.
    let calls = |counts: Vec<Result<u64, _>>| counts.into_iter().map(|count| count.expect("told"));
    let before = calls(calls_before).max().expect("there are clients");
    let after = calls(calls_after).max().expect("there are clients");
    Load { calls: after - before, simulated, wall }
}

/// A client process that waits for the word.
struct Worker {
    /// Calls that the nodes had answered when it was connected.
    ready: oneshot::Receiver<u64>,
    go: oneshot::Sender<()>,
    /// The same when it was done.
    done: oneshot::Receiver<u64>,
}

fn worker(run: &Run, cluster: &Cluster, name: &str) -> Worker {
    let (tell_ready, ready) = oneshot::channel();
    let (go, wait) = oneshot::channel();
    let (tell_done, done) = oneshot::channel();
    let (run, peers, machine) = (run.clone(), cluster.peers(), name.to_owned());
    cluster.client_machine(name).start(move |host| async move {
        let options = ClientOptions {
            request_timeout: *run.plan.workload.request_timeout,
            ..ClientOptions::default()
        };
        let rng = stream(run.seed, &machine);
        let client = Client::connect(host.net, &peers, rng, options).await.expect("nodes listen");
        tell_ready.send(calls(&client).await).expect("the bench waits");
        wait.await.expect("the bench says when");
        let workers = (0..run.plan.workload.workers)
            .map(|worker| put_and_get(&client, run.seed, format!("{machine}.{worker}")));
        join_all(workers).await;
        client.drain().await;
        tell_done.send(calls(&client).await).expect("the bench waits");
    });
    Worker { ready, go, done }
}

/// Calls that all nodes together answered well.
async fn calls(client: &Client) -> u64 {
    let mut calls = 0;
    for (_, status) in client.status().await {
        let status = status.expect("nothing is wrong in a bench");
        calls += metrics_of(&status).count("gitstratum_server_requests_succeeded_total");
    }
    calls
}

async fn put_and_get(client: &Client, seed: u64, worker: String) {
    let mut rng = stream(seed, &worker);
    for _ in 0..PUTS_PER_LANE {
        let mut data = vec![0; OBJECT_BYTES];
        rng.fill_bytes(&mut data);
        let object = Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from(data))
            .expect("random bytes are no collision attack");
        let id = object.id();
        client.put(object).await.expect("nothing is wrong in a bench");
        client.get(id).await.expect("nothing is wrong in a bench");
    }
}

fn end(runtime: &Runtime, cluster: Cluster) {
    runtime.block_on(async move { cluster.shut_down().await });
}

fn idle(plan: &Plan) -> Duration {
    let runtime = runtime(0);
    let cluster = runtime.block_on(async { started(&world(plan)).await });
    let began = wall();
    runtime.block_on(async { tokio::time::sleep(IDLE).await });
    let wall = began.elapsed();
    end(&runtime, cluster);
    wall
}
