//! The real half, on loopback.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Net;

const TIMEOUT: Duration = Duration::from_secs(5);

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[tokio::test]
async fn a_dialled_connection_carries_bytes_without_nagle() {
    let net = Net::new();
    let mut listener = net.listen(any_port()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut caller = net.dial(address, TIMEOUT).await.unwrap();
    let (mut callee, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, caller.local_addr().unwrap());
    assert!(caller.nodelay().unwrap() && callee.nodelay().unwrap());

    caller.write_all(b"over").await.unwrap();
    let mut heard = [0; 4];
    callee.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"over");
}

#[tokio::test]
async fn a_port_in_use_is_an_error() {
    let net = Net::new();
    let listener = net.listen(any_port()).await.unwrap();
    let second = net.listen(listener.local_addr().unwrap()).await;
    assert_eq!(second.unwrap_err().kind(), ErrorKind::AddrInUse);
}

#[tokio::test]
async fn a_dial_is_refused_where_nobody_listens() {
    let net = Net::new();
    let address = net.listen(any_port()).await.unwrap().local_addr().unwrap();
    let refused = net.dial(address, TIMEOUT).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn names_resolve_or_say_why_not() {
    let net = Net::new();
    let found = net.resolve("127.0.0.1:7001").await.unwrap();
    assert_eq!(found, [SocketAddr::from(([127, 0, 0, 1], 7001))]);
    assert_eq!(net.resolve("127.0.0.1").await.unwrap_err().kind(), ErrorKind::InvalidInput);

    // `.invalid` is reserved and never resolves.
    let unknown = net.resolve("nobody.invalid:7001").await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    let carried = unknown.get_ref().unwrap();
    assert!(carried.to_string().contains("nobody.invalid:7001"));
    assert!(carried.source().is_some(), "the resolver's own words are kept");
}
