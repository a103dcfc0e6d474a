//! Connections to real processes that die, stand still, lose their address to others, or
//! are cut off without a word.
//!
//! Each test holds one pool for as long as it lasts, as a program that runs for weeks does,
//! so that what it has open becomes stale. The times of the pool are short, and what is
//! expected is stated in them; [`SLACK`] is all that a busy machine gets on top. What was
//! measured goes to stderr past the test harness, which would keep it to itself.

mod flow;
mod killed;
mod load;
mod moved;
mod namespace;
mod stopped;
mod stranger;

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gitstratum_cluster::client::{Client, ClientOptions};
use gitstratum_cluster::quorum::decorate::Retried;
use gitstratum_cluster::rpc::RemoteNode;
use gitstratum_cluster::transport::{
    Connections, Dialler, Keepalive, PeerNumbers, Pool, PoolCounts, PoolOptions,
};
use gitstratum_core::object::{HashAlgorithm, Kind, Object};
use gitstratum_core::placement::{CurrentLayout, NodeId};
use gitstratum_core::replica::{NodeError, NodeWriter};
use gitstratum_host::Net;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use tempfile::TempDir;

use super::support::Serve;

/// Silence while requests wait is noticed after both together. Longer than a dial waits to
/// hear who is there, as by default, so that such a dial ends by its own deadline.
const KEEPALIVE: Keepalive =
    Keepalive { interval: Duration::from_millis(1500), timeout: Duration::from_secs(1) };
/// A connection on which nothing was heard for this long is asked who is there. So long
/// that it is not the probe that saves a request from a dead connection.
const PROBE: Duration = Duration::from_secs(5);
/// Of one request: room for a dial that nobody answers, a back-off and such a dial again.
const TIMEOUT: Duration = Duration::from_secs(8);
/// What may pass, on a machine with more to do, where nothing has to be waited for.
const SLACK: Duration = Duration::from_secs(3);

/// What every object of the load begins with.
const PAYLOAD: &str = "payload of the load";

/// Says it on stderr, whether the test passes or not.
fn say(words: &str) {
    // Nobody may listen; that is no reason to fail.
    let _ = writeln!(std::io::stderr(), "connections: {words}");
}

/// Three nodes, each on a loopback address of its own, all of them replicas of everything.
struct Cluster {
    dir: TempDir,
    addresses: Vec<String>,
    nodes: Vec<Option<Serve>>,
}

impl Cluster {
    /// Starts it on addresses that belong to test number `test` alone: no outgoing
    /// connection takes a port there while a node is away.
    fn start(test: u8) -> Self {
        let free = |node: u8| {
            let free = TcpListener::bind((Ipv4Addr::new(127, 77, test, node), 0)).unwrap();
            free.local_addr().unwrap().to_string()
        };
        let addresses: Vec<_> = (1..=3).map(free).collect();
        let dir = tempfile::tempdir().unwrap();
        let mut config =
            "[cluster]\nversion = 1\nreplicas = 3\nwrite_quorum = 2\nread_quorum = 2\n".to_owned();
        for (n, address) in (1..).zip(&addresses) {
            config += &format!("[[node]]\nid = \"n{n}\"\naddress = \"{address}\"\n");
        }
        fs::write(dir.path().join("cluster.toml"), config).unwrap();
        let mut cluster = Cluster { dir, addresses, nodes: (0..3).map(|_| None).collect() };
        (1..=3).for_each(|n| cluster.start_node(n));
        cluster
    }

    /// Starts node `n`, at the address where it always is.
    fn start_node(&mut self, n: usize) {
        let file = |name: &str| self.dir.path().join(name).display().to_string();
        let (config, data) = (file("cluster.toml"), file(&format!("n{n}")));
        let (id, address) = (format!("n{n}"), &self.addresses[n - 1]);
        let arguments =
            ["--config", &config, "--node-id", &id, "--listen", address, "--data", &data];
        self.nodes[n - 1] = Some(Serve::start(&arguments));
    }

    fn node(&self, n: usize) -> &Serve {
        self.nodes[n - 1].as_ref().expect("it runs")
    }

    /// Ends node `n` as a crash would.
    fn kill(&mut self, n: usize) {
        self.nodes[n - 1].take().expect("it runs").kill();
    }
}

/// A program that holds one pool, and talks to quorums and to single nodes over it.
#[derive(Clone)]
struct Caller {
    pool: Arc<Pool>,
    client: Client,
    layout: CurrentLayout,
}

impl Caller {
    /// Learns the layout from one of `peers`.
    async fn of(peers: &[String]) -> Self {
        let options =
            PoolOptions { probe_interval: PROBE, keepalive: KEEPALIVE, ..PoolOptions::default() };
        let client =
            ClientOptions { request_timeout: TIMEOUT, pool: options.clone(), ..Default::default() };
        let mut made = None;
        let begin = |learned| {
            let layout = CurrentLayout::new(learned);
            let (dialler, rng) = (Dialler::new(Net::new(), ""), ChaCha12Rng::seed_from_u64(1));
            let pool = Arc::new(Pool::new(dialler, &layout, rng, options));
            made = Some((pool.clone(), layout.clone()));
            (layout, pool as Arc<dyn Connections>)
        };
        let client = Client::connect_through(Net::new(), peers, client, begin).await.unwrap();
        let (pool, layout) = made.expect("a client asks for its connections");
        Caller { pool, client, layout }
    }

    /// One put on one node, repeated as the node's own code retries it.
    async fn put(&self, peer: &str, object: Object) -> Result<(), NodeError> {
        let (peer, pool) = (NodeId::new(peer), self.pool.clone());
        let node = Retried::new(RemoteNode::new(peer, pool, self.layout.clone()));
        let stored = node.put(vec![object].into(), TIMEOUT).await?;
        Ok(stored.into_iter().try_for_each(|stored| stored.map(drop))?)
    }

    fn peer(&self, peer: &str) -> PeerNumbers {
        let peers = self.pool.numbers().peers;
        peers.into_iter().find(|numbers| numbers.node_id.as_str() == peer).expect("a member")
    }

    fn counts(&self, peer: &str) -> PoolCounts {
        self.peer(peer).counts
    }

    /// Connections to a peer that left the pool, for whatever reason.
    fn evicted(&self, peer: &str) -> u64 {
        self.counts(peer).evictions.iter().sum()
    }
}

/// A blob that begins with [`PAYLOAD`]; `name` makes it another.
fn object(name: &str) -> Object {
    let data = Bytes::from(format!("{PAYLOAD}: {name}"));
    Object::hash(HashAlgorithm::Sha1, Kind::Blob, data).unwrap()
}
