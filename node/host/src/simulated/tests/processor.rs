//! Processes that are stopped where they are, get little of the processor, or go by a wrong
//! clock.

use std::io::ErrorKind;

use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::unix_time_ms;

async fn connected(network: &Network) -> (Machine, Machine, Stream, Host) {
    let (server, client) = (machine(network, "server", SERVER), machine(network, "client", CLIENT));
    server.start(echo);
    sleep(Duration::from_millis(1)).await;
    let (stream, host) =
        on(&client, |host| async move { (greeted(&host, SERVER).await, host) }).await;
    sleep(Duration::from_millis(10)).await;
    (server, client, stream, host)
}

#[test]
fn the_kernel_of_a_paused_process_acknowledges_and_accepts() {
    simulate(80, |network| async move {
        let (server, _client, mut stream, host) = connected(&network).await;
        server.pause();
        assert!(server.is_running());
        // Nobody could tell from TCP: for longer than unacknowledged data would live, more
        // is taken, and connections are made.
        stream.write_all(b"hello").await.unwrap();
        sleep(Duration::from_secs(2000)).await;
        stream.write_all(b"hello").await.unwrap();
        let mut second = host.net.dial(at(SERVER), Duration::from_secs(1)).await.unwrap();
        let mut answer = [0; 10];
        let read = timeout(Duration::from_secs(60), stream.read(&mut answer)).await;
        assert!(read.is_err(), "nobody answers");

        server.resume();
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"hellohello");
        greet(&mut second).await.unwrap();
    });
}

#[test]
fn timers_of_a_paused_process_are_late() {
    simulate(81, |network| async move {
        let server = machine(&network, "server", SERVER);
        let (say, mut hear) = oneshot::channel();
        server.start(|_| async move {
            sleep(Duration::from_secs(1)).await;
            let _ = say.send(Instant::now());
            std::future::pending().await
        });
        sleep(Duration::from_millis(500)).await;
        server.pause();
        sleep(Duration::from_secs(30)).await;
        hear.try_recv().expect_err("its process is stopped");
        let resumed = Instant::now();
        server.resume();
        let woke = hear.await.unwrap() - resumed;
        assert!(woke < Duration::from_millis(1), "{woke:?}");
    });
}

#[test]
fn a_paused_process_dies_like_any_other() {
    simulate(82, |network| async move {
        let (server, _client, mut stream, host) = connected(&network).await;
        server.pause();
        server.crash();
        let mut byte = [0];
        let read = timeout(Duration::from_secs(1), stream.read(&mut byte)).await;
        assert_eq!(read.expect("the kernel says the end").unwrap(), 0);
        let error = host.net.dial(at(SERVER), PATIENCE).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        server.start(echo);
        sleep(Duration::from_millis(1)).await;
        greeted(&host, SERVER).await;
        server.pause();
        server.power_off();
        server.start(echo);
        sleep(Duration::from_millis(1)).await;
        greeted(&host, SERVER).await;
    });
}

#[test]
fn a_throttled_process_answers_once_in_a_hundred_milliseconds() {
    simulate(83, |network| async move {
        let (server, _client, mut stream, _host) = connected(&network).await;
        let rounds = |count: u32, mut stream: Stream| async move {
            let began = Instant::now();
            for _ in 0..count {
                greet(&mut stream).await.unwrap();
            }
            (began.elapsed() / count, stream)
        };
        let (quick, back) = rounds(20, stream).await;
        stream = back;
        server.throttle(100);
        let (slow, back) = rounds(20, stream).await;
        stream = back;
        assert!(quick < Duration::from_millis(5), "{quick:?}");
        assert!(slow > Duration::from_millis(90) && slow < Duration::from_millis(110), "{slow:?}");
        server.resume();
        let (again, _) = rounds(20, stream).await;
        assert!(again < Duration::from_millis(5), "{again:?}");
    });
}

#[test]
fn orders_about_the_processor_replace_each_other() {
    simulate(84, |network| async move {
        let (server, _client, mut stream, _host) = connected(&network).await;
        server.throttle(10);
        server.pause();
        assert!(timeout(Duration::from_secs(5), greet(&mut stream)).await.is_err());
        server.throttle(10);
        sleep(Duration::from_secs(1)).await;
        server.crash();
        server.start(echo);
        sleep(Duration::from_millis(1)).await;
        // The next process has the processor to itself.
        server.throttle(1);
        server.resume();
        assert!(server.is_running());
    });
}

#[test]
fn a_clock_that_is_set_is_set_for_every_process_of_one_machine() {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    async fn now(machine: &Machine) -> u64 {
        let now_ms = on(machine, |_| async { unix_time_ms() }).await;
        machine.crash();
        now_ms
    }
    simulate(88, |network| async move {
        let server = machine(&network, "server", SERVER);
        let client = machine(&network, "client", CLIENT);
        let right_ms = now(&client).await;
        server.set_clock(DAY);
        for _ in 0..2 {
            let ahead = Duration::from_millis(now(&server).await - now(&client).await);
            assert!(DAY.abs_diff(ahead) < Duration::from_secs(1), "{ahead:?}");
        }
        server.set_clock(Duration::ZERO);
        assert!(now(&server).await.abs_diff(right_ms) < 1000, "set right, it is back");
    });
}
