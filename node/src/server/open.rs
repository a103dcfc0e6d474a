//! Server resources.
//!
//! Opening: the port, and everything that a node keeps in its data directory.
//!
//! Invariant: nothing is served, and no peer is dialled, before all of it is open.

use std::net::SocketAddr;
use std::sync::Arc;

use gitstratum_cluster::membership::cluster::{self, Configured};
use gitstratum_cluster::membership::{ClusterError, LayoutKeeper};
use gitstratum_cluster::repair::{CatchingUp, HintLog};
use gitstratum_core::placement::{ClusterId, Layout, NodeId};
use gitstratum_host::net::Listener;
use gitstratum_host::{Disk, Host};
use gitstratum_store::{SegmentStore, Store as _, StoreOptions};
use rand_chacha::ChaCha12Rng;

use super::ServeError;
use super::certificate::{Certificate, Certificates};
use crate::config::{Config, StoreConfig};

/// What a node keeps, open, and the port that it will serve.
pub(super) struct Opened {
    pub(super) listener: Listener,
    pub(super) address: SocketAddr,
    /// Where Git is served, if it is.
    pub(super) http: Option<(Listener, SocketAddr)>,
    /// Where it is said how the node is, if it is.
    pub(super) monitor: Option<(Listener, SocketAddr)>,
    pub(super) certificates: Certificates,
    pub(super) store: Arc<SegmentStore>,
    pub(super) catching_up: Arc<CatchingUp>,
    pub(super) cluster: ClusterId,
    pub(super) keeper: LayoutKeeper,
    pub(super) hints: Arc<HintLog>,
}

impl Opened {
    /// Opens it all; `rng` draws the cluster's id where the node founds one.
    pub(super) async fn open(
        config: &Config,
        host: &Host,
        rng: &mut ChaCha12Rng,
    ) -> Result<Self, ServeError> {
        // Nobody is to reach a node that is about to refuse its directory.
        cluster::check(&host.disk, configured(config)).await?;
        let certificates = Certificates {
            git: Certificate::for_git(&config.http).await.map_err(ServeError::Certificate)?,
            cluster: Certificate::for_cluster(config)
                .await
                .map_err(ServeError::ClusterCertificate)?,
            monitor: Certificate::for_monitor(&config.monitor)
                .await
                .map_err(ServeError::MonitorCertificate)?,
        };
        // Bound first, so that a port in use leaves the data directory alone; nothing is
        // accepted before the store is open.
        let (listener, address) = listen(host, config.listen).await?;
        let http = listen_if(host, config.http.listen).await?;
        let monitor = listen_if(host, config.monitor.listen).await?;
        let Kept { store, catching_up, cluster, keeper, hints } =
            Kept::open(config, &host.disk, rng).await?;
        if !keeper.current().get().is_read_from(&config.node_id) {
            let node = &config.node_id;
            tracing::warn!(%node, "this node is not in the layout: it takes no writes");
        }
        Ok(Opened {
            listener,
            address,
            http,
            certificates,
            monitor,
            store,
            catching_up,
            cluster,
            keeper,
            hints,
        })
    }
}

/// Binds an address, if there is one.
async fn listen_if(
    host: &Host,
    address: Option<SocketAddr>,
) -> Result<Option<(Listener, SocketAddr)>, ServeError> {
    match address {
        Some(address) => listen(host, address).await.map(Some),
        None => Ok(None),
    }
}

/// Binds an address; says which it is, where the port was left open.
async fn listen(host: &Host, address: SocketAddr) -> Result<(Listener, SocketAddr), ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let listener = host.net.listen(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// What the configuration says of the cluster.
pub(super) fn configured(config: &Config) -> Configured<'_> {
    Configured { layout: &config.layout, alone: config.alone }
}

/// What a node keeps in its data directory, open.
pub(super) struct Kept {
    pub(super) store: Arc<SegmentStore>,
    pub(super) catching_up: Arc<CatchingUp>,
    pub(super) cluster: ClusterId,
    pub(super) keeper: LayoutKeeper,
    pub(super) hints: Arc<HintLog>,
}

impl Kept {
    /// Opens it, and makes what is missing; `rng` draws the cluster's id where the node founds one.
    pub(super) async fn open(
        config: &Config,
        disk: &Disk,
        rng: &mut ChaCha12Rng,
    ) -> Result<Self, ServeError> {
        let options = store_options(&config.node_id, &config.store);
        let catching_up = CatchingUp::open(disk).await?;
        let store = SegmentStore::open(disk.clone(), options).await?;
        let cluster = cluster::keep(disk, configured(config), rng).await?;
        let layout =
            config.layout.clone().of_cluster(&cluster).map_err(ClusterError::Contradicted)?;
        let keeper = LayoutKeeper::open(disk.clone(), layout).await?;
        let layout = keeper.current();
        let others = others(&layout.get(), &config.node_id);
        let hints = HintLog::open(disk, config.repair.hints(), &others).await?;
        hints.keep_to(&layout.placement(), &config.node_id).await;
        Ok(Kept { store, catching_up, cluster, keeper, hints })
    }

    /// Closes it.
    pub(super) async fn close(self) {
        self.hints.close().await;
        self.store.close().await;
    }
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
