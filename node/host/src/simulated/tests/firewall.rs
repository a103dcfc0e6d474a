//! A firewall that forgets connections on which nothing was said.

use std::io::ErrorKind;

use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::simulated::{Firewall, Stray};

const FORGETS_AFTER: Duration = Duration::from_secs(1800);

/// A client and a server that echoes behind a firewall, and a connection through it.
async fn connected(network: &Network, stray: Stray) -> (Machine, Machine, Stream, Host) {
    let rule = Firewall { forgets_after: FORGETS_AFTER, stray };
    network.set_firewall(&["server".to_owned()], rule);
    let (server, client) = (machine(network, "server", SERVER), machine(network, "client", CLIENT));
    server.start(echo);
    sleep(Duration::from_millis(1)).await;
    let (stream, host) =
        on(&client, |host| async move { (greeted(&host, SERVER).await, host) }).await;
    sleep(Duration::from_millis(10)).await;
    (server, client, stream, host)
}

#[test]
fn a_connection_that_is_used_in_time_is_never_forgotten() {
    simulate(60, |network| async move {
        let (_server, _client, mut stream, _host) = connected(&network, Stray::Drop).await;
        for _ in 0..5 {
            sleep(FORGETS_AFTER - Duration::from_secs(1)).await;
            greet(&mut stream).await.unwrap();
        }
    });
}

#[test]
fn what_belongs_to_a_forgotten_connection_disappears() {
    simulate(61, |network| async move {
        let (_server, _client, mut stream, host) = connected(&network, Stray::Drop).await;
        sleep(FORGETS_AFTER + Duration::from_secs(1)).await;
        stream.write_all(b"hello").await.unwrap();
        let mut byte = [0];
        let read = timeout(Duration::from_secs(300), stream.read(&mut byte)).await;
        assert!(read.is_err(), "neither an answer nor an error");
        // A new one is known at once; the old one stays forgotten.
        greeted(&host, SERVER).await;
        assert!(timeout(Duration::from_secs(300), stream.read(&mut byte)).await.is_err());
    });
}

#[test]
fn or_it_is_answered_with_a_reset() {
    simulate(62, |network| async move {
        let (_server, _client, mut stream, host) = connected(&network, Stray::Reset).await;
        sleep(FORGETS_AFTER + Duration::from_secs(1)).await;
        let began = Instant::now();
        let error = greet(&mut stream).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert!(began.elapsed() < Duration::from_millis(20), "{:?}", began.elapsed());
        greeted(&host, SERVER).await;
    });
}

#[test]
fn a_firewall_that_was_restarted_knows_no_connection() {
    for (stray, is_told) in [(Stray::Drop, false), (Stray::Reset, true)] {
        simulate(63, move |network| async move {
            let (_server, _client, mut stream, host) = connected(&network, stray).await;
            network.forget_connections();
            let greeted_again = timeout(Duration::from_secs(60), greet(&mut stream)).await;
            assert_eq!(greeted_again.is_ok(), is_told, "{greeted_again:?}");
            greeted(&host, SERVER).await;
        });
    }
}

#[test]
fn it_is_not_in_the_way_of_others() {
    simulate(64, |network| async move {
        let rule = Firewall { forgets_after: Duration::ZERO, stray: Stray::Drop };
        network.set_firewall(&["elsewhere".to_owned()], rule);
        let (server, client) =
            (machine(&network, "server", SERVER), machine(&network, "client", CLIENT));
        server.start(echo);
        sleep(Duration::from_millis(1)).await;
        on(&client, |host| async move {
            let mut stream = greeted(&host, SERVER).await;
            sleep(Duration::from_secs(10)).await;
            greet(&mut stream).await.unwrap();
        })
        .await;
    });
}
