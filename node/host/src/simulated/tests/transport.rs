//! A network on which nothing fails but packets.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::{Instant, sleep};

use super::*;
use crate::simulated::WireStats;

#[test]
fn bytes_arrive_in_order_across_a_link_that_takes_time() {
    simulate(1, |network| async move {
        let (server, client) =
            (machine(&network, "server", SERVER), machine(&network, "client", CLIENT));
        let slow = Duration::from_millis(40);
        network.set_link("client", "server", Link { latency: slow..=slow, loss: 0.0 });
        let said = pattern(3_000_000);
        let heard = said.clone();
        server.start(|host| async move {
            let mut listener = host.net.listen(anywhere()).await.unwrap();
            let (mut stream, peer) = listener.accept().await.unwrap();
            assert_eq!(peer.ip(), CLIENT);
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            assert!(all == heard, "{} bytes arrived, some of them wrong", all.len());
            stream.write_all(b"all").await.unwrap();
        });
        sleep(Duration::from_millis(1)).await;
        let took = on(&client, move |host| async move {
            let start = Instant::now();
            let mut stream = host.net.dial(at(SERVER), PATIENCE).await.unwrap();
            stream.write_all(&said).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, "all");
            start.elapsed()
        });
        let took = took.await;
        // SYN, then windows of 256 KiB, each a journey there.
        assert!(took > slow * 12 && took < slow * 24, "took {took:?}");
    });
}

#[test]
fn a_dial_is_refused_where_nobody_listens() {
    simulate(2, |network| async move {
        let _server = machine(&network, "server", SERVER);
        let client = machine(&network, "client", CLIENT);
        let (error, took) = on(&client, |host| async move {
            let start = Instant::now();
            (host.net.dial(at(SERVER), PATIENCE).await.unwrap_err(), start.elapsed())
        })
        .await;
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(took < Duration::from_millis(10), "a refusal is not a timeout: {took:?}");
    });
}

#[test]
fn a_port_in_use_and_an_address_of_another_cannot_be_listened_on() {
    simulate(3, |network| async move {
        let server = machine(&network, "server", SERVER);
        on(&server, |host| async move {
            let listener = host.net.listen(anywhere()).await.unwrap();
            let second = host.net.listen(at(SERVER)).await.unwrap_err();
            assert_eq!(second.kind(), ErrorKind::AddrInUse);
            let foreign = host.net.listen(at(CLIENT)).await.unwrap_err();
            assert_eq!(foreign.kind(), ErrorKind::AddrNotAvailable);
            drop(listener);
            host.net.listen(anywhere()).await.unwrap();
            let chosen = host.net.listen(SocketAddr::from((SERVER, 0))).await.unwrap();
            assert_ne!(chosen.local_addr().unwrap().port(), 0);
        })
        .await;
    });
}

#[test]
fn a_machine_reaches_itself() {
    simulate(4, |network| async move {
        let server = machine(&network, "server", SERVER);
        on(&server, |host| async move {
            tokio::spawn(echo(host.clone()));
            sleep(Duration::from_millis(1)).await;
            greeted(&host, SERVER).await;
            greeted(&host, Ipv4Addr::LOCALHOST).await;
        })
        .await;
    });
}

#[test]
fn a_writer_waits_for_a_reader() {
    simulate(5, |network| async move {
        let (server, client) =
            (machine(&network, "server", SERVER), machine(&network, "client", CLIENT));
        let taken = Arc::new(AtomicUsize::new(0));
        let total = 8 * 1024 * 1024;
        server.start(move |host| async move {
            let mut listener = host.net.listen(anywhere()).await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            sleep(Duration::from_secs(600)).await;
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            assert_eq!(all.len(), total);
            stream.write_all(b"all").await.unwrap();
        });
        sleep(Duration::from_millis(1)).await;
        let counted = taken.clone();
        let answer = tokio::spawn(async move {
            on(&client, move |host| async move {
                let mut stream = host.net.dial(at(SERVER), PATIENCE).await.unwrap();
                let chunk = pattern(64 * 1024);
                while counted.load(Ordering::Relaxed) < total {
                    stream.write_all(&chunk).await.unwrap();
                    counted.fetch_add(chunk.len(), Ordering::Relaxed);
                }
                stream.shutdown().await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                answer
            })
            .await
        });
        sleep(Duration::from_secs(10)).await;
        let early = taken.load(Ordering::Relaxed);
        sleep(Duration::from_secs(500)).await;
        assert_eq!(taken.load(Ordering::Relaxed), early, "the writer is stopped");
        // What one machine's send buffer and the other's receive buffer hold.
        assert!(early <= 512 * 1024, "{early} bytes were taken of a stream nobody reads");
        assert_eq!(answer.await.unwrap(), "all", "and goes on when the reader reads");
    });
}

#[test]
fn what_is_lost_on_the_way_is_sent_again() {
    simulate(6, |network| async move {
        let (server, client) =
            (machine(&network, "server", SERVER), machine(&network, "client", CLIENT));
        let lossy = Link { loss: 0.05, ..lan() };
        network.set_link("client", "server", lossy.clone());
        network.set_link("server", "client", lossy);
        server.start(echo);
        sleep(Duration::from_millis(1)).await;
        on(&client, |host| async move {
            let stream = host.net.dial(at(SERVER), PATIENCE * 10).await.unwrap();
            let said = pattern(4_000_000);
            let (mut reader, mut writer) = tokio::io::split(stream);
            let expected = said.clone();
            let speaker = tokio::spawn(async move {
                writer.write_all(&said).await.unwrap();
                writer.shutdown().await.unwrap();
            });
            let mut heard = Vec::new();
            reader.read_to_end(&mut heard).await.unwrap();
            speaker.await.unwrap();
            assert!(heard == expected);
        })
        .await;
        sleep(Duration::from_secs(1)).await;
        let stats = network.stats();
        assert!(stats.packets_dropped > 10, "{stats:?}");
        assert_eq!(stats.packets_sent, stats.packets_delivered + stats.packets_dropped);
    });
}

#[test]
fn names_follow_the_name_service() {
    simulate(7, |network| async move {
        let client = machine(&network, "client", CLIENT);
        network.set_dns("server", Some(SERVER));
        let names = network.clone();
        on(&client, |host| async move {
            assert_eq!(host.net.resolve("server:7000").await.unwrap(), [at(SERVER)]);
            assert_eq!(host.net.resolve("10.0.0.3:7000").await.unwrap(), [at(OTHER)]);
            names.set_dns("server", Some(OTHER));
            assert_eq!(host.net.resolve("server:7000").await.unwrap(), [at(OTHER)]);
            names.set_dns("server", None);
            let unknown = host.net.resolve("server:7000").await.unwrap_err();
            assert_eq!(unknown.kind(), ErrorKind::NotFound);
            let nonsense = host.net.resolve("server").await.unwrap_err();
            assert_eq!(nonsense.kind(), ErrorKind::InvalidInput);
        })
        .await;
    });
}

#[test]
fn an_idle_connection_outlives_every_timeout_and_costs_nothing() {
    simulate(8, |network| async move {
        let (server, client) =
            (machine(&network, "server", SERVER), machine(&network, "client", CLIENT));
        server.start(echo);
        sleep(Duration::from_millis(1)).await;
        let watched = network.clone();
        on(&client, |host| async move {
            let mut stream = greeted(&host, SERVER).await;
            sleep(Duration::from_secs(10)).await;
            let before = watched.stats();
            sleep(Duration::from_secs(100_000)).await;
            assert_eq!(watched.stats(), before, "an idle connection says nothing");
            greet(&mut stream).await.unwrap();
        })
        .await;
    });
}

#[test]
fn a_sender_learns_that_the_reader_has_gone() {
    simulate(9, |network| async move {
        let (server, client) =
            (machine(&network, "server", SERVER), machine(&network, "client", CLIENT));
        server.start(|host| async move {
            let mut listener = host.net.listen(anywhere()).await.unwrap();
            drop(listener.accept().await.unwrap());
            std::future::pending::<()>().await
        });
        sleep(Duration::from_millis(1)).await;
        on(&client, |host| async move {
            let mut stream = host.net.dial(at(SERVER), PATIENCE).await.unwrap();
            sleep(Duration::from_millis(100)).await;
            // The FIN says only that the server writes no more.
            stream.write_all(b"still there?").await.unwrap();
            sleep(Duration::from_millis(100)).await;
            let error = stream.write_all(b"no").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        })
        .await;
    });
}

#[test]
fn a_network_that_was_shut_down_keeps_no_process_in_memory() {
    let kept = Arc::new(());
    let (held, also_held) = (kept.clone(), kept.clone());
    simulate(10, |network| async move {
        let (server, client) =
            (machine(&network, "server", SERVER), machine(&network, "client", CLIENT));
        server.start(|host| async move {
            let _held = held;
            echo(host).await;
        });
        sleep(Duration::from_millis(1)).await;
        client.start(|host| async move {
            let _held = also_held;
            let mut stream = greeted(&host, SERVER).await;
            let _ = stream.read(&mut [0]).await;
        });
        sleep(Duration::from_secs(1)).await;
    });
    assert_eq!(Arc::strong_count(&kept), 1);
}

/// What a run saw: when each of many concurrent exchanges ended, and the wire's own account.
fn observe(seed: u64) -> (Vec<(usize, Duration)>, WireStats) {
    simulate(seed, |network| async move {
        let server = machine(&network, "server", SERVER);
        let client = machine(&network, "client", CLIENT);
        network.set_link("client", "server", Link { loss: 0.01, ..lan() });
        server.start(echo);
        sleep(Duration::from_millis(1)).await;
        let seen = on(&client, |host| async move {
            let start = Instant::now();
            let (say, mut hear) = tokio::sync::mpsc::unbounded_channel();
            for number in 0..20 {
                let (host, say) = (host.clone(), say.clone());
                tokio::spawn(async move {
                    let mut stream = host.net.dial(at(SERVER), PATIENCE).await.unwrap();
                    for _ in 0..10 {
                        greet(&mut stream).await.unwrap();
                        say.send((number, start.elapsed())).unwrap();
                    }
                });
            }
            drop(say);
            let mut seen = Vec::new();
            while let Some(one) = hear.recv().await {
                seen.push(one);
            }
            seen
        })
        .await;
        server.crash();
        sleep(Duration::from_secs(1)).await;
        (seen, network.stats())
    })
}

#[test]
fn a_seed_run_twice_gives_the_same_run_and_another_seed_another() {
    let first = observe(11);
    assert_eq!(first.0.len(), 200);
    assert_eq!(first, observe(11));
    assert_ne!(first.1.digest, observe(12).1.digest);
}
