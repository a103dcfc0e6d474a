//! Git gateway of a node.
//!
//! A node as a Git server: repositories of the catalog, whose packs lie as chunks in the cluster.
//! The node is the coordinator of what its clients push and fetch, and asks its own replica first.

mod chunks;
mod names;
pub mod outside;
mod sweep;

use std::sync::Arc;

use gitstratum_cluster::client::Client;
use gitstratum_cluster::local::LocalNode;
use gitstratum_cluster::transport::Connections;
use gitstratum_core::placement::CurrentLayout;
use gitstratum_core::trace::RequestIds;
use gitstratum_git::access::{Guard, Policy};
use gitstratum_git::http::GitServer;
use gitstratum_git::repository::{Gateway, GatewayOptions};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::catalog::Participant;
use crate::config::{Config, Tokens};
use chunks::{ClusterChunks, options, own_replica_here};
use names::NodeNames;

pub(crate) use sweep::{Sweeper, Swept};

/// What a node's Git server is made of.
pub(crate) struct Parts {
    /// The node's own replica.
    pub(crate) local: LocalNode,
    /// Who the others are.
    pub(crate) layout: CurrentLayout,
    /// How it reaches them.
    pub(crate) connections: Arc<dyn Connections>,
    /// Its part in the catalog.
    pub(crate) participant: Arc<Participant>,
    /// Of the requests of its clients.
    pub(crate) ids: RequestIds,
}

/// The Git server of a node, and the client by which it puts and gets; `rng` seeds what draws ids.
pub(crate) fn server(
    parts: Parts,
    config: &Config,
    rng: &mut ChaCha12Rng,
) -> (Arc<GitServer>, Client) {
    let Parts { local, layout, connections, participant, ids } = parts;
    let options_of_client = options(&local);
    let around = own_replica_here(local);
    let client = Client::coordinating(layout, connections, options_of_client, around);
    let names = Arc::new(NodeNames::new(participant.clone(), ChaCha12Rng::from_rng(rng)));
    let options =
        GatewayOptions { create_on_push: config.http.create_on_push, ..GatewayOptions::default() };
    let chunks = Arc::new(ClusterChunks(client.clone()));
    let served = Gateway::serve(names, chunks, options, ChaCha12Rng::from_rng(rng));
    let policy = match config.access.tokens {
        Tokens::Off => Policy::Anybody,
        Tokens::Required => Policy::Tokens(participant),
    };
    (GitServer::new(Arc::new(Guard::new(Arc::new(served), policy)), ids), client)
}
