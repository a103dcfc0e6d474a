//! What it takes two replicas to find out in which objects they differ.
//!
//! Two real stores in temporary directories, each with a million objects of 256 bytes, that
//! differ in none, 10, 1,000 and 100,000, half of them on either side. The messages are those
//! of the contract, encoded and decoded; only the network between is left out. Printed are
//! their bytes in both directions, the round trips, and the time of both sides together.
//!
//! `cargo bench -p gitstratum --bench reconcile [-- --objects N] [--dir DIR]`; it fails when a
//! difference is missed or made up, or when 10 differences take more than the bound.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Parser;
use gitstratum_cluster::repair::reconcile::{Found, Session, Step, answer};
use gitstratum_cluster::wire::compare::{
    question_from_wire, question_to_wire, reply_from_wire, reply_to_wire,
};
use gitstratum_core::object::{HashAlgorithm, Kind, Object, ObjectId};
use gitstratum_core::placement::{NodeId, Versions};
use gitstratum_core::replica::compare::{Key, Span};
use gitstratum_host::Disk;
use gitstratum_store::{Fsync, SegmentStore, Store, StoreOptions};
use prost::Message;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha12Rng;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const OBJECT_BYTES: usize = 256;
const BATCH_OBJECTS: usize = 1024;
/// What the messages for ten differences may have in all.
const TEN_BYTES_MAX: usize = 64 << 10;
/// What gRPC puts before each message. HTTP/2's own is some 40 bytes a message more.
const FRAME_BYTES: usize = 5;

#[derive(Parser)]
struct Options {
    /// Objects that both hold.
    #[arg(long, default_value_t = 1_000_000)]
    objects: usize,
    /// Where the stores go.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let options = Options::parse();
    let dir = match &options.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let (one, other) = (open(dir.path(), "n1").await?, open(dir.path(), "n2").await?);
    let begun = now();
    for objects in batches(options.objects) {
        let objects = draw(objects, &mut rng);
        put(&one, objects.clone()).await?;
        put(&other, objects).await?;
    }
    println!("{} objects in each of two stores, in {:.1?}", options.objects, begun.elapsed());
    let begun = now();
    let listed = one.inventory(0, u64::MAX).await.ids(0, u64::MAX).await?.len();
    println!("{listed} ids listed in {:.0?}", begun.elapsed());
    println!(
        "{:>11} {:>11} {:>13} {:>13} {:>13} {:>9}",
        "differences", "round trips", "bytes there", "bytes back", "together", "time"
    );
    let (mut ours, mut theirs) = (BTreeSet::new(), BTreeSet::new());
    for differences in [0, 10, 1_000, 100_000] {
        add(&one, &mut ours, differences / 2, &mut rng).await?;
        add(&other, &mut theirs, differences / 2, &mut rng).await?;
        let compared = compare(&one, &other, Key::draw(&mut rng)).await?;
        println!(
            "{differences:>11} {:>11} {:>13} {:>13} {:>13} {:>7.0?}",
            compared.round_trips,
            compared.bytes_there,
            compared.bytes_back,
            compared.bytes_there + compared.bytes_back,
            compared.time
        );
        let found = |ids: &Vec<ObjectId>| ids.iter().copied().collect::<BTreeSet<_>>();
        if found(&compared.found.ours) != ours || found(&compared.found.theirs) != theirs {
            return Err("what was found is not what differs".into());
        }
        if differences == 10 && compared.bytes_there + compared.bytes_back > TEN_BYTES_MAX {
            return Err(format!("ten differences may take {TEN_BYTES_MAX} bytes").into());
        }
    }
    one.close().await;
    other.close().await;
    Ok(())
}

async fn open(dir: &Path, name: &str) -> Outcome<Arc<SegmentStore>> {
    let options = StoreOptions::new(NodeId::new(name), Fsync::Never);
    Ok(SegmentStore::open(Disk::new(dir.join(name)), options).await?)
}

/// `count` in batches.
fn batches(count: usize) -> impl Iterator<Item = usize> {
    (0..count).step_by(BATCH_OBJECTS).map(move |from| (count - from).min(BATCH_OBJECTS))
}

fn draw(count: usize, rng: &mut ChaCha12Rng) -> Vec<Object> {
    let object = |_| {
        let mut data = vec![0; OBJECT_BYTES];
        rng.fill_bytes(&mut data);
        Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from(data)).expect("no collision")
    };
    (0..count).map(object).collect()
}

async fn put(store: &SegmentStore, objects: Vec<Object>) -> Outcome<()> {
    for stored in store.put(objects).await {
        stored?;
    }
    Ok(())
}

/// Puts objects that no other store has until `known` has as many.
async fn add(
    store: &SegmentStore,
    known: &mut BTreeSet<ObjectId>,
    wanted: usize,
    rng: &mut ChaCha12Rng,
) -> Outcome<()> {
    for count in batches(wanted.saturating_sub(known.len())) {
        let objects = draw(count, rng);
        known.extend(objects.iter().map(Object::id));
        put(store, objects).await?;
    }
    Ok(())
}

#[derive(Default)]
struct Compared {
    found: Found,
    round_trips: usize,
    bytes_there: usize,
    bytes_back: usize,
    time: Duration,
}

async fn compare(one: &SegmentStore, other: &SegmentStore, key: Key) -> Outcome<Compared> {
    let mut session = Session::new(key, &[Span::ALL]);
    let mut compared = Compared::default();
    let versions = Versions { in_force: 1, unsettled: Vec::new() };
    let begun = now();
    loop {
        let from = session.position().unwrap_or(u64::MAX);
        let ours = one.inventory(from, u64::MAX).await;
        let found = match session.next(&ours).await? {
            Step::Done => break,
            Step::Found(found) => found,
            Step::Ask(question) => {
                let request = question_to_wire(&question, "n1", &versions);
                compared.bytes_there += request.encoded_len() + FRAME_BYTES;
                compared.round_trips += 1;
                let question = question_from_wire(request)?;
                let (first, last) = (question.items.first(), question.items.last());
                let bounds = first.zip(last).ok_or("a question without a range")?;
                let theirs = other.inventory(bounds.0.span.first, bounds.1.span.last).await;
                let response = reply_to_wire(answer(&theirs, &question).await?, versions.clone());
                compared.bytes_back += response.encoded_len() + FRAME_BYTES;
                session.take(&ours, reply_from_wire(response, &versions)?).await?
            }
        };
        compared.found.ours.extend(found.ours);
        compared.found.theirs.extend(found.theirs);
    }
    compared.time = begun.elapsed();
    Ok(compared)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}
