//! What a put and a get allocate, at the client and on the nodes: a cost that does not depend on how
//! busy the machine is.
//!
//! Counted is what the threads allocate on which requests are served; the store's own, which write
//! and hash, are not among them. The values of `allocations.toml` are what was found last. Who changes
//! a path on purpose writes them anew, and says in the commit why they grew:
//! `GITSTRATUM_WRITE_COSTS=1 cargo test -p gitstratum --test node allocations`.
#![allow(clippy::disallowed_methods, reason = "a node's allocations are those of its own thread")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use allocation_counter::measure;
use futures_util::future::join_all;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::*;
use crate::ports::listen;
use gitstratum_core::placement::{Layout, Member};

/// Data of an object.
const OBJECT_BYTES: usize = 4096;
/// Of so many requests the first quartile counts: probes and timers between them add to some, and a
/// node that was very late took its part to the next one's.
const ROUNDS: usize = 12;
/// What was called at the same time goes together, as far as it can: that depends on how busy the
/// machine is, so it is printed and not compared.
const TOGETHER: usize = 64;
const TOGETHER_NAME: &str = "put, 64 at a time";
/// Nodes that allocate nothing for so long have done their part, also who acknowledged late.
const QUIET: Duration = Duration::from_millis(8);
/// How much a value may grow or shrink before the file has to say so.
const TOLERANCE: f64 = 0.1;

/// Allocations of one request, by who makes them.
type Costs = BTreeMap<String, BTreeMap<String, f64>>;

/// A node on a thread of its own.
struct Node {
    marks: UnboundedSender<()>,
    allocated: mpsc::Receiver<u64>,
    thread: JoinHandle<()>,
}

impl Node {
    fn start(config: Config) -> Self {
        let (marks, marked) = unbounded_channel();
        let (allocate, allocated) = mpsc::channel();
        let thread = thread::spawn(move || run(config, marked, &allocate));
        Node { marks, allocated, thread }
    }

    /// Allocations since this was called last.
    fn allocations(&self) -> u64 {
        self.marks.send(()).expect("it runs");
        self.allocated.recv().expect("it runs")
    }

    /// Ends it.
    fn stop(self) {
        drop(self.marks);
        self.thread.join().expect("it served until it was told to stop");
    }
}

/// Serves until nobody can mark any more; at each mark says what was allocated since the one before.
fn run(config: Config, mut marked: UnboundedReceiver<()>, allocated: &mpsc::Sender<u64>) {
    let runtime = runtime();
    let scratch = scratch();
    let host = Host { net: Net::new(), disk: scratch.disk.clone() };
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let mut serving = serve(config, host, ChaCha12Rng::seed_from_u64(1), drop, stopped);
    let mut mark = Some(());
    while mark.is_some() {
        let info = measure(|| {
            mark = runtime.block_on(async {
                tokio::select! {
                    biased;
                    mark = marked.recv() => mark,
                    served = &mut serving => panic!("it ended by itself: {served:?}"),
                }
            });
        });
        // Whoever asks no more has dropped it.
        let _ = allocated.send(info.count_total);
    }
    stop.send(()).expect("it serves");
    runtime.block_on(serving).expect("it ends in good order");
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("there is one")
}

/// Three nodes, N = 3, W = 2, R = 2, and the allocations of all of them together.
struct Nodes {
    peers: Vec<String>,
    nodes: Vec<Node>,
}

impl Nodes {
    fn start() -> Self {
        let peers: Vec<String> = (0..3).map(|_| listen()).collect();
        let members = (1..).zip(&peers).map(|(number, address)| {
            Member::active(NodeId::new(format!("n{number}")), address.clone(), "z".to_owned(), 1)
        });
        let layout = Layout::first((3, 2, 2), members.collect()).validated().unwrap();
        let nodes = layout.members.iter().map(|member| {
            let mut config = config(member.node_id.as_str(), &member.address);
            config.catalog.enabled = false;
            config.layout = layout.clone();
            config.alone = false;
            Node::start(config)
        });
        let nodes = nodes.collect();
        Nodes { peers, nodes }
    }

    /// What they allocated since this was called last, when they have ended what they were at.
    fn allocations_until_quiet(&self, runtime: &Runtime) -> u64 {
        let mut all = 0;
        loop {
            runtime.block_on(async { tokio::time::sleep(QUIET).await });
            match self.nodes.iter().map(Node::allocations).sum() {
                0 => return all,
                some => all += some,
            }
        }
    }

    fn stop(self) {
        self.nodes.into_iter().for_each(Node::stop);
    }
}

/// Objects that nobody has put before.
fn objects(numbers: std::ops::Range<usize>) -> Vec<Object> {
    let object = |number: usize| {
        let mut data = vec![7; OBJECT_BYTES];
        data[..8].copy_from_slice(&number.to_be_bytes());
        Object::hash(HashAlgorithm::Sha1, Kind::Blob, data.into()).unwrap()
    };
    numbers.map(object).collect()
}

/// What a request allocates, of which each `call` makes `per_call` at a time.
fn count(
    name: &str,
    costs: &mut Costs,
    (nodes, runtime): (&Nodes, &Runtime),
    per_call: usize,
    mut call: impl FnMut(usize),
) {
    let (mut client, mut servers) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        nodes.allocations_until_quiet(runtime);
        client.push(measure(|| call(round)).count_total);
        servers.push(nodes.allocations_until_quiet(runtime));
    }
    let quartile = |mut counts: Vec<u64>| {
        counts.sort_unstable();
        counts[counts.len() / 4] as f64 / per_call as f64
    };
    let by = [("client".to_owned(), quartile(client)), ("nodes".to_owned(), quartile(servers))];
    costs.insert(name.to_owned(), by.into());
}

fn costs() -> Costs {
    let nodes = Nodes::start();
    let runtime = runtime();
    let client = runtime.block_on(async {
        loop {
            let rng = ChaCha12Rng::seed_from_u64(1);
            match Client::connect(Net::new(), &nodes.peers, rng, ClientOptions::default()).await {
                Ok(client) => return client,
                Err(ConnectError::NoPeer(_)) => tokio::time::sleep(QUIET).await,
                Err(error) => panic!("{error}"),
            }
        }
    });
    // Warms connections and files.
    let warm = objects(0..ROUNDS);
    runtime.block_on(async {
        for object in &warm {
            client.put(object.clone()).await.unwrap();
        }
    });
    let mut costs = Costs::new();
    let at = (&nodes, &runtime);
    let alone = objects(1_000..1_000 + ROUNDS);
    count("put", &mut costs, at, 1, |round| {
        runtime.block_on(client.put(alone[round].clone())).map(drop).unwrap();
    });
    count("get", &mut costs, at, 1, |round| {
        runtime.block_on(client.get(alone[round].id())).map(drop).unwrap();
    });
    let many = objects(10_000..10_000 + ROUNDS * TOGETHER);
    count(TOGETHER_NAME, &mut costs, at, TOGETHER, |round| {
        let these = many[round * TOGETHER..][..TOGETHER].iter();
        let puts = join_all(these.map(|object| client.put(object.clone())));
        runtime.block_on(puts).into_iter().for_each(|put| drop(put.unwrap()));
    });
    nodes.stop();
    costs
}

#[test]
fn a_put_and_a_get_allocate_no_more_than_before() {
    log_nowhere();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node/allocations.toml");
    let mut found = costs();
    println!("{:<20} {:>8} {:>8}", "allocations", "client", "nodes");
    for (name, by) in &found {
        println!("{name:<20} {:>8.1} {:>8.1}", by["client"], by["nodes"]);
    }
    found.remove(TOGETHER_NAME);
    if std::env::var_os("GITSTRATUM_WRITE_COSTS").is_some() {
        let head = "# Allocations of a request of 4 KiB, as tests/node/allocations.rs counts them: at the client,\n\
                    # and on three nodes together.\n";
        fs::write(path, head.to_owned() + &toml::to_string(&found).unwrap()).unwrap();
        return;
    }
    let known: Costs = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let changed = found.iter().flat_map(|(name, by)| {
        let before = &known[name];
        by.iter().filter_map(move |(who, now)| {
            let grew = now / before[who] - 1.0;
            (grew.abs() > TOLERANCE)
                .then(|| format!("{name}, {who}: {now:.1}, it was {:.1}", before[who]))
        })
    });
    let changed: Vec<String> = changed.collect();
    assert!(
        changed.is_empty(),
        "{changed:#?}: if that is meant, write the file anew (GITSTRATUM_WRITE_COSTS=1), and say why"
    );
}
