//! Durable puts: objects of the cluster, beside keys of etcd and of redis.

mod etcd;
mod nodes;
mod redis;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::etcd::Etcd;
use crate::load::{Again, Turn, measure, next_caller};
use crate::nodes::Nodes;
use crate::process::{self, Servers};
use crate::table::{self, Row};
use crate::{Options, Outcome, bare, in_turn};
use redis::Redis;

/// Data of a put.
const PUT_BYTES: usize = 4096;

/// Who callers share connections with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connections {
    /// With nobody.
    Own,
    /// With all others, as callers in one program do.
    Shared,
}

/// A cluster of three servers that keeps what is put.
#[async_trait]
trait Keeper: Send + Sync {
    /// Its name in the table.
    fn name(&self) -> &'static str;

    /// Its processes.
    fn servers(&self) -> &Servers;

    /// So many callers, each of which puts data that nobody put before; none where its clients cannot
    /// share connections so.
    async fn callers(&self, count: usize, connections: Connections) -> Outcome<Callers>;
}

type Callers = Option<Vec<Box<dyn Again>>>;

/// What one caller puts, one after the other.
struct Payloads(ChaCha12Rng);

impl Payloads {
    fn new() -> Self {
        Payloads(ChaCha12Rng::seed_from_u64(next_caller()))
    }

    fn next(&mut self) -> Vec<u8> {
        let mut data = vec![0; PUT_BYTES];
        self.0.fill_bytes(&mut data);
        data
    }
}

const LOADS: [(&str, usize, Connections); 3] = [
    ("put of 4 KiB by 1 client", 1, Connections::Own),
    ("put of 4 KiB by 64 clients", 64, Connections::Own),
    ("put of 4 KiB by 64 callers of one", 64, Connections::Shared),
];

/// Measures all loads, and prints the table.
///
/// # Errors
/// When a cluster does not start, or a put fails.
pub async fn run(options: &Options, program: &Path, dir: &Path) -> Outcome<()> {
    let mut keepers: Vec<Box<dyn Keeper>> = Vec::new();
    println!("{}", process::version(program)?);
    keepers.push(Box::new(Nodes::start(program, &dir.join("nodes")).await?));
    if !options.alone {
        // Those that are installed.
        match process::version(&options.etcd) {
            Ok(version) => {
                println!("{version}");
                keepers.push(Box::new(Etcd::start(&options.etcd, &dir.join("etcd")).await?));
            }
            Err(error) => println!("without etcd: {error}"),
        }
        match process::version(&options.redis) {
            Ok(version) => {
                println!("{version}");
                keepers.push(Box::new(Redis::start(&options.redis, &dir.join("redis")).await?));
            }
            Err(error) => println!("without redis: {error}"),
        }
    }
    let turn_time = Duration::from_secs(options.seconds);
    let loads: Vec<_> = LOADS.into_iter().filter(|load| options.wants(load.0)).collect();
    let row = |name| Row::new(name, keepers.iter().map(|keeper| keeper.name()));
    let mut rows: Vec<Row> = loads.iter().map(|(name, ..)| row(name)).collect();
    let mut flushes = Vec::new();
    for round in 0..options.rounds {
        flushes.push(bare::flushes(dir, turn_time / 2).await?);
        for ((name, count, connections), row) in loads.iter().zip(&mut rows) {
            for place in in_turn(round, keepers.len()) {
                let keeper = &*keepers[place];
                let Some(callers) = keeper.callers(*count, *connections).await? else { continue };
                let what = format!("{}: {name}", keeper.name());
                let turn: Turn = measure(&what, keeper.servers(), callers, turn_time).await?;
                row.take(place, turn);
            }
        }
        eprintln!("round {} of {} is over", round + 1, options.rounds);
    }
    table::print(&flushes, rows, Some(PUT_BYTES));
    Ok(())
}
