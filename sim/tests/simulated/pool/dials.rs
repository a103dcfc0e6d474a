//! Who dials, when, and what those who wait are told.

use std::time::Duration;

use futures_util::future::join_all;
use gitstratum_cluster::transport::{Connections, Eviction, PoolOptions};
use gitstratum_core::replica::{DialProblem, NodeError, Stage};
use tokio::time::{Instant, sleep, timeout};

use super::world::{LATENCY, World, counts, layout, lease, node_id, seconds};

#[tokio::test]
async fn any_number_of_callers_of_a_new_peer_or_one_that_restarted_make_one_dial() {
    for callers in [100, 1000] {
        let world = World::new(1).await;
        let pool = world.pool(PoolOptions::default());
        for restarts in 0..2 {
            let leases = join_all((0..callers).map(|_| lease(&pool, 1))).await;
            assert!(leases.iter().all(Result::is_ok));
            assert_eq!(counts(&pool).dials, 1 + restarts);
            drop(leases);
            world.machine(1).crash();
            world.start(1).await;
            // The end of the old connection arrives.
            sleep(4 * LATENCY).await;
        }
    }
}

#[tokio::test]
async fn a_caller_that_gives_up_cancels_the_dial_for_nobody() {
    let world = World::new(1).await;
    let pool = world.pool(PoolOptions::default());
    let impatient = timeout(LATENCY, lease(&pool, 1));
    let patient = async {
        sleep(Duration::from_millis(1)).await;
        lease(&pool, 1).await
    };
    let (gave_up, leased) = tokio::join!(impatient, patient);
    assert!(gave_up.is_err());
    leased.unwrap();
    assert_eq!((counts(&pool).dials, counts(&pool).dialled), (1, 1));
}

#[tokio::test]
async fn a_failed_dial_answers_all_with_its_cause_and_its_peer_is_not_hammered() {
    let world = World::new(1).await;
    world.machine(1).crash();
    let pool = world.pool(PoolOptions::default());
    let answers = join_all((0..100).map(|_| lease(&pool, 1))).await;
    for answer in answers {
        let Err(NodeError::Dial(error)) = answer else { panic!("nobody is there") };
        assert!(matches!(error.problem, DialProblem::Refused), "{error}");
        assert_eq!((error.stage, &*error.address), (Stage::Connect, "n1:7000"));
    }
    assert_eq!(counts(&pool).dials, 1);
    let began = Instant::now();
    while began.elapsed() < seconds(10) {
        assert!(lease(&pool, 1).await.is_err());
        sleep(Duration::from_millis(3)).await;
    }
    let dials = counts(&pool).dials;
    assert!((10..=30).contains(&dials), "{dials} dials in ten seconds");
    world.start(1).await;
    sleep(seconds(1)).await;
    lease(&pool, 1).await.unwrap();
}

#[tokio::test]
async fn a_request_whose_dial_failed_waits_for_the_next_and_no_longer() {
    let world = World::new(1).await;
    world.machine(1).crash();
    let (pool, node) = world.remote();
    // Until the back-off is as long as it gets.
    for _ in 0..10 {
        assert!(lease(&pool, 1).await.is_err());
        sleep(seconds(1)).await;
    }
    assert!(lease(&pool, 1).await.is_err());
    let began = Instant::now();
    let error = node.identify("", seconds(10)).await.unwrap_err();
    assert!(matches!(error, NodeError::Dial(_)), "{error}");
    let waited = began.elapsed();
    assert!(waited > LATENCY && waited < Duration::from_millis(1100), "{waited:?}");
    // One that is backed off from and has returned is found by the same request.
    assert!(lease(&pool, 1).await.is_err());
    let dials = counts(&pool).dials;
    world.start(1).await;
    let answers = join_all((0..100).map(|_| node.identify("", seconds(10)))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(counts(&pool).dials, dials + 1);
}

#[tokio::test]
async fn a_name_without_an_address_is_said_to_be_that() {
    let world = World::new(1).await;
    world.network.set_dns("n1", None);
    let pool = world.pool(PoolOptions::default());
    let Err(NodeError::Dial(error)) = lease(&pool, 1).await else { panic!("no such name") };
    assert_eq!(error.stage, Stage::Resolve);
    assert!(matches!(error.problem, DialProblem::Dns { .. }), "{error}");
}

#[tokio::test]
async fn a_new_address_in_dns_cuts_the_back_off_short() {
    let world = World::new(2).await;
    world.machine(1).power_off();
    let pool = world.pool(PoolOptions::default());
    // Fails until the back-off has become long.
    for _ in 0..6 {
        assert!(lease(&pool, 1).await.is_err());
        sleep(seconds(1)).await;
    }
    assert!(lease(&pool, 1).await.is_err());
    world.machine(1).set_address([10, 0, 3, 1].into());
    world.start(1).await;
    world.network.set_dns("n1", Some([10, 0, 3, 1].into()));
    let began = Instant::now();
    while lease(&pool, 1).await.is_err() {
        sleep(Duration::from_millis(5)).await;
    }
    assert!(began.elapsed() < Duration::from_millis(250), "{:?}", began.elapsed());
    assert_eq!(counts(&pool).backoffs_cut_short, 1);
}

#[tokio::test]
async fn a_new_address_in_the_layout_is_dialled_at_once() {
    let world = World::new(2).await;
    world.machine(2).power_off();
    world.machine(2).set_address([10, 0, 3, 1].into());
    world.start(2).await;
    let pool = world.pool(PoolOptions::default());
    // The dial that hangs is given up for the new address.
    let waiting = lease(&pool, 2);
    let apply = async {
        sleep(Duration::from_millis(100)).await;
        let mut layout = layout(2, 2);
        layout.members[1].address = "10.0.3.1:7000".into();
        world.layout.replace(&layout).unwrap();
    };
    let began = Instant::now();
    let (leased, ()) = tokio::join!(waiting, apply);
    assert_eq!(leased.unwrap().connection().address(), "10.0.3.1:7000");
    assert!(began.elapsed() < Duration::from_millis(300), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_peer_that_the_layout_drops_or_moves_loses_its_connections_at_once() {
    let world = World::new(3).await;
    let pool = world.pool(PoolOptions::default());
    for number in 1..=3 {
        lease(&pool, number).await.unwrap();
    }
    let mut newer = layout(2, 2);
    newer.members[0].address = "10.0.1.1:7000".into();
    world.layout.replace(&newer).unwrap();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(counts(&pool).evicted(Eviction::Moved), 1);
    assert_eq!(counts(&pool).evicted(Eviction::Dropped), 1);
    assert!(matches!(lease(&pool, 3).await, Err(NodeError::NotMember(id)) if id == node_id(3)));
    assert_eq!(lease(&pool, 1).await.unwrap().connection().address(), "10.0.1.1:7000");
    assert_eq!(pool.numbers().connections, 2);
}

#[tokio::test]
async fn a_node_that_took_anothers_address_is_the_wrong_peer() {
    let world = World::new(2).await;
    let pool = world.pool(PoolOptions::default());
    world.network.set_dns("n1", Some(world.machine(2).address()));
    let Err(NodeError::Dial(error)) = lease(&pool, 1).await else { panic!("n2 is there") };
    assert!(matches!(
        error.problem,
        DialProblem::WrongPeer { expected, actual } if (&expected, &actual) == (&node_id(1), &node_id(2))
    ));
    assert_eq!(pool.numbers().connections, 0);
}
