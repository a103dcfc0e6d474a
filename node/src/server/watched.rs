//! What others watch a node by: its monitoring endpoint, assembled.
//!
//! Invariant: the endpoint answers until all else of the node has ended, but for the status page, which
//! lets go of the store and of connections before they are closed.

use std::sync::Arc;

use gitstratum_cluster::service::NodeService;
use gitstratum_host::net::Listener;
use tokio::task::JoinHandle;

use super::certificate::{Certificate, follow};
use super::{Connected, Opened};
use crate::access;
use crate::config::Config;
use crate::monitor::{Gate, Health, History, Monitor, Page, Sources};

/// What an endpoint is made of.
pub(super) struct Watched {
    sources: Sources,
    gate: Gate,
    health: Arc<Health>,
}

/// An endpoint that answers until it is dropped.
pub(super) struct Watching {
    monitor: Arc<Monitor>,
    tasks: [JoinHandle<()>; 2],
}

impl Watched {
    /// Of a node with this service.
    pub(super) fn new(
        config: &Config,
        connected: &Connected,
        opened: &Opened,
        service: Arc<NodeService>,
    ) -> Self {
        let participant = connected.participant.as_ref();
        let gate = match (config.access.asks_for_tokens(), participant) {
            (false, _) => Gate::Open,
            (true, Some(participant)) => {
                Gate::tokens(access::grants(participant), config.monitor.plain_tokens)
            }
            (true, None) => Gate::Shut,
        };
        let sources = Sources {
            node: config.node_id.clone(),
            layout: opened.keeper.current().clone(),
            connections: connected.connections.clone(),
            peers: connected.peers.clone(),
            participant: participant.cloned(),
            history: Arc::new(History::new(connected.metrics.clone())),
            service,
        };
        Watched { sources, gate, health: connected.health.clone() }
    }

    /// Answers there; by TLS, where there is a certificate.
    pub(super) fn start(self, listener: Listener, certificate: Option<Certificate>) -> Watching {
        let Watched { sources, gate, health } = self;
        let (registry, history) = (sources.service.metrics.clone(), sources.history.clone());
        let acceptor = certificate.as_ref().map(Certificate::acceptor);
        let monitor = Monitor::new(registry, health, Page::new(sources, gate), acceptor);
        let (serving, sampling) = (monitor.clone().run(listener), history.run());
        let tasks = [
            tokio::spawn(async move {
                tokio::select! {
                    biased;
                    () = serving => {}
                    never = follow(certificate) => match never {},
                }
            }),
            tokio::spawn(sampling),
        ];
        Watching { monitor, tasks }
    }
}

impl Watching {
    /// Lets go of what the status page tells of.
    pub(super) fn close_page(&self) {
        self.monitor.close_page();
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
