//! Bounds before trust: what clients that mean no good hold, for how long, and how others fare.
//!
//! The node's layout has it at 127.0.0.1, so connections from there are a member's; from other
//! addresses of the loopback network come clients.

use std::time::Duration;

use gitstratum_cluster::transport::server::{Portions, ServerOptions};
use gitstratum_proto::v1;
use prost::Message;
use tokio::time::Instant;

use super::raw::{Came, RawClient, connect, framed};
use super::*;

const MEMBER: &str = "127.0.0.1";
const ATTACKER: &str = "127.0.0.2";
const OTHER: &str = "127.0.0.3";
const HONEST: &str = "127.0.0.4";
/// What other clients offer: more than any answer here.
const WINDOW: u32 = 4 << 20;

/// A node with other bounds.
async fn bounded(change: impl FnOnce(&mut ServerOptions)) -> (Running, Scratch) {
    let scratch = scratch();
    let mut config = config("n1", "127.0.0.1:1");
    config.listen = "127.0.0.1:0".parse().unwrap();
    change(&mut config.server);
    (start_with(config, &scratch.disk).await, scratch)
}

/// How often a bound was reached, as metrics have it.
pub fn reached_in(metrics: &Samples, bound: &str) -> u64 {
    let sample = metrics.0.iter().find(|sample| {
        sample.name == "gitstratum_server_bounds_reached_total"
            && sample.labels.iter().any(|(_, value)| value == bound)
    });
    sample.expect("each bound has a counter").value as u64
}

impl Running {
    /// How often a bound was reached.
    async fn reached(&self, bound: &str) -> u64 {
        reached_in(&self.metrics().await, bound)
    }

    /// Puts a small object from an address; whether that was answered well.
    async fn serves(&self, from: &str) -> bool {
        let mut client = RawClient::connect(from, self.address, WINDOW).await;
        let put = v1::PutRequest { object: Some(hello()) }.encode_to_vec();
        let stream = client.begin("Put").await;
        client.send(stream, &framed(&put, put.len()), true).await;
        // An answer of a put is some bytes; a refusal has none.
        client.listen_until(|client| client.came(stream) != Came::Nothing).await;
        client.received > 0
    }

    /// Waits until nothing is held for anybody but whoever asks.
    async fn quiet(&self) {
        let began = Instant::now();
        loop {
            let in_flight = self.metrics().await.count("gitstratum_server_requests_in_flight");
            if in_flight == 1 {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(5), "{in_flight} in flight");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn silent_streams_take_a_share_of_requests_and_end_when_nothing_comes() {
    let stall_timeout = Duration::from_millis(3500);
    let (node, _scratch) = bounded(|options| options.stall_timeout = stall_timeout).await;
    let mut attackers = Vec::new();
    for (from, connections) in [(ATTACKER, 3), (OTHER, 2)] {
        for _ in 0..connections {
            let mut attacker = RawClient::connect(from, node.address, WINDOW).await;
            for _ in 0..1024 {
                attacker.begin("PutBatch").await;
            }
            attackers.push(attacker);
        }
        if from == ATTACKER {
            assert!(node.serves(HONEST).await, "one address leaves room for others");
            assert!(!node.serves(ATTACKER).await);
        }
    }
    // Clients have all that they may have, and a member finds room all the same.
    assert!(!node.serves(HONEST).await);
    assert!(node.serves(MEMBER).await);
    let metrics = node.metrics().await;
    assert_eq!(metrics.count("gitstratum_server_requests_in_flight"), 768 + 1);
    assert!(node.reached("requests").await >= 2);

    let began = Instant::now();
    node.quiet().await;
    assert!(began.elapsed() < stall_timeout + Duration::from_secs(1));
    assert!(node.reached("request_stalled").await >= 768);
    for attacker in &mut attackers {
        let ended = |attacker: &RawClient| attacker.count(Came::End) + attacker.count(Came::Reset);
        attacker.listen_until(|attacker| ended(attacker) == 1024).await;
        assert_eq!(ended(attacker), 1024);
    }
    assert!(node.serves(ATTACKER).await);
    node.stop().await;
}

#[tokio::test]
async fn silent_connections_take_a_share_and_are_closed_and_members_find_room() {
    let first_request_timeout = Duration::from_millis(2500);
    let (node, _scratch) = bounded(|options| {
        options.connections = Portions { all: 40, of_clients: 30, of_one: 20 };
        options.first_request_timeout = first_request_timeout;
    })
    .await;
    let mut silent = Vec::new();
    for from in [ATTACKER, OTHER] {
        for _ in 0..25 {
            silent.push(connect(from, node.address).await);
        }
    }
    // Whoever begins HTTP/2 and asks nothing is one of them.
    let hello = RawClient::connect(MEMBER, node.address, WINDOW).await;
    let mut rpc = node.rpc().await;
    let began = Instant::now();
    loop {
        let metrics = rpc.status(v1::StatusRequest {}).await.unwrap().into_inner();
        let metrics = metrics_of(&metrics);
        let held = metrics.count("gitstratum_server_connections");
        if (held, reached_in(&metrics, "connections")) == (32, 20) {
            break;
        }
        assert!(began.elapsed() < first_request_timeout, "{held} are open");
    }
    assert!(node.serves(MEMBER).await);

    let began = Instant::now();
    while node.reached("connection_silent").await < 31 {
        assert!(began.elapsed() < 2 * first_request_timeout);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for stream in &mut silent {
        let mut read = [0; 1024];
        // All that was sent before, and then the end.
        while let Ok(1..) = stream.read(&mut read).await {}
    }
    assert!(node.serves(ATTACKER).await);
    rpc.status(v1::StatusRequest {}).await.expect("who has asked something stays");
    drop(hello);
    node.stop().await;
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_asked_any_more_is_closed() {
    let idle_timeout = Duration::from_millis(300);
    let (node, _scratch) = bounded(|options| {
        options.idle_timeout = idle_timeout;
        options.first_request_timeout = Duration::from_millis(100);
    })
    .await;
    // The node's time begins when it answers the dialler, which is before the dialler reads it.
    let began = Instant::now();
    let connection = Dialler::new(Net::new(), "").open(&node.address.to_string(), None).await;
    let connection = connection.unwrap();
    tokio::time::timeout(Duration::from_secs(4), connection.ended()).await.unwrap();
    assert!(began.elapsed() >= idle_timeout);
    assert_eq!(node.reached("connection_idle").await, 1);
    node.stop().await;
}

/// A put of so many bytes.
fn put_of(bytes: usize) -> Vec<u8> {
    let data = Bytes::from(vec![7; bytes]);
    let object = Object::hash(HashAlgorithm::Sha1, Kind::Blob, data).unwrap();
    let id = Bytes::copy_from_slice(object.id().as_bytes());
    let kind = v1::Kind::Blob.into();
    let object = v1::Object { id, kind, data: object.data().clone() };
    v1::PutRequest { object: Some(object) }.encode_to_vec()
}

#[tokio::test]
async fn bytes_of_puts_that_lack_their_last_one_are_bounded_and_given_back() {
    let (node, _scratch) = bounded(|options| {
        options.received_bytes = Portions { all: 4 << 20, of_clients: 3 << 20, of_one: 2 << 20 };
        options.stall_timeout = Duration::from_millis(2000);
    })
    .await;
    let put = put_of(600 << 10);
    let put = framed(&put, put.len());
    let mut attacker = RawClient::connect(ATTACKER, node.address, WINDOW).await;
    let mut streams = Vec::new();
    for _ in 0..8 {
        let stream = attacker.begin("Put").await;
        attacker.send(stream, &put[..put.len() - 1], false).await;
        streams.push(stream);
    }
    let refused = |attacker: &RawClient| {
        streams.iter().filter(|&&stream| attacker.came(stream) != Came::Nothing).count()
    };
    attacker.listen_until(|attacker| refused(attacker) == 5).await;
    assert_eq!(refused(&attacker), 5, "three of them have less than the share");
    assert_eq!(node.reached("received_bytes").await, 5);
    assert!(node.serves(HONEST).await);
    node.quiet().await;
    assert_eq!(node.reached("request_stalled").await, 3);
    // As much may come again.
    for _ in 0..8 {
        let stream = attacker.begin("Put").await;
        attacker.send(stream, &put, true).await;
        attacker.listen_until(|attacker| attacker.came(stream) != Came::Nothing).await;
    }
    assert_eq!(node.reached("received_bytes").await, 5);
    assert_eq!(node.metrics().await.count("gitstratum_store_objects"), 2);
    node.stop().await;
}

#[tokio::test]
async fn a_put_that_trickles_is_given_up_and_one_that_goes_on_is_not() {
    let stall_timeout = Duration::from_millis(800);
    let (node, _scratch) = bounded(|options| options.stall_timeout = stall_timeout).await;
    let put = put_of(500 << 10);
    let put = framed(&put, put.len());
    let mut trickling = RawClient::connect(ATTACKER, node.address, WINDOW).await;
    let mut slow = RawClient::connect(HONEST, node.address, WINDOW).await;
    let trickle = trickling.begin("Put").await;
    let stream = slow.begin("Put").await;
    let began = Instant::now();
    // Longer than a request may stand still.
    for (part, byte) in put.chunks(70 << 10).zip(&put) {
        slow.send(stream, part, part.len() < 70 << 10).await;
        trickling.send(trickle, std::slice::from_ref(byte), false).await;
        slow.listen(Duration::from_millis(120)).await;
        trickling.listen(Duration::from_millis(120)).await;
    }
    assert!(began.elapsed() > 2 * stall_timeout);
    slow.listen_until(|slow| slow.came(stream) != Came::Nothing).await;
    assert_eq!((slow.came(stream), slow.received > 0), (Came::End, true));
    assert_eq!((trickling.came(trickle), trickling.received), (Came::End, 0));
    assert_eq!(node.reached("request_stalled").await, 1);
    node.stop().await;
}

#[tokio::test]
async fn answers_that_nobody_reads_are_bounded_and_given_up() {
    let (node, _scratch) = bounded(|options| {
        options.unread_bytes = Portions { all: 6 << 20, of_clients: 5 << 20, of_one: 4 << 20 };
        options.unread_after = Duration::from_millis(200);
        options.stall_timeout = Duration::from_millis(2500);
    })
    .await;
    let put = v1::PutRequest::decode(&put_of(1 << 20)[..]).unwrap();
    let id = put.object.clone().unwrap().id;
    node.rpc().await.put(put).await.unwrap();
    let get = v1::GetRequest { id }.encode_to_vec();
    let get = framed(&get, get.len());
    let mut attacker = RawClient::connect(ATTACKER, node.address, 0).await;
    for _ in 0..16 {
        let stream = attacker.begin("Get").await;
        attacker.send(stream, &get, true).await;
    }
    attacker.listen_until(|attacker| attacker.count(Came::Reset) == 13).await;
    // Each is somewhat larger than its object.
    assert_eq!(attacker.count(Came::Reset), 13);
    assert_eq!(node.reached("answer_bytes").await, 13);
    assert!(node.serves(HONEST).await);
    node.quiet().await;
    attacker.listen_until(|attacker| attacker.count(Came::Reset) == 16).await;
    assert_eq!((attacker.count(Came::Reset), attacker.received), (16, 0));
    assert_eq!(node.reached("answer_unread").await, 3);

    // One that is read slowly, in more time than it may stand still, comes to its end.
    let mut slow = RawClient::connect(HONEST, node.address, 0).await;
    let stream = slow.begin("Get").await;
    slow.send(stream, &get, true).await;
    for _ in 0..9 {
        slow.make_room(stream, 128 << 10).await;
        slow.listen(Duration::from_millis(300)).await;
    }
    assert_eq!(slow.came(stream), Came::End);
    assert!(slow.received > 1 << 20);
    node.stop().await;
}

#[tokio::test]
async fn heads_of_large_puts_take_a_share_of_what_is_received() {
    let stall_timeout = Duration::from_millis(2500);
    let (node, _scratch) = bounded(|options| options.stall_timeout = stall_timeout).await;
    let head = |number: u8| {
        let id = Bytes::from(vec![number; 20]);
        let head = v1::LargeObject { id, kind: v1::Kind::Blob.into(), size_bytes: 10 << 20 };
        let part = Some(v1::put_large_request::Part::Head(head));
        let head = v1::PutLargeRequest { part }.encode_to_vec();
        framed(&head, head.len())
    };
    let mut attacker = RawClient::connect(ATTACKER, node.address, WINDOW).await;
    let mut streams = Vec::new();
    for number in 0..16 {
        let stream = attacker.begin("PutLarge").await;
        attacker.send(stream, &head(number), false).await;
        streams.push(stream);
    }
    let refused = |attacker: &RawClient| {
        streams.iter().filter(|&&stream| attacker.came(stream) != Came::Nothing).count()
    };
    attacker.listen_until(|attacker| refused(attacker) == 8).await;
    assert_eq!((refused(&attacker), node.reached("large_objects").await), (8, 8));

    let data = Bytes::from(vec![9; 2 << 20]);
    let object = Object::hash(HashAlgorithm::Sha1, Kind::Blob, data.clone()).unwrap();
    let id = Bytes::copy_from_slice(object.id().as_bytes());
    let head = v1::LargeObject { id, kind: v1::Kind::Blob.into(), size_bytes: 2 << 20 };
    let parts = data.chunks(256 << 10).map(Bytes::copy_from_slice);
    let parts = parts.map(v1::put_large_request::Part::Data);
    let parts = [v1::put_large_request::Part::Head(head)].into_iter().chain(parts);
    let parts: Vec<_> = parts.map(|part| v1::PutLargeRequest { part: Some(part) }).collect();
    node.rpc().await.put_large(futures_util::stream::iter(parts)).await.unwrap();
    node.quiet().await;
    node.stop().await;
}

#[tokio::test]
async fn a_message_of_too_many_elements_is_refused_before_it_is_decoded() {
    let (node, _scratch) = one().await;
    let empty = [0x0a, 0].repeat((2 << 20) - 16);
    let mut attacker = RawClient::connect(ATTACKER, node.address, WINDOW).await;
    for method in ["PutBatch", "GetBatch", "Has", "StoreHints", "Wants"] {
        let stream = attacker.begin(method).await;
        // No more of it than is needed to see what it is.
        attacker.send(stream, &framed(&empty[..128 << 10], empty.len()), false).await;
        attacker.listen_until(|attacker| attacker.came(stream) != Came::Nothing).await;
        assert_eq!(attacker.came(stream), Came::End, "{method}");
    }
    assert_eq!(node.reached("elements").await, 5);
    // As many as a batch may have, and somewhat more, are told how many that is.
    let ids = vec![hello().id; 1025];
    let refused = node.rpc().await.has(v1::HasRequest { ids }).await.unwrap_err();
    assert!(refused.message().contains("1025 in one batch, 1024 allowed"), "{refused}");
    node.stop().await;
}

#[tokio::test]
async fn a_node_that_stops_waits_for_nobody_who_neither_sends_nor_reads() {
    let (node, _scratch) = bounded(|options| {
        options.stall_timeout_stopping = Duration::from_millis(600);
    })
    .await;
    let put = v1::PutRequest::decode(&put_of(1 << 20)[..]).unwrap();
    let id = put.object.clone().unwrap().id;
    node.rpc().await.put(put).await.unwrap();
    let get = v1::GetRequest { id }.encode_to_vec();
    let mut unread = RawClient::connect(ATTACKER, node.address, 0).await;
    let stream = unread.begin("Get").await;
    unread.send(stream, &framed(&get, get.len()), true).await;
    let mut silent = RawClient::connect(ATTACKER, node.address, WINDOW).await;
    silent.begin("PutBatch").await;
    // Whoever reads goes on while the node stops.
    let mut slow = RawClient::connect(HONEST, node.address, 0).await;
    let stream = slow.begin("Get").await;
    slow.send(stream, &framed(&get, get.len()), true).await;
    slow.listen(Duration::from_millis(100)).await;

    let began = Instant::now();
    let reading = async {
        for _ in 0..9 {
            slow.make_room(stream, 128 << 10).await;
            slow.listen(Duration::from_millis(100)).await;
        }
        began.elapsed()
    };
    let (read, ()) = tokio::join!(reading, node.stop());
    assert_eq!((slow.came(stream), slow.received > 1 << 20), (Came::End, true));
    assert!(began.elapsed() < read + Duration::from_secs(2), "{:?}", began.elapsed());
}
