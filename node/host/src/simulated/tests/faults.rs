//! Machines that die, come back and move, and links that are cut.

use std::io::ErrorKind;

use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::disk::OpenMode;
use crate::signal::Terminations;

/// A server that echoes, and a client with a connection to it that works.
async fn connected(network: &Network) -> (Machine, Machine, Stream, Host) {
    let (server, client) = (machine(network, "server", SERVER), machine(network, "client", CLIENT));
    server.start(echo);
    sleep(Duration::from_millis(1)).await;
    let (stream, host) =
        on(&client, |host| async move { (greeted(&host, SERVER).await, host) }).await;
    // The last acknowledgement arrives.
    sleep(Duration::from_millis(10)).await;
    (server, client, stream, host)
}

#[test]
fn a_dial_across_a_cut_times_out_and_works_once_mended() {
    for (from, to) in [("client", "server"), ("server", "client")] {
        simulate(21, move |network| async move {
            let (_server, _client, _stream, host) = connected(&network).await;
            network.cut(from, to);
            let start = Instant::now();
            let error = host.net.dial(at(SERVER), Duration::from_secs(5)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert!(start.elapsed() >= Duration::from_secs(5));
            network.mend(from, to);
            greeted(&host, SERVER).await;
        });
    }
}

#[test]
fn a_connection_survives_a_cut_shorter_than_its_timeout() {
    simulate(22, |network| async move {
        let (_server, _client, mut stream, _host) = connected(&network).await;
        network.cut("client", "server");
        let started = Instant::now();
        let greeting = greet(&mut stream);
        let mender = async {
            sleep(Duration::from_secs(30)).await;
            network.mend("client", "server");
        };
        let (greeted, ()) = tokio::join!(greeting, mender);
        greeted.unwrap();
        assert!(started.elapsed() > Duration::from_secs(30));
    });
}

#[test]
fn unacknowledged_data_ends_a_connection_after_the_user_timeout() {
    simulate(23, |network| async move {
        let (_server, _client, mut stream, _host) = connected(&network).await;
        network.cut("client", "server");
        let started = Instant::now();
        assert_eq!(greet(&mut stream).await.unwrap_err().kind(), ErrorKind::TimedOut);
        let took = started.elapsed();
        assert!(took >= Duration::from_secs(900) && took < Duration::from_secs(1000), "{took:?}");
    });
}

#[test]
fn packets_under_way_are_lost_when_the_link_is_cut() {
    simulate(24, |network| async move {
        let (_server, _client, mut stream, _host) = connected(&network).await;
        let far = Duration::from_millis(100);
        network.set_link("client", "server", Link { latency: far..=far, loss: 0.0 });
        let before = network.stats();
        stream.write_all(b"hello").await.unwrap();
        sleep(Duration::from_millis(50)).await;
        network.cut("client", "server");
        network.mend("client", "server");
        sleep(Duration::from_millis(200)).await;
        let after = network.stats();
        assert_eq!(after.packets_dropped, before.packets_dropped + 1);
        assert_eq!(after.packets_delivered, before.packets_delivered);
    });
}

#[test]
fn a_crash_ends_the_connections_of_the_process_and_refuses_new_ones() {
    simulate(25, |network| async move {
        let (server, _client, mut stream, host) = connected(&network).await;
        server.crash();
        assert!(!server.is_running());
        let mut byte = [0];
        let read = timeout(Duration::from_secs(1), stream.read(&mut byte)).await;
        assert_eq!(read.expect("the end is said").unwrap(), 0);
        let error = host.net.dial(at(SERVER), PATIENCE).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);

        // The dead process's sockets no longer answer for anything.
        let error = greet(&mut stream).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset));
        server.start(echo);
        sleep(Duration::from_millis(1)).await;
        greeted(&host, SERVER).await;
    });
}

#[test]
fn a_crash_with_unread_data_resets_the_connection() {
    simulate(26, |network| async move {
        let (server, client) =
            (machine(&network, "server", SERVER), machine(&network, "client", CLIENT));
        server.start(|host| async move {
            let mut listener = host.net.listen(anywhere()).await.unwrap();
            let _stream = listener.accept().await.unwrap();
            std::future::pending::<()>().await
        });
        sleep(Duration::from_millis(1)).await;
        let (mut stream, _host) = on(&client, |host| async move {
            let mut stream = host.net.dial(at(SERVER), PATIENCE).await.unwrap();
            stream.write_all(b"is anybody there").await.unwrap();
            (stream, host)
        })
        .await;
        sleep(Duration::from_millis(100)).await;
        server.crash();
        let mut byte = [0];
        let error = stream.read(&mut byte).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(stream.write(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_crash_ends_connections_that_the_process_had_lost_track_of() {
    simulate(35, |network| async move {
        let (server, client) =
            (machine(&network, "server", SERVER), machine(&network, "client", CLIENT));
        server.start(|host| async move {
            let mut listener = host.net.listen(anywhere()).await.unwrap();
            loop {
                std::mem::forget(listener.accept().await.unwrap());
            }
        });
        sleep(Duration::from_millis(1)).await;
        let (mut stream, _host) = on(&client, |host| async move {
            (host.net.dial(at(SERVER), PATIENCE).await.unwrap(), host)
        })
        .await;
        sleep(Duration::from_millis(10)).await;
        server.crash();
        let mut byte = [0];
        let read = timeout(Duration::from_secs(1), stream.read(&mut byte)).await;
        assert_eq!(read.expect("the kernel says the end").unwrap(), 0);
    });
}

#[test]
fn a_machine_that_comes_back_does_not_dial_from_the_same_ports() {
    simulate(36, |network| async move {
        let server = machine(&network, "server", SERVER);
        let client = machine(&network, "client", CLIENT);
        server.start(echo);
        sleep(Duration::from_millis(1)).await;
        let mut ports = Vec::new();
        for _ in 0..3 {
            let address =
                on(&client, |host| async move { greeted(&host, SERVER).await.local_addr() });
            ports.push(address.await.unwrap().port());
            client.power_off();
        }
        assert!(ports[0].abs_diff(ports[1]) > 10 && ports[1].abs_diff(ports[2]) > 10, "{ports:?}");
    });
}

#[test]
fn a_process_that_returns_leaves_nothing_open() {
    simulate(27, |network| async move {
        let (server, client) =
            (machine(&network, "server", SERVER), machine(&network, "client", CLIENT));
        server.start(|host| async move {
            tokio::spawn(echo(host));
            sleep(Duration::from_secs(1)).await;
        });
        sleep(Duration::from_millis(1)).await;
        let (mut stream, host) =
            on(&client, |host| async move { (greeted(&host, SERVER).await, host) }).await;
        assert!(server.is_running());
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).await.unwrap(), 0);
        assert!(!server.is_running());
        let error = host.net.dial(at(SERVER), PATIENCE).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn after_a_power_loss_nobody_says_anything() {
    simulate(28, |network| async move {
        let (server, _client, mut stream, host) = connected(&network).await;
        let before = network.stats();
        server.power_off();
        let mut byte = [0];
        let read = timeout(Duration::from_secs(100), stream.read(&mut byte)).await;
        assert!(read.is_err(), "the peer of a machine without power hears nothing");
        assert_eq!(network.stats(), before);
        assert_eq!(stream.write(b"hello").await.unwrap(), 5);
        let error = host.net.dial(at(SERVER), Duration::from_secs(3)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(network.stats().packets_delivered, before.packets_delivered);
    });
}

#[test]
fn a_machine_that_comes_back_resets_old_connections() {
    simulate(29, |network| async move {
        let (server, _client, mut stream, host) = connected(&network).await;
        server.power_off();
        sleep(Duration::from_secs(1)).await;
        server.start(echo);
        sleep(Duration::from_millis(1)).await;
        let mut byte = [0];
        let read = timeout(Duration::from_secs(100), stream.read(&mut byte)).await;
        assert!(read.is_err(), "a connection is half open until somebody speaks");
        assert_eq!(greet(&mut stream).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        greeted(&host, SERVER).await;
    });
}

#[test]
fn a_machine_that_moved_is_silent_at_the_old_address_and_answers_at_the_new() {
    simulate(30, |network| async move {
        let (server, _client, mut stream, host) = connected(&network).await;
        server.power_off();
        server.set_address(OTHER);
        server.start(echo);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(server.address(), OTHER);
        stream.write_all(b"hello").await.unwrap();
        let mut byte = [0];
        assert!(timeout(Duration::from_secs(100), stream.read(&mut byte)).await.is_err());
        greeted(&host, OTHER).await;
    });
}

#[test]
fn an_address_that_was_given_away_reaches_its_new_owner() {
    simulate(31, |network| async move {
        let (server, _client, mut stream, host) = connected(&network).await;
        server.power_off();
        server.set_address(OTHER);
        let heir = machine(&network, "heir", SERVER);
        heir.start(|host| async move {
            let mut listener = host.net.listen(anywhere()).await.unwrap();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(b"the heir").await.unwrap();
            }
        });
        sleep(Duration::from_millis(1)).await;
        assert_eq!(greet(&mut stream).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let mut stream = host.net.dial(at(SERVER), PATIENCE).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "the heir");
    });
}

#[test]
fn links_stay_with_the_name_when_the_address_changes() {
    simulate(32, |network| async move {
        let (server, _client, _stream, host) = connected(&network).await;
        network.cut("client", "server");
        server.power_off();
        server.set_address(OTHER);
        server.start(echo);
        let error = host.net.dial(at(OTHER), Duration::from_secs(2)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn a_crash_frees_the_disk_and_a_power_loss_takes_what_was_not_synced() {
    simulate(37, |network| async move {
        let server = machine(&network, "server", SERVER);
        on(&server, |host| async move {
            host.disk.create_dir_all("").await.unwrap();
            std::mem::forget(host.disk.lock("lock").await.unwrap());
            let file = host.disk.open("log", OpenMode::CreateNew).await.unwrap();
            file.write_at(0, vec!["synced".into()]).await.unwrap();
            file.sync_data().await.unwrap();
            host.disk.sync_dir("").await.unwrap();
            file.write_at(6, vec![" not".into()]).await.unwrap();
        })
        .await;
        server.crash();
        let kept = on(&server, |host| async move {
            std::mem::forget(host.disk.lock("lock").await.expect("the dead process's lock"));
            host.disk.open("log", OpenMode::Read).await.unwrap().read_at(0, 100).await.unwrap()
        });
        assert_eq!(kept.await, "synced not");
        server.power_off();
        let kept = on(&server, |host| async move {
            host.disk.lock("lock").await.expect("a lock of before the power loss");
            host.disk.open("log", OpenMode::Read).await.unwrap().read_at(0, 100).await.unwrap()
        });
        assert!(kept.await.starts_with(b"synced"));
    });
}

#[test]
#[should_panic(expected = "another machine has the address")]
fn two_machines_cannot_have_one_address() {
    simulate(33, |network| async move {
        let _server = machine(&network, "server", SERVER);
        machine(&network, "client", SERVER);
    });
}

#[test]
fn a_process_can_be_asked_to_stop() {
    simulate(34, |network| async move {
        let server = machine(&network, "server", SERVER);
        server.start(|_| async { Terminations::watch().next().await });
        sleep(Duration::from_secs(1)).await;
        assert!(server.is_running());
        server.terminate();
        sleep(Duration::from_millis(1)).await;
        assert!(!server.is_running());

        server.start(echo);
        sleep(Duration::from_millis(1)).await;
        server.terminate();
        assert!(!server.is_running(), "who does not watch for the request dies of it");
    });
}
