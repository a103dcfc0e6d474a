//! What the pool adds to a unary call on a warm connection, and whether its callers get in
//! each other's way.
//!
//! One node in this process, over loopback. The same call goes over one connection bare and
//! on lease, call after call in turns: another connection would be served by another task,
//! on a thread that may have more or less to do, and blocks of calls meet a machine that
//! changes its pace between them. Medians of the calls are compared. Then leases alone are
//! taken by 256 callers at once, on one thread and on all: callers that queued for a lock
//! would come to a halt on more threads, where these only pass cache lines around. Last, 256
//! callers call at once, bare and through the pool.
//!
//! `cargo bench -p gitstratum --bench pool`; it fails when the pool adds more than the bound.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gitstratum::config::{Config, ConfigOverrides};
use gitstratum::server::{Serving, serve};
use gitstratum_cluster::transport::{Connection, Connections, Dialler, Pool, PoolOptions, Want};
use gitstratum_core::placement::{CurrentLayout, NodeId};
use gitstratum_host::disk::scratch;
use gitstratum_host::{Host, Net};
use gitstratum_proto::v1::HasRequest;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// What the pool may add, in percent of the bare call.
const ADDED_PERCENT_MAX: f64 = 2.0;
const CALLS: usize = 50_000;
const CALLERS: usize = 256;
const LEASES_PER_CALLER: usize = 4_000;

fn main() {
    let runtime = Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (connection, pool, peer) = runtime.block_on(warm());
    let (bare, pooled) = runtime.block_on(in_turns(&connection, &pool, &peer));
    let added = (pooled.as_secs_f64() / bare.as_secs_f64() - 1.0) * 100.0;
    println!("unary call, bare connection   {:>9.2} us", micros(bare));
    println!("unary call, through the pool  {:>9.2} us  {added:+.2} %", micros(pooled));

    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let alone = leases_per_second(1, &pool, &peer);
    let together = leases_per_second(threads, &pool, &peer);
    println!("leases by {CALLERS} callers on 1 thread   {alone:>12.0} per second");
    println!("leases by {CALLERS} callers on {threads} threads  {together:>12.0} per second");

    let (bare, pooled) = runtime.block_on(crowds_in_turns(&connection, &pool, &peer));
    println!("{CALLERS} callers at once, bare          {bare:>12.0} calls per second");
    println!("{CALLERS} callers at once, through pool  {pooled:>12.0} calls per second");
    if added > ADDED_PERCENT_MAX {
        eprintln!("the pool adds {added:.2} %, {ADDED_PERCENT_MAX} % are allowed");
        std::process::exit(1);
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// A node that runs until the process ends, a pool, and the connection that it has.
async fn warm() -> (Connection, Arc<Pool>, NodeId) {
    let overrides = ConfigOverrides {
        data: Some("unused".into()),
        listen: Some(([127, 0, 0, 1], 1).into()),
        node_id: Some("n1".into()),
        ..ConfigOverrides::default()
    };
    let mut config = Config::from_toml("", "bench", overrides).expect("a lone node").config;
    config.listen = ([127, 0, 0, 1], 0).into();
    let mut layout = config.layout.clone();
    let (ready, address) = oneshot::channel();
    tokio::spawn(async move {
        let scratch = scratch();
        let host = Host { net: Net::new(), disk: scratch.disk.clone() };
        let ready = |serving: Serving| ready.send(serving.address).expect("the bench waits");
        let forever = std::future::pending();
        serve(config, host, ChaCha12Rng::seed_from_u64(1), ready, forever).await
    });
    let address = address.await.expect("the node starts").to_string();
    layout.members[0].address.clone_from(&address);
    let dialler = Dialler::new(Net::new(), "");
    let layout = CurrentLayout::new(layout);
    let rng = ChaCha12Rng::seed_from_u64(2);
    let pool = Arc::new(Pool::new(dialler, &layout, rng, PoolOptions::default()));
    let peer = NodeId::new("n1");
    let lease = pool.lease(&peer, Want::default()).await.expect("the node answers");
    (lease.connection().clone(), pool, peer)
}

fn request() -> HasRequest {
    HasRequest { ids: vec![vec![7; 20].into()] }
}

async fn call_bare(connection: &Connection) {
    connection.rpc().has(request()).await.expect("the node answers");
}

async fn call_pooled(pool: &Pool, peer: &NodeId) {
    let lease = pool.lease(peer, Want::default()).await.expect("it is warm");
    let answer = lease.rpc().has(request()).await;
    pool.ended(peer, &lease, Ok(()));
    answer.expect("the node answers");
}

/// Time of one call, bare and through the pool: medians.
async fn in_turns(connection: &Connection, pool: &Pool, peer: &NodeId) -> (Duration, Duration) {
    let (mut bare, mut pooled) = (Vec::new(), Vec::new());
    for pair in 0..CALLS {
        // Who goes first changes, so that neither always follows the other.
        for turn in 0..2 {
            let began = now();
            if (pair + turn) % 2 == 0 {
                call_bare(connection).await;
                bare.push(began.elapsed());
            } else {
                call_pooled(pool, peer).await;
                pooled.push(began.elapsed());
            }
        }
    }
    (median(bare), median(pooled))
}

fn median<T: PartialOrd + Copy>(mut values: Vec<T>) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).expect("measured values compare"));
    values[values.len() / 2]
}

/// Leases taken and given back by all callers together.
fn leases_per_second(threads: usize, pool: &Arc<Pool>, peer: &NodeId) -> f64 {
    let runtime = Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let rounds = (0..5).map(|_| {
        let began = now();
        runtime.block_on(async {
            let callers: Vec<_> = (0..CALLERS)
                .map(|_| {
                    let (pool, peer) = (pool.clone(), peer.clone());
                    tokio::spawn(async move {
                        for _ in 0..LEASES_PER_CALLER {
                            drop(pool.lease(&peer, Want::default()).await.expect("it is warm"));
                        }
                    })
                })
                .collect();
            for caller in callers {
                caller.await.expect("no caller panics");
            }
        });
        (CALLERS * LEASES_PER_CALLER) as f64 / began.elapsed().as_secs_f64()
    });
    median(rounds.collect())
}

/// Calls per second of all callers together, bare and through the pool, in turns.
async fn crowds_in_turns(connection: &Connection, pool: &Arc<Pool>, peer: &NodeId) -> (f64, f64) {
    const CALLS: usize = 40;
    let (mut bare, mut pooled) = (Vec::new(), Vec::new());
    for turn in 0..20 {
        let began = now();
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (connection, pool, peer) = (connection.clone(), pool.clone(), peer.clone());
                tokio::spawn(async move {
                    for _ in 0..CALLS {
                        match turn % 2 {
                            0 => call_bare(&connection).await,
                            _ => call_pooled(&pool, &peer).await,
                        }
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.expect("no caller panics");
        }
        let rate = (CALLERS * CALLS) as f64 / began.elapsed().as_secs_f64();
        if turn % 2 == 0 { bare.push(rate) } else { pooled.push(rate) }
    }
    (median(bare), median(pooled))
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}
