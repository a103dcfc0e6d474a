//! Connections that became old, or dead, and who notices.

use std::sync::Arc;
use std::time::Duration;

use gitstratum_cluster::quorum::decorate::Retried;
use gitstratum_cluster::transport::{Eviction, PoolOptions};
use gitstratum_core::object::ObjectId;
use gitstratum_core::replica::{Found, NodeError, NodeReader};
use tokio::time::{Instant, sleep};

use super::world::{World, counts, evicted, evictions, lease, seconds};

#[tokio::test]
async fn an_old_connection_is_replaced_and_nobody_waits_for_that() {
    let world = World::new(1).await;
    let pool = world.pool(PoolOptions { age_max: seconds(60), ..PoolOptions::default() });
    lease(&pool, 1).await.unwrap();
    let began = Instant::now();
    while began.elapsed() < seconds(600) {
        let before = Instant::now();
        let leased = lease(&pool, 1).await.unwrap();
        assert_eq!(before.elapsed(), Duration::ZERO, "the lease waited");
        let age = leased.connection().life().opened().elapsed();
        assert!(age < seconds(61), "a connection is {age:?} old");
        sleep(Duration::from_millis(50)).await;
    }
    let (dials, aged) = (counts(&pool).dials, counts(&pool).evicted(Eviction::Aged));
    assert!((10..=13).contains(&dials), "{dials} dials in ten minutes");
    assert_eq!((aged, evictions(&pool)), (dials - 1, aged));
}

#[tokio::test]
async fn an_old_connection_serves_until_its_peer_can_be_dialled_again() {
    let world = World::new(1).await;
    let pool = world.pool(PoolOptions { age_max: seconds(60), ..PoolOptions::default() });
    lease(&pool, 1).await.unwrap();
    let address = world.machine(1).address();
    world.network.set_dns("n1", None);
    let began = Instant::now();
    while began.elapsed() < seconds(600) {
        lease(&pool, 1).await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!((counts(&pool).dialled, evictions(&pool)), (1, 0));
    world.network.set_dns("n1", Some(address));
    let began = Instant::now();
    while counts(&pool).evicted(Eviction::Aged) == 0 {
        lease(&pool, 1).await.unwrap();
        sleep(Duration::from_millis(10)).await;
    }
    assert!(began.elapsed() < seconds(3), "{:?}", began.elapsed());
    assert_eq!(counts(&pool).dialled, 2);
}

#[tokio::test]
async fn an_old_connection_makes_room_for_its_successor_in_a_pool_that_is_full() {
    let world = World::new(1).await;
    let age_max = seconds(60);
    let options = PoolOptions { age_max, connections_max: 1, ..PoolOptions::default() };
    let pool = world.pool(options);
    let began = Instant::now();
    while began.elapsed() < seconds(300) {
        let age = lease(&pool, 1).await.unwrap().connection().life().opened().elapsed();
        assert!(age < seconds(62), "a connection is {age:?} old");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed() {
    let world = World::new(1).await;
    let options = PoolOptions { idle_max: seconds(100), age_max: seconds(1000), ..<_>::default() };
    let pool = world.pool(options);
    lease(&pool, 1).await.unwrap();
    let after = evicted(&pool, Eviction::Idle).await;
    assert!((seconds(99)..=seconds(101)).contains(&after), "{after:?}");
}

#[tokio::test]
async fn a_node_that_stops_in_order_is_left_and_dialled_again() {
    let world = World::new(1).await;
    let (pool, node) = world.remote();
    node.identify("", seconds(5)).await.unwrap();
    world.machine(1).terminate();
    evicted(&pool, Eviction::GoAway).await;
    sleep(seconds(1)).await;
    world.start(1).await;
    node.identify("", seconds(5)).await.unwrap();
    assert_eq!((counts(&pool).dials, evictions(&pool)), (2, 1));
}

#[tokio::test]
async fn a_connection_that_broke_is_evicted_before_anyone_asks() {
    let world = World::new(1).await;
    let (pool, node) = world.remote();
    node.identify("", seconds(5)).await.unwrap();
    world.machine(1).crash();
    sleep(seconds(1)).await;
    assert_eq!(counts(&pool).evicted(Eviction::Broken), 1);
}

#[tokio::test]
async fn a_flow_that_died_in_silence_costs_a_request_no_more_than_a_ping() {
    let world = World::new(1).await;
    let (pool, node) = world.remote();
    node.identify("", seconds(5)).await.unwrap();
    // The machine comes back at another address: nothing answers at the old one.
    world.machine(1).power_off();
    world.machine(1).set_address([10, 0, 3, 1].into());
    world.network.set_dns("n1", Some([10, 0, 3, 1].into()));
    world.start(1).await;
    sleep(seconds(20)).await;
    let began = Instant::now();
    node.identify("", seconds(10)).await.expect("the second attempt is on a fresh connection");
    assert!(began.elapsed() < seconds(7), "{:?}", began.elapsed());
    assert_eq!((counts(&pool).retries, counts(&pool).evicted(Eviction::Broken)), (1, 1));
}

#[tokio::test]
async fn a_replica_makes_one_attempt_and_the_retry_around_it_the_second() {
    let world = World::new(1).await;
    let (pool, node) = world.remote();
    let retried = Retried::new(node.clone());
    let ids: Arc<[ObjectId]> = ["ce013625030ba8dba906f756967f9e9ca394464a".parse().unwrap()].into();
    for attempts in [1, 2] {
        node.identify("", seconds(5)).await.unwrap();
        // Nothing answers any more at the address of the connection.
        let address = [10, 0, 3, attempts].into();
        world.machine(1).power_off();
        world.machine(1).set_address(address);
        world.network.set_dns("n1", Some(address));
        world.start(1).await;
        sleep(seconds(20)).await;
        let before = counts(&pool).retries;
        let answer = match attempts {
            1 => node.get(ids.clone(), seconds(10)).await,
            _ => retried.get(ids.clone(), seconds(10)).await,
        };
        let answered = matches!(answer.as_deref(), Ok([Ok(Found::Absent)]));
        let lost = matches!(answer, Err(NodeError::ConnectionLost { .. }));
        assert_eq!((answered, lost), (attempts == 2, attempts == 1), "{answer:?}");
        assert_eq!(counts(&pool).retries - before, u64::from(attempts) - 1);
    }
}

#[tokio::test]
async fn a_flow_that_died_in_silence_costs_one_deadline_at_most() {
    let world = World::new(1).await;
    let (pool, node) = world.remote();
    node.identify("", seconds(5)).await.unwrap();
    world.machine(1).power_off();
    world.machine(1).set_address([10, 0, 3, 1].into());
    world.network.set_dns("n1", Some([10, 0, 3, 1].into()));
    world.start(1).await;
    // Shorter than any ping takes to be missed.
    let error = node.identify("", seconds(1)).await.unwrap_err();
    assert!(matches!(error, NodeError::TimedOut { .. }), "{error}");
    node.identify("", seconds(1)).await.unwrap();
    assert_eq!(counts(&pool).evicted(Eviction::NoLife), 1);
}

#[tokio::test]
async fn a_silent_peer_is_found_out_while_nobody_asks() {
    let world = World::new(1).await;
    let (pool, node) = world.remote();
    node.identify("", seconds(5)).await.unwrap();
    world.machine(1).power_off();
    let after = evicted(&pool, Eviction::Probe).await;
    assert!((seconds(29)..=seconds(33)).contains(&after), "{after:?}");
}

#[tokio::test]
async fn a_peer_that_takes_connections_and_drops_them_is_not_hammered() {
    let world = World::new(1).await;
    let (pool, _) = world.remote();
    let began = Instant::now();
    while began.elapsed() < seconds(10) {
        if lease(&pool, 1).await.is_ok() {
            world.machine(1).crash();
            world.start(1).await;
        }
        sleep(Duration::from_millis(20)).await;
    }
    let dials = counts(&pool).dials;
    assert!(dials <= 40, "{dials} dials in ten seconds");
}
