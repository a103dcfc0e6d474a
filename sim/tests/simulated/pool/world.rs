//! Nodes on machines of their own, and a client machine with a pool.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use gitstratum::config::{Config, ConfigOverrides};
use gitstratum::server::serve;
use gitstratum_cluster::rpc::RemoteNode;
use gitstratum_cluster::transport::{
    Connections, Dialler, Eviction, Lease, Pool, PoolCounts, PoolOptions, Want,
};
use gitstratum_core::placement::{CurrentLayout, Layout, Member, NodeId};
use gitstratum_core::replica::NodeError;
use gitstratum_host::Host;
use gitstratum_host::signal::Terminations;
use gitstratum_host::simulated::{DiskProfile, Link, Machine, Network};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// One way over the network.
pub const LATENCY: Duration = Duration::from_millis(5);

pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A network, a client machine on it, and the layout that its pools follow.
pub struct World {
    pub network: Network,
    host: Host,
    pub layout: CurrentLayout,
    machines: Vec<Machine>,
}

fn address_of(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 1, number)
}

pub fn node_id(number: u8) -> NodeId {
    NodeId::new(format!("n{number}"))
}

impl World {
    /// With nodes `n1` to `n<count>`, which run.
    pub async fn new(count: u8) -> Self {
        let latency = LATENCY..=LATENCY;
        let network = Network::new(1, Link { latency, loss: 0.0 });
        let client =
            Machine::new(&network, "client", Ipv4Addr::new(10, 0, 2, 1), DiskProfile::instant(), 1);
        let (tell, told) = oneshot::channel();
        client.start(move |host| async move {
            let _ = tell.send(host);
            std::future::pending().await
        });
        let mut machines = vec![client];
        for number in 1..=count {
            let (name, address) = (format!("n{number}"), address_of(number));
            network.set_dns(&name, Some(address));
            let machine = Machine::new(&network, &name, address, DiskProfile::instant(), 1);
            machines.push(machine);
        }
        let layout = CurrentLayout::new(layout(1, count));
        let world = World { network, host: told.await.unwrap(), layout, machines };
        for number in 1..=count {
            world.start(number).await;
        }
        world
    }

    /// The machine of a node.
    pub fn machine(&self, number: u8) -> &Machine {
        &self.machines[usize::from(number)]
    }

    /// Starts a node on its own machine and waits until it listens.
    pub async fn start(&self, number: u8) {
        self.start_as(number, &format!("n{number}")).await;
    }

    /// Starts a node with another id on the machine of `number`.
    pub async fn start_as(&self, number: u8, node_id: &str) {
        let overrides = ConfigOverrides {
            data: Some("unused".into()),
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 1))),
            node_id: Some(node_id.to_owned()),
            ..ConfigOverrides::default()
        };
        let mut config = Config::from_toml("", "test", overrides).unwrap().config;
        config.listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 7000));
        config.store.reserve_bytes = 0;
        let (ready, listens) = oneshot::channel();
        self.machine(number).start(move |host| async move {
            let ready = move |_| ready.send(()).unwrap();
            let rng = ChaCha12Rng::seed_from_u64(1);
            let mut requests = Terminations::watch();
            serve(config, host, rng, ready, requests.next()).await.unwrap();
        });
        listens.await.unwrap();
    }

    pub fn pool(&self, options: PoolOptions) -> Arc<Pool> {
        let dialler = Dialler::new(self.host.net.clone(), "");
        Arc::new(Pool::new(dialler, &self.layout, ChaCha12Rng::seed_from_u64(2), options))
    }

    /// A pool with the default options and a remote replica over it.
    pub fn remote(&self) -> (Arc<Pool>, RemoteNode) {
        let pool = self.pool(PoolOptions::default());
        let node = RemoteNode::new(node_id(1), pool.clone(), self.layout.clone());
        (pool, node)
    }
}

/// A layout of nodes `n1` to `n<count>` at their names.
pub fn layout(version: u64, count: u8) -> Layout {
    let member = |number| Member::active(node_id(number), format!("n{number}:7000"), "z".into(), 1);
    let layout = Layout::first((1, 1, 1), (1..=count).map(member).collect());
    Layout { version, ..layout }.validated().unwrap()
}

pub async fn lease(pool: &Pool, number: u8) -> Result<Lease, NodeError> {
    pool.lease(&node_id(number), Want::default()).await
}

pub fn counts(pool: &Pool) -> PoolCounts {
    pool.numbers().counts()
}

/// Evictions of all reasons together.
pub fn evictions(pool: &Pool) -> u64 {
    counts(pool).evictions.iter().sum()
}

/// Waits until a connection left the pool for this reason, and says how long that took.
pub async fn evicted(pool: &Pool, reason: Eviction) -> Duration {
    let began = Instant::now();
    while counts(pool).evicted(reason) == 0 {
        assert!(began.elapsed() < seconds(3600), "nothing was evicted as {}", reason.name());
        sleep(Duration::from_millis(10)).await;
    }
    began.elapsed()
}
