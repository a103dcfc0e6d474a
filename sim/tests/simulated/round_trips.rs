//! How many round trips a put and a get take, counted in simulated time: links of 50 ms each
//! way, and disks and processors that take none, so that what is left is the protocol.
//!
//! The times are printed by
//! `cargo test-sim -p gitstratum-sim --no-default-features --test simulated round -- --nocapture`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use gitstratum::config::{Config, ConfigOverrides};
use gitstratum::server::serve;
use gitstratum_cluster::client::{Client, ClientOptions, Got};
use gitstratum_core::limits;
use gitstratum_core::object::{HashAlgorithm, Kind, Object};
use gitstratum_core::placement::{Layout, Member, NodeId};
use gitstratum_host::Host;
use gitstratum_host::signal::Terminations;
use gitstratum_host::simulated::{DiskProfile, Link, Machine, Network};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// One way.
const LATENCY: Duration = Duration::from_millis(50);
const ROUND_TRIP: Duration = Duration::from_millis(100);
/// A round trip, and what the network's own ticks add.
const ONE_AT_MOST: Duration = Duration::from_millis(110);

/// Three nodes, N = 3, W = R = 2, and a client that has talked to all of them.
struct World {
    /// Held, because the machines are on it.
    _network: Network,
    nodes: Vec<Machine>,
    client: Client,
}

fn layout() -> Layout {
    let member = |number| {
        let name = format!("n{number}");
        Member::active(NodeId::new(name.as_str()), format!("{name}:7000"), "z".into(), 1)
    };
    Layout::first((3, 2, 2), (1..=3).map(member).collect()).validated().unwrap()
}

async fn started(machine: &Machine, name: &str) {
    let overrides = ConfigOverrides {
        data: Some("unused".into()),
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 1))),
        node_id: Some(name.to_owned()),
        ..ConfigOverrides::default()
    };
    let mut config = Config::from_toml("", "test", overrides).unwrap().config;
    config.listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 7000));
    config.store.reserve_bytes = 0;
    config.layout = layout();
    let (ready, listens) = oneshot::channel();
    machine.start(move |host| async move {
        let ready = move |_| ready.send(()).unwrap();
        let rng = ChaCha12Rng::seed_from_u64(1);
        let mut requests = Terminations::watch();
        serve(config, host, rng, ready, requests.next()).await.unwrap();
    });
    listens.await.unwrap();
}

impl World {
    async fn new() -> Self {
        let network = Network::new(1, Link { latency: LATENCY..=LATENCY, loss: 0.0 });
        let machine = |name: &str, subnet, number| {
            let address = Ipv4Addr::new(10, 0, subnet, number);
            network.set_dns(name, Some(address));
            Machine::new(&network, name, address, DiskProfile::instant(), 1)
        };
        let (tell, told) = oneshot::channel();
        let caller = machine("client", 2, 1);
        caller.start(move |host| async move {
            let _ = tell.send(host);
            std::future::pending().await
        });
        let mut nodes = Vec::new();
        for number in 1..=3 {
            let name = format!("n{number}");
            nodes.push(machine(&name, 1, number));
            started(&nodes[nodes.len() - 1], &name).await;
        }
        nodes.push(caller);
        let host: Host = told.await.unwrap();
        let peers: Vec<_> = (1..=3).map(|number| format!("n{number}:7000")).collect();
        let (rng, options) = (ChaCha12Rng::seed_from_u64(2), ClientOptions::default());
        let client = Client::connect(host.net, &peers, rng, options).await.unwrap();
        // Every connection is there, and the new nodes have compared themselves.
        client.put(object(0)).await.unwrap();
        client.drain().await;
        sleep(Duration::from_secs(20)).await;
        World { _network: network, nodes, client }
    }

    /// The longest of some puts.
    async fn put(&self, numbers: std::ops::Range<usize>) -> Duration {
        let mut longest = Duration::ZERO;
        for number in numbers {
            let began = Instant::now();
            self.client.put(object(number)).await.unwrap();
            longest = longest.max(began.elapsed());
        }
        longest
    }

    /// The median of some gets, and the longest.
    async fn get(&self, numbers: std::ops::Range<usize>) -> (Duration, Duration) {
        let mut took = Vec::new();
        for number in numbers {
            let began = Instant::now();
            let got = self.client.get(object(number).id()).await.unwrap();
            assert!(matches!(got, Got::Object(_)));
            took.push(began.elapsed());
        }
        took.sort_unstable();
        (took[took.len() / 2], took[took.len() - 1])
    }
}

fn object(number: usize) -> Object {
    let data = format!("object {number} {}", "x".repeat(4000));
    Object::hash(HashAlgorithm::Sha1, Kind::Blob, data.into()).unwrap()
}

#[tokio::test]
async fn a_put_takes_one_round_trip_though_a_replica_hangs() {
    let world = World::new().await;
    let well = world.put(1..41).await;
    println!("round trips: put, all well: {well:?}; a round trip is {ROUND_TRIP:?}");
    assert!((ROUND_TRIP..ONE_AT_MOST).contains(&well), "{well:?}");
    for hung in 0..3 {
        world.nodes[hung].pause();
        let numbers = 100 * (hung + 1)..100 * (hung + 1) + 40;
        let beside = world.put(numbers).await;
        println!("round trips: put, n{} hangs: {beside:?}", hung + 1);
        assert!(beside < ONE_AT_MOST, "{beside:?}");
        world.nodes[hung].resume();
        sleep(Duration::from_secs(60)).await;
    }
}

#[tokio::test]
async fn a_get_takes_one_round_trip_and_leaves_a_replica_that_hangs_alone() {
    let world = World::new().await;
    world.put(1..201).await;
    world.client.drain().await;
    let (_, well) = world.get(1..201).await;
    println!("round trips: get, all well: {well:?}; a round trip is {ROUND_TRIP:?}");
    assert!((ROUND_TRIP..ONE_AT_MOST).contains(&well), "{well:?}");
    world.get(1..201).await;
    world.nodes[0].pause();
    let (median, longest) = world.get(1..201).await;
    println!("round trips: get, n1 hangs: median {median:?}, at most {longest:?}");
    assert!(median < ONE_AT_MOST, "{median:?}");
    // So long a replica is waited for at most, and then another's round trip.
    assert!(longest < limits::HEDGE_AFTER + ONE_AT_MOST, "{longest:?}");
}
