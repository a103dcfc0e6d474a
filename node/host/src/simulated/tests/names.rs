//! Names whose answers are remembered, late, or missing.

use std::io::ErrorKind;

use tokio::time::{Instant, sleep};

use super::*;

const NAME: &str = "server:7000";

async fn resolved(host: &Host) -> Ipv4Addr {
    match host.net.resolve(NAME).await.unwrap()[0] {
        SocketAddr::V4(address) => *address.ip(),
        SocketAddr::V6(_) => unreachable!("the simulated network has none"),
    }
}

/// The host of a machine on which nothing else runs.
async fn host_of(machine: &Machine) -> Host {
    on(machine, |host| async move { host }).await
}

#[test]
fn a_resolver_remembers_an_answer_until_its_time_is_over() {
    simulate(70, |network| async move {
        network.set_dns("server", Some(SERVER));
        network.set_dns_time_to_live(Duration::from_secs(60));
        let (one, other) = (machine(&network, "one", CLIENT), machine(&network, "other", OTHER));
        let (one, other) = (host_of(&one).await, host_of(&other).await);
        assert_eq!(resolved(&one).await, SERVER);
        network.set_dns("server", Some(OTHER));
        sleep(Duration::from_secs(58)).await;
        assert_eq!(resolved(&one).await, SERVER, "it has the old answer still");
        assert_eq!(resolved(&other).await, OTHER, "which another machine never heard");
        sleep(Duration::from_secs(2)).await;
        assert_eq!(resolved(&one).await, OTHER);

        // A name that went away is answered from memory too, and then no more.
        network.set_dns("server", None);
        assert_eq!(resolved(&one).await, OTHER);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(one.net.resolve(NAME).await.unwrap_err().kind(), ErrorKind::NotFound);
        // That it does not exist is not remembered.
        network.set_dns("server", Some(SERVER));
        assert_eq!(resolved(&one).await, SERVER);
    });
}

#[test]
fn a_crash_leaves_the_resolver_and_a_power_loss_empties_it() {
    simulate(71, |network| async move {
        network.set_dns("server", Some(SERVER));
        network.set_dns_time_to_live(Duration::from_secs(3600));
        let client = machine(&network, "client", CLIENT);
        assert_eq!(resolved(&host_of(&client).await).await, SERVER);
        network.set_dns("server", Some(OTHER));
        client.crash();
        assert_eq!(resolved(&host_of(&client).await).await, SERVER);
        client.power_off();
        assert_eq!(resolved(&host_of(&client).await).await, OTHER);
    });
}

#[test]
fn a_late_answer_is_waited_for_and_a_very_late_one_given_up() {
    simulate(72, |network| async move {
        network.set_dns("server", Some(SERVER));
        let host = host_of(&machine(&network, "client", CLIENT)).await;
        network.set_dns_delay(Duration::from_secs(4));
        let began = Instant::now();
        assert_eq!(resolved(&host).await, SERVER);
        assert!(began.elapsed() >= Duration::from_secs(4));

        network.set_dns_delay(Duration::from_secs(60));
        let began = Instant::now();
        let error = host.net.resolve(NAME).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let cause = error.get_ref().unwrap().source().expect("the resolver says why");
        assert!(cause.to_string().contains("timed out"), "{cause}");
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(10) && took < Duration::from_secs(11), "{took:?}");
    });
}

#[test]
fn every_dial_is_seen_by_the_observer() {
    simulate(73, |network| async move {
        let (say, hear) = std::sync::mpsc::channel();
        network.observe_dials(move |machine, remote, open| {
            say.send((machine.to_owned(), *remote.ip(), open)).unwrap();
        });
        let server = machine(&network, "server", SERVER);
        server.start(echo);
        sleep(Duration::from_millis(1)).await;
        on(&machine(&network, "client", CLIENT), |host| async move {
            let _kept = greeted(&host, SERVER).await;
            host.net.dial(at(OTHER), Duration::from_secs(20)).await.unwrap_err();
        })
        .await;
        let seen: Vec<_> = hear.try_iter().collect();
        let client = || "client".to_owned();
        let expected = [(client(), SERVER, 1), (client(), OTHER, 2)];
        assert_eq!(seen, expected, "repeated SYNs are no dials");
    });
}
