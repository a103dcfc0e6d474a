//! What is bounded, and what callers are told at the bound.

use std::time::Duration;

use futures_util::future::join_all;
use gitstratum_cluster::transport::{Connections, Eviction, PoolOptions, Want};
use gitstratum_core::replica::NodeError;
use tokio::time::{sleep, timeout};

use super::world::{World, counts, lease, node_id};

fn bound(error: NodeError) -> (&'static str, usize) {
    match error {
        NodeError::Limited { bound, limit } => (bound, limit),
        other => panic!("{other} is no bound"),
    }
}

#[tokio::test]
async fn more_connections_are_opened_when_the_streams_are_used_up_and_then_callers_wait() {
    let world = World::new(1).await;
    let options = PoolOptions {
        streams_per_connection_max: 2,
        connections_per_peer_max: 3,
        waiters_per_peer_max: 1,
        ..PoolOptions::default()
    };
    let pool = world.pool(options);
    let mut leases = Vec::new();
    for _ in 0..6 {
        leases.push(lease(&pool, 1).await.unwrap());
    }
    assert_eq!((counts(&pool).dials, pool.numbers().connections), (3, 3));
    let mut waiting = std::pin::pin!(lease(&pool, 1));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    let refused = bound(lease(&pool, 1).await.map(drop).unwrap_err());
    assert_eq!(refused, ("callers that wait for a connection to one peer", 1));
    leases.pop();
    timeout(Duration::from_millis(10), waiting).await.expect("a place became free").unwrap();
    assert_eq!(counts(&pool).dials, 3);
}

#[tokio::test]
async fn every_place_that_is_given_back_serves_one_who_waits() {
    let world = World::new(1).await;
    let options = PoolOptions {
        streams_per_connection_max: 3,
        connections_per_peer_max: 1,
        ..PoolOptions::default()
    };
    let pool = world.pool(options);
    let work = (0..500).map(|_| async {
        let held = lease(&pool, 1).await.unwrap();
        sleep(Duration::from_millis(2)).await;
        drop(held);
    });
    timeout(Duration::from_secs(2), join_all(work)).await.expect("nobody was forgotten");
    assert_eq!(counts(&pool).dials, 1);
}

#[tokio::test]
async fn bytes_in_flight_to_a_peer_are_bounded() {
    let world = World::new(1).await;
    let options = PoolOptions { bytes_in_flight_per_peer_max: 1000, ..PoolOptions::default() };
    let pool = world.pool(options);
    let want = |bytes| Want { bytes, ..Want::default() };
    let first = pool.lease(&node_id(1), want(600)).await.unwrap();
    let error = pool.lease(&node_id(1), want(600)).await.map(drop).unwrap_err();
    assert_eq!(bound(error), ("bytes in flight to one peer", 1000));
    pool.lease(&node_id(1), want(400)).await.unwrap();
    drop(first);
    pool.lease(&node_id(1), want(5000)).await.expect("one request may exceed it");
    assert_eq!(pool.numbers().peers[0].bytes_in_flight, 0);
}

#[tokio::test]
async fn the_peer_that_was_used_least_recently_makes_room() {
    let world = World::new(4).await;
    let pool = world.pool(PoolOptions { connections_max: 2, ..PoolOptions::default() });
    for number in [1, 2, 1, 3] {
        lease(&pool, number).await.unwrap();
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((pool.numbers().connections, counts(&pool).evicted(Eviction::Displaced)), (2, 1));
    let connected = |number: usize| pool.numbers().peers[number - 1].connections.len();
    assert_eq!([connected(1), connected(2), connected(3)], [1, 0, 1]);
    // Connections that are in use stay.
    let _held = (lease(&pool, 1).await.unwrap(), lease(&pool, 3).await.unwrap());
    let refused = bound(lease(&pool, 4).await.map(drop).unwrap_err());
    assert_eq!(refused, ("connections of the pool", 2));
}
