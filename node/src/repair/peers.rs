//! Whether this node's peers answer, as its own probe sees it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gitstratum_proto::v1::PeerStatus;

use crate::limits;
use crate::placement::{Layout, NodeId};
use crate::pool::limits::PROBE_TIMEOUT;
use crate::quorum::{NodeError, NodeWriter};
use crate::wire::replica::RemoteNode;

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

/// Asks `peer` who it is, again and again, until dropped.
pub async fn probe(peer: RemoteNode, table: Arc<PeerTable>, ourselves: NodeId) {
    loop {
        let probed = peer.probe(ourselves.as_str(), PROBE_TIMEOUT).await;
        table.set(NodeWriter::node_id(&peer), probed);
        tokio::time::sleep(limits::PROBE_INTERVAL).await;
    }
}
