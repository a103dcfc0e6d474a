//! Behaviour of the simulated network, seen through sockets. Each test runs on a thread of
//! its own, as every run must.

mod faults;
mod firewall;
mod names;
mod processor;
mod stacks;
mod transport;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use madsim::runtime::Runtime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::{DiskProfile, Link, Machine, Network};
use crate::Host;
use crate::net::Stream;

const PORT: u16 = 7000;
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs `body` in a simulation and then takes the world down.
fn simulate<T, Fut>(seed: u64, body: impl FnOnce(Network) -> Fut + Send + 'static) -> T
where
    T: Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    let run = std::thread::spawn(move || {
        let runtime = Runtime::with_seed_and_config(seed, madsim::Config::default());
        runtime.block_on(async move {
            let network = Network::new(seed, lan());
            let result = body(network.clone()).await;
            network.shut_down();
            tokio::time::sleep(Duration::from_millis(1)).await;
            result
        })
    });
    run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn lan() -> Link {
    Link { latency: Duration::from_micros(200)..=Duration::from_millis(2), loss: 0.0 }
}

fn machine(network: &Network, name: &str, address: Ipv4Addr) -> Machine {
    let instant = Duration::from_micros(10)..=Duration::from_micros(10);
    let disk = DiskProfile {
        read_latency: instant.clone(),
        write_latency: instant.clone(),
        sync_latency: instant,
        ..DiskProfile::instant()
    };
    Machine::new(network, name, address, disk, u64::from(address.to_bits()))
}

/// Runs `main` as the machine's process and waits for what it returns.
async fn on<T, Fut>(machine: &Machine, main: impl FnOnce(Host) -> Fut + Send + 'static) -> T
where
    T: Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    let (say, hear) = oneshot::channel();
    machine.start(move |host| async move {
        let _ = say.send(main(host).await);
        std::future::pending().await
    });
    hear.await.expect("the process finishes what it was asked")
}

fn at(address: Ipv4Addr) -> SocketAddr {
    SocketAddr::from((address, PORT))
}

fn anywhere() -> SocketAddr {
    at(Ipv4Addr::UNSPECIFIED)
}

/// Answers every connection with what it says.
async fn echo(host: Host) {
    let mut listener = host.net.listen(anywhere()).await.unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(stream);
            let _ = tokio::io::copy(&mut reader, &mut writer).await;
        });
    }
}

/// A connection over which something was said and answered.
async fn greeted(host: &Host, address: Ipv4Addr) -> Stream {
    let mut stream = host.net.dial(at(address), PATIENCE).await.unwrap();
    greet(&mut stream).await.unwrap();
    stream
}

async fn greet(stream: &mut Stream) -> std::io::Result<()> {
    stream.write_all(b"hello").await?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"hello");
    Ok(())
}

/// Bytes that betray a loss, a repetition or an exchange.
fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}
