//! One real node in this process, spoken to over loopback: bad input, the pool, shutdown.

#[path = "node/allocations.rs"]
mod allocations;
#[path = "node/bounds.rs"]
mod bounds;
#[path = "node/health.rs"]
mod health;
#[path = "node/misuse.rs"]
mod misuse;
#[path = "cluster/ports.rs"]
mod ports;
#[path = "node/raw.rs"]
mod raw;
#[path = "node/recorded.rs"]
mod recorded;
#[path = "node/requests.rs"]
mod requests;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gitstratum::config::{Config, ConfigOverrides};
use gitstratum::server::{ServeError, Serving, serve};
use gitstratum_cluster::client::{Client, ClientOptions, ConnectError};
use gitstratum_cluster::transport::{Connections, Dialler, Pool, PoolOptions, Rpc, Want};
use gitstratum_cluster::wire::metrics::metrics_of;
use gitstratum_core::metrics::Samples;
use gitstratum_core::object::{HashAlgorithm, Kind, Object};
use gitstratum_core::placement::{ClusterId, CurrentLayout, NodeId};
use gitstratum_core::replica::{DialProblem, Found, NodeError};
use gitstratum_host::disk::{Disk, Scratch, scratch};
use gitstratum_host::{Host, Net};
use gitstratum_proto::v1;
use gitstratum_store::{Fsync, OpenError, SegmentStore, Store, StoreOptions};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Code;

/// A node that stops when told.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServeError>>,
}

fn config(node_id: &str, listen: &str) -> Config {
    let overrides = ConfigOverrides {
        data: Some("unused".into()),
        listen: Some(listen.parse().unwrap()),
        node_id: Some(node_id.into()),
        ..ConfigOverrides::default()
    };
    Config::from_toml("", "test", overrides).unwrap().config
}

async fn start(node_id: &str, listen: &str, disk: &Disk) -> Running {
    // Port 0 is for the socket alone: a layout names where a node can be reached.
    let mut config = config(node_id, "127.0.0.1:1");
    config.listen = listen.parse().unwrap();
    start_with(config, disk).await
}

/// Has all threads log somewhere. What a thread without a subscriber logs first may otherwise be
/// switched off for those that have one.
fn log_nowhere() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let nowhere = tracing_subscriber::fmt().with_writer(std::io::sink);
        nowhere.with_max_level(tracing::Level::WARN).init();
    });
}

async fn start_with(config: Config, disk: &Disk) -> Running {
    log_nowhere();
    let host = Host { net: Net::new(), disk: disk.clone() };
    let (ready, address) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(async move {
        let ready = move |serving: Serving| ready.send(serving.address).unwrap();
        let stopped = async { drop(stopped.await) };
        serve(config, host, ChaCha12Rng::seed_from_u64(1), ready, stopped).await
    });
    Running { address: address.await.unwrap(), stop, served }
}

async fn one() -> (Running, Scratch) {
    let scratch = scratch();
    (start("n1", "127.0.0.1:0", &scratch.disk).await, scratch)
}

impl Running {
    async fn rpc(&self) -> Rpc {
        let address = self.address.to_string();
        Dialler::new(Net::new(), "").open(&address, None).await.unwrap().rpc()
    }

    async fn status(&self) -> v1::StatusResponse {
        self.rpc().await.status(v1::StatusRequest {}).await.unwrap().into_inner()
    }

    async fn metrics(&self) -> Samples {
        metrics_of(&self.status().await)
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.served.await.unwrap().unwrap();
    }
}

fn hello() -> v1::Object {
    let object =
        Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from_static(b"hello\n")).unwrap();
    v1::Object {
        id: Bytes::copy_from_slice(object.id().as_bytes()),
        kind: v1::Kind::Blob.into(),
        data: object.data().clone(),
    }
}

#[tokio::test]
async fn malformed_puts_are_refused_with_a_reason_and_store_nothing() {
    let (node, _scratch) = one().await;
    let mut rpc = node.rpc().await;
    let short_id = v1::Object { id: Bytes::from_static(&[7; 19]), ..hello() };
    let no_kind = v1::Object { kind: 0, ..hello() };
    let strange_kind = v1::Object { kind: 9, ..hello() };
    let other_data = v1::Object { data: Bytes::from_static(b"other"), ..hello() };
    let too_large = v1::Object { data: Bytes::from(vec![0; 2 << 20]), ..hello() };
    for (object, reason) in [
        (Some(short_id), "not 19"),
        (Some(no_kind), "unknown object kind 0"),
        (Some(strange_kind), "unknown object kind 9"),
        (Some(other_data), "hashes to"),
        (Some(too_large), "over the limit"),
        (None, "without an object"),
    ] {
        let status = rpc.put(v1::PutRequest { object }).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(status.message().contains(reason), "{status}");
    }
    let oversized = v1::Object { data: Bytes::from(vec![0; 5 << 20]), ..hello() };
    let mut unlimited = rpc.clone().max_encoding_message_size(usize::MAX);
    let status = unlimited.put(v1::PutRequest { object: Some(oversized) }).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    let status = node.status().await;
    let metrics = metrics_of(&status);
    assert_eq!(metrics.count("gitstratum_store_objects"), 0);
    let [attempted, succeeded, failed] = ["attempted", "succeeded", "failed"]
        .map(|name| metrics.count(&format!("gitstratum_server_requests_{name}_total")));
    let in_flight = metrics.count("gitstratum_server_requests_in_flight");
    assert_eq!((failed, attempted), (7, succeeded + failed + in_flight));
}

/// The metrics of a node alone, of the node as a whole.
const METRICS: &[&str] = &[
    "gitstratum_store_syncs_total",
    "gitstratum_store_written_bytes_total",
    "gitstratum_store_flush_seconds_sum",
    "gitstratum_store_flush_seconds_count",
    "gitstratum_store_flush_puts_sum",
    "gitstratum_store_flush_puts_count",
    "gitstratum_store_flush_size_bytes_sum",
    "gitstratum_store_flush_size_bytes_count",
    "gitstratum_store_puts_total",
    "gitstratum_store_gets_total",
    "gitstratum_store_compacted_segments_total",
    "gitstratum_store_compaction_freed_bytes_total",
    "gitstratum_catalog_commit_seconds_sum",
    "gitstratum_catalog_commit_seconds_count",
    "gitstratum_trace_spans_sent_total",
    "gitstratum_trace_spans_dropped_total",
    "gitstratum_log_lines_suppressed_total",
    "gitstratum_start_time_seconds",
    "gitstratum_process_cpu_seconds_total",
    "gitstratum_process_resident_memory_bytes",
    "gitstratum_process_virtual_memory_bytes",
    "gitstratum_process_open_fds",
    "gitstratum_process_max_fds",
    "gitstratum_process_threads",
    "gitstratum_layout_version",
    "gitstratum_layout_settled_version",
    "gitstratum_store_objects",
    "gitstratum_store_payload_bytes",
    "gitstratum_store_segments",
    "gitstratum_store_large_objects",
    "gitstratum_store_damaged_objects",
    "gitstratum_store_garbage_bytes",
    "gitstratum_store_disk_bytes",
    "gitstratum_store_index_memory_bytes",
    "gitstratum_scrub_running",
    "gitstratum_scrub_paused",
    "gitstratum_scrub_done_ratio",
    "gitstratum_scrub_damaged_objects",
    "gitstratum_scrub_failed",
    "gitstratum_store_free_bytes",
    "gitstratum_store_reserve_bytes",
    "gitstratum_server_connections",
    "gitstratum_server_requests_in_flight",
    "gitstratum_server_requests_attempted_total",
    "gitstratum_server_requests_succeeded_total",
    "gitstratum_server_requests_failed_total",
    "gitstratum_server_requests_refused_total",
    "gitstratum_server_requests_max",
    "gitstratum_hints_pending",
    "gitstratum_hints_bytes",
    "gitstratum_hints_max_bytes",
    "gitstratum_hints_oldest_age_seconds",
    "gitstratum_hints_recorded_total",
    "gitstratum_hints_delivered_total",
    "gitstratum_hints_deleted_total",
    "gitstratum_hints_replaced_total",
    "gitstratum_hints_moved_to_ranges_total",
    "gitstratum_hints_dirty_ranges",
    "gitstratum_pool_connections",
    "gitstratum_repair_share_ratio",
    "gitstratum_catalog_member",
    "gitstratum_catalog_voter",
    "gitstratum_catalog_leads",
    "gitstratum_catalog_term",
    "gitstratum_catalog_last_index",
    "gitstratum_catalog_applied_index",
    "gitstratum_catalog_snapshot_index",
    "gitstratum_catalog_log_entries",
    "gitstratum_catalog_leader_heard_age_seconds",
    "gitstratum_catalog_voters",
    "gitstratum_catalog_members",
    "gitstratum_catalog_clock_seconds",
    "gitstratum_catalog_last_event",
    "gitstratum_catalog_deleted_repositories",
    "gitstratum_catalog_tokens",
    "gitstratum_git_sweeps_total",
    "gitstratum_git_swept_chunks_total",
    "gitstratum_git_swept_bytes_total",
    "gitstratum_git_unowned_chunks",
];

/// And those with labels, such as a peer's name.
const METRICS_WITH_LABELS: &[&str] = &[
    "gitstratum_build_info",
    "gitstratum_layout_members",
    "gitstratum_peer_reachable",
    "gitstratum_peer_round_trip_seconds",
    "gitstratum_ready",
    "gitstratum_server_request_seconds_sum",
    "gitstratum_server_request_seconds_count",
    "gitstratum_git_request_seconds_sum",
    "gitstratum_git_request_seconds_count",
    "gitstratum_server_handshakes_total",
    "gitstratum_server_requests_denied_total",
    "gitstratum_server_bounds_reached_total",
    "gitstratum_pool_peer_connections",
    "gitstratum_pool_peer_backing_off",
    "gitstratum_pool_requests_in_flight",
    "gitstratum_pool_waiters",
    "gitstratum_pool_in_flight_bytes",
    "gitstratum_pool_hits_total",
    "gitstratum_pool_misses_total",
    "gitstratum_pool_limited_total",
    "gitstratum_pool_dials_total",
    "gitstratum_pool_dialled_total",
    "gitstratum_pool_retries_total",
    "gitstratum_pool_retries_refused_total",
    "gitstratum_pool_backoffs_cut_short_total",
    "gitstratum_pool_dials_failed_total",
    "gitstratum_pool_evictions_total",
    "gitstratum_reconcile_rounds_total",
    "gitstratum_reconcile_rounds_failed_total",
    "gitstratum_reconcile_round_trips_total",
    "gitstratum_reconcile_differing_total",
    "gitstratum_reconcile_pulled_total",
    "gitstratum_reconcile_pushed_total",
    "gitstratum_reconcile_withheld_total",
    "gitstratum_reconcile_pulled_bytes_total",
    "gitstratum_reconcile_pushed_bytes_total",
    "gitstratum_reconcile_objects_failed_total",
];

/// The names of metrics that are quoted in the source files below a directory.
fn quoted(directory: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            quoted(&path, names);
            continue;
        }
        let source = fs::read_to_string(path).unwrap();
        let is_name = |text: &&str| {
            text.starts_with("gitstratum_")
                && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        };
        names.extend(source.split('"').filter(is_name).map(str::to_owned));
    }
}

#[tokio::test]
async fn the_names_of_metrics_are_a_contract_and_commands_read_no_others() {
    let (node, _scratch) = one().await;
    let metrics = node.metrics().await;
    let (of_node, labelled): (Vec<_>, Vec<_>) =
        metrics.0.iter().partition(|sample| sample.labels.is_empty());
    let of_node: Vec<_> = of_node.iter().map(|sample| sample.name.as_str()).collect();
    assert_eq!(of_node, METRICS);
    for sample in labelled {
        assert!(METRICS_WITH_LABELS.contains(&sample.name.as_str()), "{sample:?}");
    }
    let mut read = Vec::new();
    quoted(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli"), &mut read);
    assert!(read.len() > 20, "{read:?}");
    for name in &read {
        let known = METRICS.iter().chain(METRICS_WITH_LABELS).any(|metric| metric == name);
        assert!(known, "a command reads {name}");
    }
}

#[tokio::test]
async fn a_large_put_that_ends_early_stores_nothing() {
    let (node, _scratch) = one().await;
    let mut rpc = node.rpc().await;
    let object = hello();
    let head = v1::LargeObject { id: object.id, kind: object.kind, size_bytes: 100 };
    let parts =
        [v1::put_large_request::Part::Head(head), v1::put_large_request::Part::Data(object.data)];
    let parts = parts.map(|part| v1::PutLargeRequest { part: Some(part) });
    let status = rpc.put_large(futures_util::stream::iter(parts)).await.unwrap_err();
    assert!(status.message().contains("ended after 6 of 100"), "{status}");
    assert_eq!(node.metrics().await.count("gitstratum_store_objects"), 0);
}

#[tokio::test]
async fn bytes_that_are_no_http2_end_their_connection_and_nothing_else() {
    let (node, _scratch) = one().await;
    let mut stream = Net::new().dial(node.address, Duration::from_secs(5)).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // The end may be a reset; what matters is that it comes.
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer));
    drop(ended.await.expect("the server ends the connection"));
    let put = node.rpc().await.put(v1::PutRequest { object: Some(hello()) }).await;
    assert!(put.unwrap().into_inner().stored.unwrap().durability() == v1::Durability::Synced);
}

/// A pool whose layout has node n1 at the address where `node` really listens.
fn pool_of(node: &Running) -> (NodeId, Pool) {
    let mut layout = config("n1", "127.0.0.1:1").layout;
    layout.members[0].address = node.address.to_string();
    let pool = Pool::new(
        Dialler::new(Net::new(), ""),
        &CurrentLayout::new(layout),
        ChaCha12Rng::seed_from_u64(2),
        PoolOptions::default(),
    );
    (NodeId::new("n1"), pool)
}

#[tokio::test]
async fn a_hundred_callers_make_one_connection() {
    let (node, _scratch) = one().await;
    let (node_id, pool) = pool_of(&node);
    let callers = (0..100).map(|_| pool.lease(&node_id, Want::default()));
    for entry in futures_util::future::join_all(callers).await {
        entry.unwrap();
    }
    assert_eq!(pool.numbers().counts().dials, 1);
    let connections = node.metrics().await.count("gitstratum_server_connections");
    assert_eq!(connections, 2, "the pool's and the one that asks");
}

#[tokio::test]
async fn a_peer_that_restarted_is_dialled_again() {
    let (node, scratch) = one().await;
    let (node_id, pool) = pool_of(&node);
    let first = pool.lease(&node_id, Want::default()).await.unwrap();
    let listen = node.address.to_string();
    node.stop().await;
    let node = start("n1", &listen, &scratch.disk).await;
    // The old connection may be noticed as closed, or by a request that fails on it.
    if first.rpc().status(v1::StatusRequest {}).await.is_err() {
        let (address, reason) = (listen, "as the request said".into());
        pool.ended(&node_id, &first, Err(&NodeError::ConnectionLost { address, reason }));
    }
    let second = pool.lease(&node_id, Want::default()).await.unwrap();
    second.rpc().status(v1::StatusRequest {}).await.unwrap();
    let counts = pool.numbers().counts();
    assert_eq!((counts.dials, counts.evictions.iter().sum::<u64>()), (2, 1));
    node.stop().await;
}

#[tokio::test]
async fn another_node_on_the_address_is_the_wrong_peer() {
    let scratch = scratch();
    let stranger = start("n9", "127.0.0.1:0", &scratch.disk).await;
    let (node_id, pool) = pool_of(&stranger);
    let error = pool.lease(&node_id, Want::default()).await.map(|_| ()).unwrap_err();
    assert!(error.to_string().ends_with("wrong peer: it is node n9, not n1"), "{error}");
}

#[tokio::test]
async fn a_node_of_another_cluster_is_the_wrong_peer_though_it_has_the_id() {
    let (node, _scratch) = one().await;
    let theirs = ClusterId::parse(&node.status().await.cluster_id).unwrap();
    let mut layout = config("n1", "127.0.0.1:1").layout;
    layout.members[0].address = node.address.to_string();
    for ours in [theirs.clone(), ClusterId::parse("ours").unwrap()] {
        let layout = CurrentLayout::new(layout.clone().of_cluster(&ours).unwrap());
        let rng = ChaCha12Rng::seed_from_u64(2);
        let dialler = Dialler::new(Net::new(), "");
        let pool = Pool::new(dialler, &layout, rng, PoolOptions::default());
        let leased = pool.lease(&NodeId::new("n1"), Want::default()).await.map(drop);
        let counts = pool.numbers().counts();
        let identify = counts.dials_failed.last().copied();
        if ours == theirs {
            leased.unwrap();
            assert_eq!((counts.dialled, identify), (1, Some(0)));
        } else {
            let error = leased.unwrap_err().to_string();
            let words = format!("wrong peer: it belongs to cluster {theirs}, not to ours");
            assert!(error.ends_with(&words), "{error}");
            assert_eq!((counts.dialled, identify), (0, Some(1)));
        }
    }
}

#[tokio::test]
async fn a_node_is_told_layouts_of_its_own_cluster_alone() {
    let (node, _scratch) = one().await;
    let mut rpc = node.rpc().await;
    let identified = rpc.identify(v1::IdentifyRequest::default()).await.unwrap().into_inner();
    let held = identified.layout.unwrap();
    let ours = held.cluster_id.clone();
    for (cluster_id, code, words) in [
        ("theirs", Code::FailedPrecondition, format!("cluster theirs, not to {ours}")),
        ("a b", Code::InvalidArgument, "cluster.id: ' ' is not allowed".to_owned()),
    ] {
        let layout = v1::Layout { version: 2, cluster_id: cluster_id.into(), ..held.clone() };
        let request = v1::ApplyLayoutRequest { layout: Some(layout) };
        let status = rpc.apply_layout(request).await.unwrap_err();
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(&words), "{status}");
    }
    assert_eq!(node.status().await.layout_version, 1);
    // One that names no cluster is of the node's own.
    for (version, cluster_id) in [(2, ours.clone()), (3, String::new())] {
        let layout = v1::Layout { version, cluster_id, ..held.clone() };
        rpc.apply_layout(v1::ApplyLayoutRequest { layout: Some(layout) }).await.unwrap();
        let status = node.status().await;
        assert_eq!((status.layout_version, &status.cluster_id), (version, &ours));
    }
}

#[tokio::test]
async fn nobody_there_is_refused_and_an_unknown_name_is_dns() {
    let free = Net::new().listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let open = |address: String| async move {
        Dialler::new(Net::new(), "").open(&address, None).await.map(|_| ()).unwrap_err().problem
    };
    assert!(matches!(open(address).await, DialProblem::Refused));
    let unknown = open("no-such-name.invalid:1".into()).await;
    assert!(matches!(unknown, DialProblem::Dns { .. }), "{unknown}");
}

#[tokio::test]
async fn a_peer_list_that_cannot_be_meant_is_refused() {
    for (peers, problem) in [
        (&[][..], "empty"),
        (&["a:1", "a:1"][..], "twice"),
        (&["a"][..], "HOST:PORT"),
        (&["a:99999"][..], "HOST:PORT"),
    ] {
        let peers: Vec<String> = peers.iter().map(|&peer| peer.to_owned()).collect();
        let rng = ChaCha12Rng::seed_from_u64(3);
        let connected = Client::connect(Net::new(), &peers, rng, ClientOptions::default()).await;
        let Err(ConnectError::Peers(words)) = connected else { panic!("{peers:?} was accepted") };
        assert!(words.contains(problem), "{words}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_said_and_leaves_the_data_alone() {
    let (node, _scratch) = one().await;
    let other = scratch();
    let host = Host { net: Net::new(), disk: other.disk.clone() };
    let config = config("n2", &node.address.to_string());
    let rng = ChaCha12Rng::seed_from_u64(4);
    let served = serve(config, host, rng, |_| {}, std::future::pending()).await;
    assert!(matches!(served, Err(ServeError::Listen { .. })));
    assert!(other.disk.list("").await.unwrap().is_empty());
}

#[tokio::test]
async fn shutdown_ends_idle_connections_and_what_was_put_is_there_again() {
    let (node, scratch) = one().await;
    let mut rpc = node.rpc().await;
    rpc.put(v1::PutRequest { object: Some(hello()) }).await.unwrap();
    let began = tokio::time::Instant::now();
    node.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5), "an idle connection held it up");
    let node = start("n1", "127.0.0.1:0", &scratch.disk).await;
    let has = node.rpc().await.has(v1::HasRequest { ids: vec![hello().id] }).await.unwrap();
    assert_eq!(has.into_inner().present, [true]);
}

async fn open_store(scratch: &Scratch) -> Result<Arc<SegmentStore>, OpenError> {
    let options = StoreOptions::new(NodeId::new("n1"), Fsync::Always);
    SegmentStore::open(scratch.disk.clone(), options).await
}

#[tokio::test]
async fn a_store_that_was_closed_reads_its_filters_by_itself_when_it_is_opened() {
    let scratch = scratch();
    let open = || open_store(&scratch);
    let store = open().await.unwrap();
    for text in ["one", "two", "three"] {
        let object = Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from(text)).unwrap();
        store.put(vec![object]).await.pop().unwrap().unwrap();
        store.seal().await.unwrap();
    }
    let loaded = store.stats().index_memory_bytes;
    store.close().await;

    let store = open().await.unwrap();
    assert_eq!((store.stats().objects, store.stats().segments), (3, 3));
    let loads = async {
        while store.stats().index_memory_bytes < loaded {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), loads).await.expect("nothing reads them");
    store.close().await;
}

#[tokio::test]
async fn a_store_whose_segments_are_gone_is_not_taken_for_an_empty_one() {
    let scratch = scratch();
    let open = || open_store(&scratch);
    let store = open().await.unwrap();
    let object = Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from("one")).unwrap();
    store.put(vec![object.clone()]).await.pop().unwrap().unwrap();
    store.close().await;

    // As when a file system is not mounted.
    scratch.disk.rename("segments", "elsewhere").await.unwrap();
    for _ in 0..2 {
        match open().await {
            Err(OpenError::Io { doing, .. }) => assert_eq!(doing, "list segments"),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it opened"),
        }
    }
    scratch.disk.rename("elsewhere", "segments").await.unwrap();
    let store = open().await.unwrap();
    assert!(matches!(store.get(object.id()).await, Ok(Found::Object(found)) if found == object));
    store.close().await;
}
