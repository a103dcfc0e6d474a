//! Recorded conversation: messages of the nodes' contract as a program of a version sent them.
//!
//! `tests/fixtures/VERSION/conversation.txt` has what a client asked a node and what that answered, a
//! message a line: the method, which side, and the bytes in hexadecimal. It is recorded with the
//! release (`tests/cluster/versions/record.rs` has the command), and not again.

use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use gitstratum_catalog::Query;
use gitstratum_catalog::encode::encode_query;
use gitstratum_cluster::transport::Rpc;
use gitstratum_cluster::wire::PROTOCOL_VERSION;
use gitstratum_core::object::{HashAlgorithm, Kind, Object};
use gitstratum_proto::v1;
use prost::Message;
use tonic::{Response, Status, Streaming};

use super::{hello, one};

/// Versions whose conversations are understood: this one's and the one before.
const READ: [&str; 1] = ["0.1"];

const REQUEST: &str = "request";
const ANSWER: &str = "answer";
const FAILURE: &str = "failure";

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    method: String,
    side: &'static str,
    bytes: Vec<u8>,
}

fn path(version: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fixtures.join(version).join("conversation.txt")
}

fn recorded(version: &str) -> Vec<Said> {
    let text = fs::read_to_string(path(version)).unwrap();
    let said = |line: &str| {
        let [method, side, bytes] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let side = [REQUEST, ANSWER, FAILURE].into_iter().find(|known| *known == side).unwrap();
        Said { method: method.to_owned(), side, bytes: hex::decode(bytes).unwrap() }
    };
    text.lines().map(said).collect()
}

/// The first of some requests.
fn only<T: Message + Default>(requests: &[Vec<u8>]) -> T {
    T::decode(&*requests[0]).unwrap()
}

/// All of some requests.
fn each<T: Message + Default + 'static>(
    requests: &[Vec<u8>],
) -> impl Stream<Item = T> + Send + 'static {
    let requests: Vec<T> = requests.iter().map(|bytes| T::decode(&**bytes).unwrap()).collect();
    stream::iter(requests)
}

type Answers = Vec<(&'static str, Vec<u8>)>;

fn failed(status: &Status) -> Answers {
    let in_words =
        || v1::Failure { message: status.message().to_owned(), ..v1::Failure::default() };
    match status.details() {
        [] => vec![(FAILURE, in_words().encode_to_vec())],
        details => vec![(FAILURE, details.to_vec())],
    }
}

fn answered<T: Message>(answer: Result<Response<T>, Status>) -> Answers {
    match answer {
        Ok(answer) => vec![(ANSWER, answer.into_inner().encode_to_vec())],
        Err(status) => failed(&status),
    }
}

async fn streamed<T: Message>(answer: Result<Response<Streaming<T>>, Status>) -> Answers {
    match answer {
        Ok(answers) => {
            let encoded = |answer: Result<T, Status>| (ANSWER, answer.unwrap().encode_to_vec());
            answers.into_inner().map(encoded).collect().await
        }
        Err(status) => failed(&status),
    }
}

/// What a node answers to the requests of one call.
async fn ask(rpc: &mut Rpc, method: &str, requests: &[Vec<u8>]) -> Answers {
    match method {
        "Identify" => answered(rpc.identify(only::<v1::IdentifyRequest>(requests)).await),
        "Put" => answered(rpc.put(only::<v1::PutRequest>(requests)).await),
        "Get" => answered(rpc.get(only::<v1::GetRequest>(requests)).await),
        "Has" => answered(rpc.has(only::<v1::HasRequest>(requests)).await),
        "PutBatch" => streamed(rpc.put_batch(each::<v1::PutBatchRequest>(requests)).await).await,
        "GetBatch" => streamed(rpc.get_batch(each::<v1::GetBatchRequest>(requests)).await).await,
        "PutLarge" => answered(rpc.put_large(each::<v1::PutLargeRequest>(requests)).await),
        "GetLarge" => streamed(rpc.get_large(only::<v1::GetRequest>(requests)).await).await,
        "StoreHints" => answered(rpc.store_hints(only::<v1::StoreHintsRequest>(requests)).await),
        "Status" => answered(rpc.status(only::<v1::StatusRequest>(requests)).await),
        "Snapshot" => answered(rpc.snapshot(only::<v1::SnapshotRequest>(requests)).await),
        "ApplyLayout" => answered(rpc.apply_layout(only::<v1::ApplyLayoutRequest>(requests)).await),
        "Compare" => answered(rpc.compare(only::<v1::CompareRequest>(requests)).await),
        "Wants" => answered(rpc.wants(only::<v1::WantsRequest>(requests)).await),
        "Job" => answered(rpc.job(only::<v1::JobRequest>(requests)).await),
        "Agree" => answered(rpc.agree(only::<v1::AgreeRequest>(requests)).await),
        "Catalog" => answered(rpc.catalog(only::<v1::CatalogRequest>(requests)).await),
        other => panic!("{other} is no method"),
    }
}

/// That a message is read and written as it was, and read with what a later version may add.
fn assert_kept<T: Message + Default + PartialEq + Debug>(Said { method, side, bytes }: &Said) {
    let message = T::decode(&**bytes).unwrap();
    assert_eq!(message.encode_to_vec(), *bytes, "{method} {side}: {message:?}");
    // Field 15000, which nobody has: its number in its three bytes, then 1.
    let later = [&bytes[..], &[0xc0, 0xa9, 0x07, 1]].concat();
    assert_eq!(T::decode(&*later).unwrap(), message, "{method} {side}");
}

fn assert_known(said: &Said) {
    match (&*said.method, said.side) {
        (_, FAILURE) => assert_kept::<v1::Failure>(said),
        ("Identify", REQUEST) => assert_kept::<v1::IdentifyRequest>(said),
        ("Identify", _) => assert_kept::<v1::IdentifyResponse>(said),
        ("Put", REQUEST) => assert_kept::<v1::PutRequest>(said),
        ("Put" | "PutLarge", ANSWER) => assert_kept::<v1::PutResponse>(said),
        ("Get" | "GetLarge", REQUEST) => assert_kept::<v1::GetRequest>(said),
        ("Get", _) => assert_kept::<v1::GetResponse>(said),
        ("Has", REQUEST) => assert_kept::<v1::HasRequest>(said),
        ("Has", _) => assert_kept::<v1::HasResponse>(said),
        ("PutBatch", REQUEST) => assert_kept::<v1::PutBatchRequest>(said),
        ("PutBatch", _) => assert_kept::<v1::PutBatchResponse>(said),
        ("GetBatch", REQUEST) => assert_kept::<v1::GetBatchRequest>(said),
        ("GetBatch", _) => assert_kept::<v1::GetBatchResponse>(said),
        ("PutLarge", _) => assert_kept::<v1::PutLargeRequest>(said),
        ("GetLarge", _) => assert_kept::<v1::GetLargeResponse>(said),
        ("StoreHints", REQUEST) => assert_kept::<v1::StoreHintsRequest>(said),
        ("StoreHints", _) => assert_kept::<v1::StoreHintsResponse>(said),
        ("Status", REQUEST) => assert_kept::<v1::StatusRequest>(said),
        ("Status", _) => assert_kept::<v1::StatusResponse>(said),
        ("Snapshot", REQUEST) => assert_kept::<v1::SnapshotRequest>(said),
        ("Snapshot", _) => assert_kept::<v1::SnapshotResponse>(said),
        ("ApplyLayout", REQUEST) => assert_kept::<v1::ApplyLayoutRequest>(said),
        ("ApplyLayout", _) => assert_kept::<v1::ApplyLayoutResponse>(said),
        ("Compare", REQUEST) => assert_kept::<v1::CompareRequest>(said),
        ("Compare", _) => assert_kept::<v1::CompareResponse>(said),
        ("Wants", REQUEST) => assert_kept::<v1::WantsRequest>(said),
        ("Wants", _) => assert_kept::<v1::WantsResponse>(said),
        ("Job", REQUEST) => assert_kept::<v1::JobRequest>(said),
        ("Job", _) => assert_kept::<v1::JobResponse>(said),
        ("Agree", REQUEST) => assert_kept::<v1::AgreeRequest>(said),
        ("Agree", _) => assert_kept::<v1::AgreeResponse>(said),
        ("Catalog", REQUEST) => assert_kept::<v1::CatalogRequest>(said),
        ("Catalog", _) => assert_kept::<v1::CatalogResponse>(said),
        _ => panic!("{said:?}"),
    }
}

#[test]
fn messages_of_this_version_and_of_the_one_before_are_read_and_written_as_they_were() {
    for version in READ {
        let conversation = recorded(version);
        let mut methods: Vec<&str> = conversation.iter().map(|said| &*said.method).collect();
        methods.dedup();
        assert_eq!(methods.len(), 17, "one call of each method: {methods:?}");
        conversation.iter().for_each(assert_known);
    }
}

#[tokio::test]
async fn a_client_of_this_version_or_of_the_one_before_is_answered_as_it_was_then() {
    // What they answer is about the process or the moment.
    const VARYING: [&str; 5] = ["Identify", "Status", "Snapshot", "Job", "Agree"];
    for version in READ {
        let (node, _scratch) = one().await;
        let mut rpc = node.rpc().await;
        wait_for_catalog(&mut rpc).await;
        let conversation = recorded(version);
        for call in conversation.chunk_by(|one, next| one.method == next.method) {
            let method = &call[0].method;
            let (requests, answers): (Vec<_>, Vec<_>) =
                call.iter().cloned().partition(|said| said.side == REQUEST);
            let requests: Vec<Vec<u8>> = requests.into_iter().map(|said| said.bytes).collect();
            let then: Answers = answers.into_iter().map(|said| (said.side, said.bytes)).collect();
            let now = ask(&mut rpc, method, &requests).await;
            let sides =
                |answers: &Answers| answers.iter().map(|(side, _)| *side).collect::<Vec<_>>();
            assert_eq!(sides(&now), sides(&then), "{method}");
            if !VARYING.contains(&&**method) {
                assert_eq!(now, then, "{method}");
            }
        }
        drop(rpc);
        node.stop().await;
    }
}

/// A question to the catalog that has one answer in an empty cluster.
fn question() -> Query {
    Query::Repositories { prefix: String::new(), after: None, max: 10 }
}

/// Waits until the node answers questions to the catalog.
async fn wait_for_catalog(rpc: &mut Rpc) {
    let request = v1::catalog_request::Request::Query(encode_query(&question()).into());
    let request = v1::CatalogRequest { request: Some(request), local: false };
    loop {
        let answered = rpc.catalog(request.clone()).await.unwrap().into_inner().answer;
        if matches!(answered, Some(v1::catalog_response::Answer::Reply(_))) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// One call of each method: its requests.
fn calls() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let object = hello();
    let large = Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from(vec![7; 4_000])).unwrap();
    let large_id = Bytes::copy_from_slice(large.id().as_bytes());
    let head =
        v1::LargeObject { id: large_id.clone(), kind: v1::Kind::Blob.into(), size_bytes: 4_000 };
    let parts = [v1::put_large_request::Part::Head(head)].into_iter().chain(
        [0..3_000, 3_000..4_000]
            .map(|range| v1::put_large_request::Part::Data(large.data().slice(range))),
    );
    let parts =
        parts.map(|part| v1::PutLargeRequest { part: Some(part) }.encode_to_vec()).collect();
    let absent = Bytes::from_static(&[9; 20]);
    let ids = vec![object.id.clone(), absent.clone()];
    let spoilt = v1::Object { data: Bytes::from_static(b"other"), ..object.clone() };
    let missed = v1::Missed {
        node_id: "n9".to_owned(),
        id: absent,
        reason: "late".to_owned(),
        class: v1::ReasonClass::TimedOut.into(),
    };
    let item = v1::CompareItem {
        first: 0,
        last: u64::MAX,
        stated: Some(v1::compare_item::Stated::Sums(v1::Numbers { numbers: vec![1, 2] })),
    };
    let compare = v1::CompareRequest {
        caller: "n9".to_owned(),
        layout_version: 1,
        key_low: 1,
        key_high: 2,
        items: vec![item],
        count_to: Some(u64::MAX),
        unsettled: vec![],
    };
    // The one that is in force.
    let member = v1::Member {
        node_id: "n1".to_owned(),
        address: "127.0.0.1:1".to_owned(),
        zone: "default".to_owned(),
        weight: 1,
        state: v1::MemberState::Active.into(),
    };
    let layout = v1::Layout {
        version: 1,
        replicas: 1,
        write_quorum: 1,
        read_quorum: 1,
        members: vec![member],
        ..v1::Layout::default()
    };
    let query = v1::catalog_request::Request::Query(encode_query(&question()).into());
    let query = v1::CatalogRequest { request: Some(query), local: true };
    vec![
        (
            "Identify",
            vec![
                v1::IdentifyRequest { caller: String::new(), protocol_version: PROTOCOL_VERSION }
                    .encode_to_vec(),
            ],
        ),
        ("Put", vec![v1::PutRequest { object: Some(object.clone()) }.encode_to_vec()]),
        ("Get", vec![v1::GetRequest { id: object.id.clone() }.encode_to_vec()]),
        ("Has", vec![v1::HasRequest { ids: ids.clone() }.encode_to_vec()]),
        ("PutBatch", vec![v1::PutBatchRequest { objects: vec![object, spoilt] }.encode_to_vec()]),
        ("GetBatch", vec![v1::GetBatchRequest { ids: ids.clone() }.encode_to_vec()]),
        ("PutLarge", parts),
        ("GetLarge", vec![v1::GetRequest { id: large_id }.encode_to_vec()]),
        ("StoreHints", vec![v1::StoreHintsRequest { missed: vec![missed] }.encode_to_vec()]),
        ("Status", vec![v1::StatusRequest {}.encode_to_vec()]),
        ("Snapshot", vec![v1::SnapshotRequest { name: "recorded".to_owned() }.encode_to_vec()]),
        ("ApplyLayout", vec![v1::ApplyLayoutRequest { layout: Some(layout) }.encode_to_vec()]),
        ("Compare", vec![compare.encode_to_vec()]),
        ("Wants", vec![v1::WantsRequest { ids }.encode_to_vec()]),
        (
            "Job",
            vec![
                v1::JobRequest { job: "scrub".to_owned(), order: v1::JobOrder::Pause.into() }
                    .encode_to_vec(),
            ],
        ),
        ("Agree", vec![v1::AgreeRequest { request: Bytes::new() }.encode_to_vec()]),
        ("Catalog", vec![query.encode_to_vec()]),
    ]
}

#[tokio::test]
#[ignore = "writes a fixture of this version"]
async fn record_the_conversation() {
    let mut numbers = env!("CARGO_PKG_VERSION").split('.');
    let path = path(&format!("{}.{}", numbers.next().unwrap(), numbers.next().unwrap()));
    assert!(!path.exists(), "{path:?} is there, and is not written over");
    let (node, _scratch) = one().await;
    let mut rpc = node.rpc().await;
    wait_for_catalog(&mut rpc).await;
    let mut text = String::new();
    for (method, requests) in calls() {
        for request in &requests {
            text += &format!("{method} {REQUEST} {}\n", hex::encode(request));
        }
        for (side, answer) in ask(&mut rpc, method, &requests).await {
            text += &format!("{method} {side} {}\n", hex::encode(answer));
        }
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    drop(rpc);
    node.stop().await;
}
