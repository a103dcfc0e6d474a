//! What a stranger with reach of the port may send, and that nothing of it lasts: plain gRPC
//! requests, without anything of this program but its messages.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use gitstratum_core::placement::{Layout, Member, MemberState, NodeId, Placement};
use gitstratum_proto::v1;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic_health::pb::health_check_response::ServingStatus;

use super::*;

/// A layout of three nodes, each object on two of them.
fn layout(version: u64, addresses: &[String; 3]) -> Layout {
    let members = (1..).zip(addresses).map(|(number, address)| {
        let id = NodeId::new(format!("n{number}"));
        Member::active(id, address.clone(), "z".to_owned(), 1)
    });
    Layout { version, ..Layout::first((2, 1, 2), members.collect()) }.validated().unwrap()
}

fn to_wire(layout: &Layout) -> v1::Layout {
    let members = layout.members.iter().map(|member| v1::Member {
        node_id: member.node_id.to_string(),
        address: member.address.clone(),
        zone: member.zone.clone(),
        weight: member.weight,
        state: match member.state {
            MemberState::Active => v1::MemberState::Active,
            MemberState::Draining => v1::MemberState::Draining,
            MemberState::Removed => v1::MemberState::Removed,
        }
        .into(),
    });
    v1::Layout {
        cluster_id: String::new(),
        version: layout.version,
        replicas: layout.replicas as u32,
        write_quorum: layout.write_quorum as u32,
        read_quorum: layout.read_quorum as u32,
        settled: layout.settled,
        members: members.collect(),
        previous: layout.previous.iter().map(|earlier| to_wire(earlier)).collect(),
    }
}

/// An address where nobody listens.
async fn free() -> String {
    let listener = Net::new().listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    listener.local_addr().unwrap().to_string()
}

async fn addresses() -> [String; 3] {
    [free().await, free().await, free().await]
}

/// Node `n{number}` of the layout.
async fn member(number: usize, layout: &Layout, scratch: &Scratch) -> Running {
    let node_id = format!("n{number}");
    let mut config = config(&node_id, "127.0.0.1:1");
    config.layout = layout.clone();
    config.listen = layout.member(&NodeId::new(node_id)).unwrap().address.parse().unwrap();
    start_with(config, &scratch.disk).await
}

/// Objects that have `node_id` among their replicas, or not.
fn objects(layout: &Layout, node_id: &str, among: bool) -> impl Iterator<Item = v1::Object> {
    let placement = Placement::new(Arc::new(layout.clone()));
    let node_id = NodeId::new(node_id);
    (0..).map(|number: u64| blob(&number.to_string())).filter_map(move |object| {
        let holds = placement.replicas(&object.id()).contains(&node_id);
        (holds == among).then(|| wire(&object))
    })
}

fn blob(text: &str) -> Object {
    Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from(text.to_owned())).unwrap()
}

fn wire(object: &Object) -> v1::Object {
    v1::Object {
        id: Bytes::copy_from_slice(object.id().as_bytes()),
        kind: v1::Kind::Blob.into(),
        data: object.data().clone(),
    }
}

/// A request that says it goes by this version of the layout.
fn claiming<T>(version: u64, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("gitstratum-layout", version.to_string().parse().unwrap());
    request
}

fn failure(status: &tonic::Status) -> v1::FailureKind {
    prost::Message::decode(status.details())
        .map_or(v1::FailureKind::Unspecified, |failure| v1::Failure::kind(&failure))
}

#[tokio::test]
async fn a_layout_version_that_nobody_can_show_stores_nothing_elsewhere_and_keeps_no_hints() {
    let layout = layout(1, &addresses().await);
    let scratch = scratch();
    let node = member(1, &layout, &scratch).await;
    let mut rpc = node.rpc().await;
    let foreign = objects(&layout, "n1", false).next().unwrap();
    for version in [2, u64::MAX] {
        let began = Instant::now();
        let put = v1::PutRequest { object: Some(foreign.clone()) };
        let status = rpc.put(claiming(version, put)).await.unwrap_err();
        assert_eq!(failure(&status), v1::FailureKind::StaleLayout, "{status}");
        assert!(began.elapsed() < Duration::from_secs(4), "it took {:?}", began.elapsed());

        let batch = v1::PutBatchRequest { objects: vec![foreign.clone()] };
        let batches = futures_util::stream::iter([batch]);
        let mut answers = rpc.put_batch(claiming(version, batches)).await.unwrap().into_inner();
        let status = answers.message().await.unwrap_err();
        assert_eq!(failure(&status), v1::FailureKind::StaleLayout, "{status}");

        let size_bytes = foreign.data.len() as u64;
        let head = v1::LargeObject { id: foreign.id.clone(), kind: foreign.kind, size_bytes };
        let parts = [
            v1::put_large_request::Part::Head(head),
            v1::put_large_request::Part::Data(foreign.data.clone()),
        ];
        let parts = parts.map(|part| v1::PutLargeRequest { part: Some(part) });
        let parts = futures_util::stream::iter(parts);
        let status = rpc.put_large(claiming(version, parts)).await.unwrap_err();
        assert_eq!(failure(&status), v1::FailureKind::StaleLayout, "{status}");

        let missed = (0..1000).map(|number| v1::Missed {
            node_id: format!("stranger-{number}"),
            id: foreign.id.clone(),
            reason: String::new(),
            class: 0,
        });
        let report = v1::StoreHintsRequest { missed: missed.collect() };
        let status = rpc.store_hints(claiming(version, report)).await.unwrap_err();
        assert_eq!(failure(&status), v1::FailureKind::StaleLayout, "{status}");
    }
    let metrics = node.metrics().await;
    assert_eq!(metrics.count("gitstratum_store_objects"), 0);
    for nothing in ["recorded_total", "pending", "dirty_ranges"] {
        assert_eq!(metrics.count(&format!("gitstratum_hints_{nothing}")), 0, "{nothing}");
    }

    // What is its own it stores for anyone, and it keeps hints for members.
    let own = objects(&layout, "n1", true).next().unwrap();
    rpc.put(claiming(u64::MAX, v1::PutRequest { object: Some(own.clone()) })).await.unwrap();
    let missed =
        vec![v1::Missed { node_id: "n2".into(), id: own.id, reason: String::new(), class: 0 }];
    rpc.store_hints(claiming(u64::MAX, v1::StoreHintsRequest { missed })).await.unwrap();
    let status = node.status().await;
    assert_eq!(metrics_of(&status).count("gitstratum_hints_pending"), 1);
    assert_eq!(status.layout_version, 1);
    node.stop().await;
}

#[tokio::test]
async fn a_layout_that_is_applied_is_the_next_one() {
    let addresses = addresses().await;
    let scratch = scratch();
    let node = member(1, &layout(1, &addresses), &scratch).await;
    let mut rpc = node.rpc().await;
    let mut apply = async |layout: v1::Layout| {
        let request = v1::ApplyLayoutRequest { layout: Some(layout) };
        rpc.apply_layout(request).await.map(|applied| applied.into_inner().version)
    };
    for version in [3, (1 << 63) - 1, u64::MAX] {
        let refused = apply(v1::Layout { version, ..to_wire(&layout(1, &addresses)) }).await;
        let refused = refused.unwrap_err();
        assert!(refused.message().starts_with("cluster.version: "), "{refused}");
    }
    // Nor does it take others' word for where objects were.
    let made_up = v1::Layout {
        previous: vec![v1::Layout { version: 0, ..to_wire(&layout(1, &addresses)) }],
        ..to_wire(&layout(2, &addresses))
    };
    let refused = apply(made_up).await.unwrap_err();
    assert!(refused.message().contains("version 0 before version 2"), "{refused}");
    assert_eq!(apply(to_wire(&layout(2, &addresses))).await.unwrap(), 2);
    assert_eq!(apply(to_wire(&layout(3, &addresses))).await.unwrap(), 3);
    node.stop().await;
}

#[tokio::test]
async fn a_node_that_was_not_told_of_a_version_takes_the_one_after_from_whoever_applies_it() {
    let addresses = addresses().await;
    let first = layout(1, &addresses);
    let scratches = [scratch(), scratch(), scratch()];
    let mut nodes = Vec::new();
    for (number, scratch) in (1..).zip(&scratches) {
        nodes.push(member(number, &first, scratch).await);
    }
    let apply = async |node: usize, version: u64| {
        let layout = Some(to_wire(&layout(version, &addresses)));
        nodes[node].rpc().await.apply_layout(v1::ApplyLayoutRequest { layout }).await
    };
    apply(0, 2).await.unwrap();
    // Before a probe tells it: it asks.
    let applied = apply(2, 3).await.unwrap().into_inner();
    assert_eq!((applied.version, applied.changed), (3, true));
    let refused = apply(1, 5).await.unwrap_err();
    assert!(refused.message().contains("5 does not follow 3"), "it has 3 by now: {refused}");
    for node in nodes {
        node.stop().await;
    }
}

/// The parts of a large object: its head, and `sent` of its `size_bytes`.
fn large(size_bytes: u64, sent: usize) -> Vec<v1::PutLargeRequest> {
    let id = Bytes::from(vec![7; 20]);
    let head = v1::LargeObject { id, kind: v1::Kind::Blob.into(), size_bytes };
    let data = Bytes::from(vec![0; sent]);
    let data = data.chunks(256 << 10).map(Bytes::copy_from_slice);
    let parts = data.map(v1::put_large_request::Part::Data);
    [v1::put_large_request::Part::Head(head)]
        .into_iter()
        .chain(parts)
        .map(|part| v1::PutLargeRequest { part: Some(part) })
        .collect()
}

#[tokio::test]
async fn a_claimed_size_for_which_there_is_no_room_is_refused_before_any_of_it_comes() {
    let (node, scratch) = one().await;
    let mut rpc = node.rpc().await;
    for (size_bytes, expected) in
        [(1 << 60, v1::FailureKind::DiskFull), (u64::MAX, v1::FailureKind::TooLarge)]
    {
        // The stream stays open: the answer waits for nothing.
        let parts = futures_util::stream::iter(large(size_bytes, 0));
        let parts = parts.chain(futures_util::stream::pending());
        let refused = rpc.put_large(parts).await.unwrap_err();
        assert_eq!(failure(&refused), expected, "{refused}");
    }
    assert!(scratch.disk.list("large").await.unwrap().is_empty());
    node.stop().await;
}

#[tokio::test]
async fn a_caller_that_vanishes_leaves_nothing_of_a_large_put() {
    let (node, scratch) = one().await;
    let connection = Dialler::new(Net::new(), "").open(&node.address.to_string(), None).await;
    let connection = connection.unwrap();
    let mut rpc = connection.rpc();
    let parts = futures_util::stream::iter(large(10 << 20, 4 << 20));
    let putting = tokio::spawn(async move {
        let parts = parts.chain(futures_util::stream::pending());
        rpc.put_large(parts).await.map(drop)
    });
    let listed = async |expected: usize| {
        let began = Instant::now();
        while scratch.disk.list("large").await.unwrap().len() != expected {
            assert!(began.elapsed() < Duration::from_secs(20), "not {expected} files");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    listed(1).await;
    putting.abort();
    drop(connection);
    listed(0).await;
    node.stop().await;
}

#[tokio::test]
async fn snapshots_are_bounded() {
    let (node, scratch) = one().await;
    let mut rpc = node.rpc().await;
    for number in 0..256 {
        scratch.disk.create_dir_all(&format!("snapshots/s{number}")).await.unwrap();
    }
    let refused = rpc.snapshot(v1::SnapshotRequest { name: "one-more".into() }).await.unwrap_err();
    assert!(refused.message().contains("256 are there already: remove some"), "{refused}");
    node.stop().await;
}

#[tokio::test]
async fn a_name_that_no_layout_may_have_is_refused_without_repeating_it_raw() {
    let (node, _scratch) = one().await;
    let mut rpc = node.rpc().await;
    for node_id in ["n2\n\x1b[2J", "", &"n".repeat(1 << 20)] {
        let id = hello().id;
        let missed = v1::Missed { node_id: node_id.into(), id, reason: String::new(), class: 0 };
        let report = v1::StoreHintsRequest { missed: vec![missed] };
        let refused = rpc.store_hints(report).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().len() < 200, "{} bytes", refused.message().len());
        assert!(!refused.message().contains(|c: char| c.is_control()), "{:?}", refused.message());
        let request = v1::CompareRequest { caller: node_id.into(), ..Default::default() };
        let refused = rpc.compare(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    node.stop().await;
}

/// What is logged on this thread, which is all that a test's node has.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_node_at_its_bound_of_requests_says_so_and_answers_who_it_is_and_how() {
    log_nowhere();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (node, _scratch) = one().await;
    // A connection has a share of what a member may have, which is a share itself.
    let mut one = node.rpc().await;
    let mut rest = [node.rpc().await, node.rpc().await, node.rpc().await];
    let (mut held, end) = (Vec::new(), CancellationToken::new());
    let refused = loop {
        let rpc = match held.len() % 4 {
            0 => &mut one,
            other => &mut rest[other - 1],
        };
        // Nothing is asked, and the end does not come for a while.
        let asked = futures_util::stream::pending().take_until(end.clone().cancelled_owned());
        match rpc.get_batch(asked).await {
            Ok(answers) => held.push(answers),
            Err(refused) => break refused,
        }
        assert!(held.len() <= 2000, "there is no bound");
    };
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(held.len(), 768);
    for _ in 0..20 {
        let refused = one.put(v1::PutRequest { object: Some(hello()) }).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
    }
    // Whoever comes now learns who is there, and how it is; without saying who it is, too.
    let mut stranger = super::health::health_of(&node).await;
    let serving = super::health::check(&mut stranger, "").await.unwrap();
    assert_eq!(serving, ServingStatus::Serving);
    let metrics = node.metrics().await;
    assert!(metrics.count("gitstratum_server_requests_in_flight") > 768);
    assert_eq!(metrics.count("gitstratum_server_requests_max"), 768);
    assert_eq!(metrics.count("gitstratum_server_requests_refused_total"), 21);
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(logged.matches("overloaded: requests are refused").count(), 1, "{logged}");
    end.cancel();
    drop(held);
    let began = Instant::now();
    while let Err(refused) = one.put(v1::PutRequest { object: Some(hello()) }).await {
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(began.elapsed() < Duration::from_secs(20), "{refused}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    node.stop().await;
}
