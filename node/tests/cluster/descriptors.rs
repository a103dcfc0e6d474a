//! A process that may open no more files: overload, and over when it may again.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gitstratum_cluster::transport::{Dialler, Rpc};
use gitstratum_core::object::{HashAlgorithm, Kind, Object};
use gitstratum_host::Net;
use gitstratum_proto::v1;
use prost::Message;
use tonic::Status;

use crate::support::{PROGRAM, Serve, listen};

/// Descriptors that the node may have: some tens more than it needs to start.
const DESCRIPTORS: usize = 64;
/// More callers than that.
const CALLERS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(30);

/// An object that no other test has, of so many bytes that do not get shorter.
fn object(seed: usize, len: usize) -> Object {
    let mut state = seed as u32 + 1;
    let data = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let data: Vec<u8> = data.take(len).collect();
    Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from(data)).unwrap()
}

fn id(object: &Object) -> Bytes {
    Bytes::copy_from_slice(object.id().as_bytes())
}

async fn put(rpc: &mut Rpc, object: &Object) -> Result<(), Status> {
    let (id, kind, data) = (id(object), v1::Kind::Blob.into(), object.data().clone());
    let object = Some(v1::Object { id, kind, data });
    rpc.put(v1::PutRequest { object }).await.map(drop)
}

async fn put_large(rpc: &mut Rpc, object: &Object) -> Result<(), Status> {
    let (id, kind, size_bytes) = (id(object), v1::Kind::Blob.into(), object.size_bytes());
    let head = v1::put_large_request::Part::Head(v1::LargeObject { id, kind, size_bytes });
    let data = object.data().chunks(256 << 10).map(Bytes::copy_from_slice);
    let parts: Vec<_> = [head]
        .into_iter()
        .chain(data.map(v1::put_large_request::Part::Data))
        .map(|part| v1::PutLargeRequest { part: Some(part) })
        .collect();
    rpc.put_large(futures_util::stream::iter(parts)).await.map(drop)
}

/// Stops it, while our ends of its connections hear of it.
async fn stop(node: Serve) {
    tokio::task::spawn_blocking(|| node.terminate()).await.unwrap();
}

#[track_caller]
fn assert_overloaded(status: &Status) {
    let failure = v1::Failure::decode(status.details()).unwrap();
    assert_eq!(failure.kind(), v1::FailureKind::Overloaded, "{status}");
    assert!(failure.message.contains("Too many open files"), "{status}");
}

#[tokio::test]
async fn a_node_without_descriptors_is_overloaded_and_takes_writes_again_when_it_has_some() {
    let dir = tempfile::tempdir().unwrap();
    let (address, config) = (listen(), dir.path().join("n1.toml"));
    let data = dir.path().join("data");
    let lines = format!(
        "node_id = \"n1\"\nlisten = \"{address}\"\ndata = \"{}\"\n[store]\nsegment_bytes = 65536\n",
        data.display()
    );
    fs::write(&config, lines).unwrap();
    let start = || {
        let mut shell = Command::new("sh");
        let limited = format!("ulimit -n {DESCRIPTORS} && exec \"$0\" \"$@\"");
        shell.args(["-c", &limited, PROGRAM]);
        Serve::start_by(shell, &["--config", config.to_str().unwrap()])
    };
    let node = start();
    let connect = async || Dialler::new(Net::new(), "").open(&address, None).await;
    let connection = connect().await.unwrap();
    let mut rpc = connection.rpc();
    let mut acknowledged = vec![object(0, 1000)];
    put(&mut rpc, &acknowledged[0]).await.unwrap();

    let callers: Vec<_> = (0..CALLERS).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let began = Instant::now();
    let refused = loop {
        let large = object(1000 + acknowledged.len(), 2 << 20);
        match put_large(&mut rpc, &large).await {
            Ok(()) => acknowledged.push(large),
            Err(refused) => break refused,
        }
        assert!(began.elapsed() < PATIENCE, "it has descriptors for all of them");
    };
    assert_overloaded(&refused);
    let refused = loop {
        let small = object(2000 + acknowledged.len(), 40_000);
        match put(&mut rpc, &small).await {
            Ok(()) => acknowledged.push(small),
            Err(refused) => break refused,
        }
        assert!(began.elapsed() < PATIENCE, "it has descriptors for new segments");
    };
    assert_overloaded(&refused);
    let snapshot = v1::SnapshotRequest { name: "now".into() };
    assert_overloaded(&rpc.snapshot(snapshot.clone()).await.unwrap_err());
    let status = rpc.status(v1::StatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.store.unwrap().failed, "");

    drop(callers);
    let began = Instant::now();
    let large = object(3000, 2 << 20);
    while let Err(refused) = put_large(&mut rpc, &large).await {
        assert_overloaded(&refused);
        assert!(began.elapsed() < PATIENCE, "the callers are gone");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    acknowledged.push(large);
    for seed in 4000..4005 {
        let small = object(seed, 40_000);
        put(&mut rpc, &small).await.unwrap();
        acknowledged.push(small);
    }
    rpc.snapshot(snapshot).await.unwrap();
    connect().await.expect("it accepts again");
    stop(node).await;

    let node = start();
    let ids = acknowledged.iter().map(id).collect();
    let has = connect().await.unwrap().rpc().has(v1::HasRequest { ids }).await.unwrap();
    assert_eq!(has.into_inner().present, vec![true; acknowledged.len()]);
    stop(node).await;
}
