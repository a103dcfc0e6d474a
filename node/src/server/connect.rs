//! Peer wiring.
//!
//! Connecting: how a node reaches its peers, and what its rooms tell each other in memory.

use std::sync::Arc;

use gitstratum_cluster::client::Client;
use gitstratum_cluster::local::LocalNode;
use gitstratum_cluster::repair::reconcile::Numbers;
use gitstratum_cluster::repair::{ClientLatency, Control, PeerTable};
use gitstratum_cluster::service::{
    Compared, NoAgreement, NodeService, RepairJob, ScrubJob, Stores,
};
use gitstratum_cluster::transport::server::{Requests, Resolved};
use gitstratum_cluster::transport::{Connections, Dialler, Pool, Security, register_metrics};
use gitstratum_core::log_lines::HeldBack;
use gitstratum_core::metrics::{self, Registry};
use gitstratum_core::trace::{self, RequestIds};
use gitstratum_git::http::GitServer;
use gitstratum_host::{Host, unix_time_ms};
use rand::Rng;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::time::Instant;

use super::Opened;
use super::certificate::Certificate;
use super::metrics::{register_build, register_layout, register_process};
use crate::catalog::{Participant, Parts};
use crate::config::Config;
use crate::git::{self, Swept};
use crate::monitor::Health;

/// What of a node is lost with its process.
pub(super) struct Connected {
    /// Which run of the node this is.
    pub(super) boot_id: u64,
    pub(super) connections: Arc<dyn Connections>,
    pub(super) peers: Arc<PeerTable>,
    pub(super) requests: Arc<Requests>,
    /// Where members were found.
    pub(super) resolved: Resolved,
    /// How long clients wait, which repair gives way to.
    pub(super) latency: Arc<ClientLatency>,
    pub(super) control: Control,
    pub(super) reconciled: Arc<Numbers>,
    /// Its part in agreeing on names, unless the configuration says that it has none.
    pub(super) participant: Option<Arc<Participant>>,
    /// Its Git server, where the configuration says an address for one.
    pub(super) git: Option<Arc<GitServer>>,
    /// What came of sweeping chunks.
    pub(super) swept: Arc<Swept>,
    /// Whether clients can be sent here.
    pub(super) health: Arc<Health>,
    /// All that the node counts and measures.
    pub(super) metrics: Arc<Registry>,
}

impl Connected {
    /// A pool without connections, and nothing known of any peer. `rng` draws the boot id and
    /// seeds the pool's own.
    pub(super) fn new(
        config: &Config,
        host: &Host,
        opened: &Opened,
        rng: &mut ChaCha12Rng,
    ) -> Self {
        let layout = opened.keeper.current();
        let boot_id = rng.random();
        let ids = RequestIds::of_run(boot_id);
        let pool_rng = ChaCha12Rng::from_rng(rng);
        let cluster = &opened.certificates.cluster;
        let security = cluster.as_ref().map_or_else(Security::default, Certificate::security);
        let dialler = Dialler::new(host.net.clone(), config.node_id.as_str()).secured(security);
        let resolved = dialler.resolved().clone();
        let pool = Pool::new(dialler, layout, pool_rng, config.pool.options());
        let connections: Arc<dyn Connections> = Arc::new(pool);
        let latency = Arc::new(ClientLatency::default());
        let participant = config.catalog.enabled.then(|| {
            Participant::new(Parts {
                node: config.node_id.clone(),
                disk: host.disk.clone(),
                connections: connections.clone(),
                keeper: opened.keeper.clone(),
                options: config.catalog.options(),
                program: config.catalog.program(),
            })
        });
        let git = participant.as_ref().filter(|_| config.http.listen.is_some());
        let git = git.map(|participant| {
            let (catching_up, store) = (&opened.catching_up, opened.store.clone());
            let parts = git::Parts {
                local: LocalNode::new(
                    config.node_id.clone(),
                    catching_up.refuses_absent(store),
                    opened.hints.clone(),
                ),
                layout: layout.clone(),
                connections: connections.clone(),
                participant: participant.clone(),
                ids: ids.clone(),
            };
            git::server(parts, config, rng)
        });
        let (git, coordinator) = git.unzip();
        let peers = Arc::new(PeerTable::new(&layout.get(), &config.node_id));
        let health = Arc::new(Health {
            node: config.node_id.clone(),
            store: opened.store.clone(),
            peers: peers.clone(),
            layout: layout.clone(),
            participant: participant.clone(),
            stopping: false.into(),
        });
        let mut connected = Connected {
            boot_id,
            connections,
            peers,
            requests: Arc::new(Requests::named_by(ids)),
            resolved,
            control: Control::new(config.repair.budget(latency.clone())),
            latency,
            reconciled: Arc::new(Numbers::new(config.repair.compare_interval().is_some())),
            participant,
            git,
            swept: Arc::default(),
            health,
            metrics: Arc::default(),
        };
        connected.metrics = Arc::new(connected.registered(opened, coordinator.as_ref()));
        connected
    }

    /// A registry of all that the node counts and measures; `coordinator` is how its Git server puts
    /// and gets.
    fn registered(&self, opened: &Opened, coordinator: Option<&Client>) -> Registry {
        let mut registry = metrics::registry();
        register_build(&mut registry, unix_time_ms());
        register_process(&mut registry);
        register_layout(&mut registry, opened.keeper.current().clone());
        opened.store.register(&mut registry);
        self.requests.register(&mut registry);
        opened.hints.register(&mut registry);
        register_metrics(&mut registry, self.connections.clone());
        self.reconciled.register(&mut registry);
        self.control.budget().register(&mut registry);
        if let Some(git) = &self.git {
            git.register(&mut registry);
        }
        if let Some(coordinator) = coordinator {
            coordinator.register(&mut registry);
        }
        if let Some(participant) = &self.participant {
            participant.register(&mut registry);
            self.swept.register(&mut registry);
        }
        self.peers.register(&mut registry);
        self.health.register(&mut registry);
        trace::span_numbers().register(&mut registry);
        HeldBack::here().register(&mut registry);
        opened.certificates.register(&mut registry);
        registry
    }

    /// What answers requests.
    pub(super) fn service(&self, config: &Config, opened: &Opened) -> NodeService {
        let store = &opened.store;
        let refusing = opened.catching_up.refuses_absent(store.clone());
        let repair =
            RepairJob::new(self.control.clone(), self.reconciled.clone(), opened.hints.clone());
        NodeService {
            node_id: config.node_id.clone(),
            boot_id: self.boot_id,
            software_version: crate::VERSION,
            layout: opened.keeper.clone(),
            stores: Stores::new(refusing, self.latency.clone()),
            jobs: vec![Box::new(repair), Box::new(ScrubJob(store.clone()))],
            scrubbed: store.clone(),
            catching_up: opened.catching_up.clone(),
            compared: Compared::new(store.clone()),
            hints: opened.hints.clone(),
            peers: self.peers.clone(),
            connections: self.connections.clone(),
            reconciled: self.reconciled.clone(),
            agreement: match &self.participant {
                Some(participant) => participant.clone(),
                None => Arc::new(NoAgreement),
            },
            metrics: self.metrics.clone(),
            started: Instant::now(),
        }
    }
}
