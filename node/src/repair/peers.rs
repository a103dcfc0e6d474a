//! Whether this node's peers answer, as its own probe sees it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use gitstratum_proto::v1::{IdentifyRequest, PeerStatus};
use tokio::time::Instant;

use crate::limits;
use crate::placement::{Layout, NodeId};
use crate::pool::{Pool, bounded};
use crate::quorum::NodeError;
use crate::wire::status::node_error_of;

/// The last probe of every peer.
pub struct PeerTable {
    peers: Mutex<BTreeMap<NodeId, PeerStatus>>,
}

impl PeerTable {
    /// All members but ourselves, not yet probed.
    pub fn new(layout: &Layout, ourselves: &NodeId) -> Self {
        let others = layout.members.iter().filter(|member| member.node_id != *ourselves);
        let peers = others.map(|member| {
            let status = PeerStatus {
                node_id: member.node_id.to_string(),
                address: member.address.clone(),
                reachable: false,
                error: "not probed yet".into(),
                round_trip_us: 0,
            };
            (member.node_id.clone(), status)
        });
        PeerTable { peers: Mutex::new(peers.collect()) }
    }

    /// What is known of every peer, by node id.
    pub fn status(&self) -> Vec<PeerStatus> {
        let peers = self.peers.lock().expect("nothing panics while it holds the table");
        peers.values().cloned().collect()
    }

    fn set(&self, node_id: &NodeId, probed: Result<Duration, NodeError>) {
        let mut peers = self.peers.lock().expect("nothing panics while it holds the table");
        let peer = peers.get_mut(node_id).expect("the table has every peer");
        match probed {
            Ok(round_trip) => {
                if !peer.reachable {
                    tracing::info!(peer = %node_id, "peer answers");
                }
                peer.reachable = true;
                peer.error.clear();
                peer.round_trip_us = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
            }
            Err(error) => {
                if peer.reachable {
                    tracing::warn!(peer = %node_id, %error, "peer does not answer");
                }
                peer.reachable = false;
                peer.error = error.to_string();
            }
        }
    }
}

/// Asks `node_id` who it is, again and again, until dropped.
pub async fn probe(
    pool: Pool,
    table: std::sync::Arc<PeerTable>,
    node_id: NodeId,
    ourselves: NodeId,
) {
    loop {
        table.set(&node_id, probe_once(&pool, &node_id, &ourselves).await);
        tokio::time::sleep(limits::PROBE_INTERVAL).await;
    }
}

async fn probe_once(
    pool: &Pool,
    node_id: &NodeId,
    ourselves: &NodeId,
) -> Result<Duration, NodeError> {
    let entry = pool.connection(node_id).await?;
    let began = Instant::now();
    let timeout = limits::DIAL_TIMEOUT;
    let mut rpc = entry.connection().rpc();
    let answer = bounded(timeout, async {
        let request = IdentifyRequest { caller: ourselves.to_string() };
        let answer = rpc.identify(request).await;
        answer.map_err(|status| node_error_of(&status, node_id.as_str(), timeout))
    });
    match answer.await {
        Ok(_) => Ok(began.elapsed()),
        Err(error) => {
            pool.evict(node_id, &entry);
            Err(error)
        }
    }
}
