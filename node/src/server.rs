//! A node, assembled: configuration and host in, a running server out.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gitstratum_cluster::membership::cluster::{self, Configured};
use gitstratum_cluster::membership::{ClusterError, KeepError, LayoutKeeper, follow};
use gitstratum_cluster::quorum::decorate::Retried;
use gitstratum_cluster::repair::hints::{Delivery, Targets};
use gitstratum_cluster::repair::reconcile::{Numbers, Reconciler};
use gitstratum_cluster::repair::{
    CatchingUp, Control, DirtyRanges, Felt, HintError, HintLog, PeerTable, probe,
};
use gitstratum_cluster::rpc::RemoteNode;
use gitstratum_cluster::service::{Compared, NodeService, Stores};
use gitstratum_cluster::transport::server::{self, Requests};
use gitstratum_cluster::transport::{Connections, Dialler, Pool};
use gitstratum_core::limits;
use gitstratum_core::placement::{CurrentLayout, Layout, NodeId};
use gitstratum_core::replica::NodeWriter;
use gitstratum_host::Host;
use gitstratum_store::{
    CompactOptions, Maintenance, OpenError, SegmentStore, Store, StoreOptions, maintain, watch_room,
};
use rand::Rng;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::config::{Config, StoreConfig};

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be bound.
    #[error("listen: {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The data directory is unusable, in use, or another node's.
    #[error("data: {0}")]
    Data(#[from] OpenError),
    /// The layout that is kept is unusable, or contradicts the configured one.
    #[error("layout: {0}")]
    Layout(#[from] KeepError),
    /// It cannot be said which cluster the node belongs to, or it is another than the
    /// configured one.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The log of hints is unusable.
    #[error("data: {0}")]
    Hints(#[from] HintError),
}

/// A node that serves.
pub struct Serving {
    /// What it is bound to.
    pub address: SocketAddr,
    /// Where newer layouts are handed in.
    pub layout: LayoutKeeper,
    /// What it stores, for whoever deletes: nobody does over the network.
    pub store: Arc<dyn Store>,
    /// Whether what the node lacks counts as absent.
    pub catching_up: Arc<CatchingUp>,
}

/// Tasks that end with the node.
struct Background(Vec<JoinHandle<()>>);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// Runs a node until `shutdown` completes and what was in flight is done, or
/// `limits::SHUTDOWN_TIMEOUT` has passed. `ready` is told what serves.
///
/// # Errors
/// [`ServeError`]; nothing is served then.
pub async fn serve(
    config: Config,
    host: Host,
    mut rng: ChaCha12Rng,
    ready: impl FnOnce(Serving) + Send,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let failed = |source| ServeError::Listen { address: config.listen, source };
    let configured = Configured { layout: &config.layout, alone: config.alone };
    // Nobody is to reach a node that is about to refuse its directory.
    cluster::check(&host.disk, configured).await?;
    // Bound first, so that a port in use leaves the data directory alone; nothing is
    // accepted before the store is open.
    let listener = host.net.listen(config.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let options = store_options(&config.node_id, &config.store);
    let catching_up = CatchingUp::open(&host.disk).await?;
    let store = SegmentStore::open(host.disk.clone(), options).await?;
    let cluster = cluster::keep(&host.disk, configured, &mut rng).await?;
    let layout = config.layout.of_cluster(&cluster).map_err(ClusterError::Contradicted)?;
    let keeper = LayoutKeeper::open(host.disk.clone(), layout).await?;
    let layout = keeper.current().clone();
    let others = others(&layout.get(), &config.node_id);
    let hints = HintLog::open(&host.disk, config.repair.hints(), &others).await?;
    hints.keep_to(&layout.placement(), &config.node_id).await;
    if !layout.get().is_read_from(&config.node_id) {
        tracing::warn!(node = %config.node_id, "this node is not in the layout: it takes no writes");
    }
    let peers = Arc::new(PeerTable::new(&layout.get(), &config.node_id));
    let requests = Arc::new(Requests::default());
    let boot_id = rng.random();
    let pool_rng = ChaCha12Rng::from_rng(&mut rng);
    let dialler = Dialler::new(host.net.clone(), config.node_id.as_str());
    let pool = Pool::new(dialler, &layout, pool_rng, config.pool.options());
    let pool: Arc<dyn Connections> = Arc::new(pool);
    let hints_rng = ChaCha12Rng::from_rng(&mut rng);
    let reconcile_rng = ChaCha12Rng::from_rng(&mut rng);
    let compare_interval = config.repair.compare_interval();
    let reconciled = Arc::new(Numbers::new(compare_interval.is_some()));
    let felt = Arc::new(Felt::default());
    let control = Control::new(config.repair.budget(felt.clone()));
    let service = NodeService {
        node_id: config.node_id.clone(),
        boot_id,
        layout: keeper.clone(),
        stores: Stores::new(catching_up.refuses_absent(store.clone()), felt),
        control: control.clone(),
        scrubbed: store.clone(),
        catching_up: catching_up.clone(),
        compared: Compared::new(store.clone()),
        hints: hints.clone(),
        peers: peers.clone(),
        connections: pool.clone(),
        reconciled: reconciled.clone(),
        requests: requests.clone(),
        started: Instant::now(),
    };
    let probes = probe(keeper.clone(), pool.clone(), peers, config.node_id.clone());
    let delivery = Delivery {
        log: hints.clone(),
        store: store.clone(),
        peers: service.peers.clone(),
        layout: layout.clone(),
        targets: targets(&pool, &layout),
        ourselves: config.node_id.clone(),
        budget: control.budget().clone(),
    };
    let reconciler = |interval| Reconciler {
        ourselves: config.node_id.clone(),
        store: store.clone(),
        layout: layout.clone(),
        connections: pool.clone(),
        peers: delivery.peers.clone(),
        dirty: DirtyRanges::of(&hints),
        control,
        catching_up: catching_up.clone(),
        numbers: reconciled,
        interval,
    };
    let reconciler = compare_interval.map(reconciler);
    if reconciler.is_none() {
        // Nobody else would ever say so.
        catching_up.done().await;
    }
    let following = keep_up(&keeper, pool, &config.node_id);
    let maintenance = maintenance(&config.store);
    let mut background = vec![
        tokio::spawn(probes),
        tokio::spawn(following),
        tokio::spawn(delivery.run(hints_rng)),
        tokio::spawn(maintain(store.clone(), maintenance)),
        tokio::spawn(watch_room(store.clone())),
    ];
    background.extend(reconciler.map(|reconciler| tokio::spawn(reconciler.run(reconcile_rng))));
    let background = Background(background);
    tracing::info!(node = %config.node_id, %cluster, %address, "serving");
    ready(Serving { address, layout: keeper, store: store.clone(), catching_up });
    server::run(listener, service, requests, layout, shutdown).await;
    drop(background);
    hints.close().await;
    store.close().await;
    tracing::info!(node = %config.node_id, "stopped");
    Ok(())
}

/// How peers are reached, for repair.
fn targets(connections: &Arc<dyn Connections>, layout: &CurrentLayout) -> Targets {
    let (connections, layout) = (connections.clone(), layout.clone());
    Arc::new(move |node_id| {
        let node = RemoteNode::new(node_id.clone(), connections.clone(), layout.clone());
        Arc::new(Retried::new(node.in_background())) as Arc<dyn NodeWriter>
    })
}

/// The members beside ourselves.
fn others(layout: &Layout, ourselves: &NodeId) -> Vec<NodeId> {
    let ids = layout.members.iter().map(|member| &member.node_id);
    ids.filter(|node_id| *node_id != ourselves).cloned().collect()
}

fn store_options(node_id: &NodeId, config: &StoreConfig) -> StoreOptions {
    StoreOptions::new(node_id.clone(), config.fsync)
        .compression(config.compression)
        .reserve_bytes(config.reserve_bytes)
        .segment_bytes_max(config.segment_bytes)
}

fn maintenance(config: &StoreConfig) -> Maintenance {
    let days = u64::from(config.scrub_interval_days);
    Maintenance {
        compact: CompactOptions {
            garbage_share_min: config.compact_garbage_share,
            bytes_per_second: Some(config.maintenance_bytes_per_second),
        },
        scrub_interval: (days > 0).then(|| Duration::from_secs(days * 24 * 3600)),
        look_interval: limits::MAINTENANCE_LOOK_INTERVAL,
    }
}

/// Learns newer layouts from the cluster, and keeps them.
fn keep_up(
    keeper: &LayoutKeeper,
    connections: Arc<dyn Connections>,
    ourselves: &NodeId,
) -> impl Future<Output = ()> + Send + use<> {
    let (layout, keeper) = (keeper.current().clone(), keeper.clone());
    follow(layout, connections, ourselves.clone(), move |held| {
        let keeper = keeper.clone();
        async move { keeper.offer(&held).await }
    })
}
