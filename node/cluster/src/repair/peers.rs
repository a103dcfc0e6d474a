//! Peer health probe.
//!
//! Whether this node's peers answer, as its own probe sees it.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use gitstratum_core::limits;
use gitstratum_core::metrics::{self, Labels, Reading, Registry, Unit};
use gitstratum_core::placement::{Layout, MemberState, NodeId};
use gitstratum_core::replica::{NodeError, NodeWriter};
use gitstratum_proto::v1::PeerStatus;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::membership::LayoutKeeper;
use crate::rpc::RemoteNode;
use crate::transport::Connections;

/// A peer, as our own probe sees it.
struct Peer {
    status: PeerStatus,
    /// When it answered last; nothing where it has not since we started.
    heard: Option<Instant>,
}

/// The last probe of every peer.
pub struct PeerTable {
    ourselves: NodeId,
    peers: Mutex<BTreeMap<NodeId, Peer>>,
    /// Told when a peer answers that did not, or the members are others. Not a `watch`
    /// channel, which wakes its waiters in an order that differs from run to run.
    news: Notify,
}

impl PeerTable {
    /// All members but ourselves and those that were removed, not yet probed.
    pub fn new(layout: &Layout, ourselves: &NodeId) -> Self {
        let table = PeerTable {
            ourselves: ourselves.clone(),
            peers: Mutex::default(),
            news: Notify::new(),
        };
        table.follow(layout);
        table
    }

    /// Brings the table to another layout. What is known of a peer that stays is kept.
    fn follow(&self, layout: &Layout) {
        let mut peers = self.lock();
        peers.retain(|node_id, _| layout.is_read_from(node_id));
        for member in &layout.members {
            if member.node_id == self.ourselves || member.state == MemberState::Removed {
                continue;
            }
            let peer = peers.entry(member.node_id.clone()).or_insert_with(|| {
                let (node_id, error) = (member.node_id.to_string(), "not probed yet".into());
                Peer { status: PeerStatus { node_id, error, ..Default::default() }, heard: None }
            });
            peer.status.address.clone_from(&member.address);
        }
        drop(peers);
        self.news.notify_waiters();
    }

    /// Waits until a peer answers; returns at once for one that is no member any more. Safe
    /// to drop at any time.
    pub async fn reachable(&self, node_id: &NodeId) {
        loop {
            let mut news = pin!(self.news.notified());
            // Registered before looking, so that no news falls between the two.
            news.as_mut().enable();
            if self.lock().get(node_id).is_none_or(|peer| peer.status.reachable) {
                return;
            }
            news.await;
        }
    }

    /// Whether a peer answered the last time it was asked.
    pub fn is_reachable(&self, node_id: &NodeId) -> bool {
        self.lock().get(node_id).is_some_and(|peer| peer.status.reachable)
    }

    /// How long ago a peer answered last; nothing where it has not since we started.
    pub fn heard_ago(&self, node_id: &NodeId) -> Option<Duration> {
        self.lock().get(node_id)?.heard.map(|heard| heard.elapsed())
    }

    /// Ready when a peer answers that did not, or the members are others, after it was
    /// enabled.
    pub fn news(&self) -> Notified<'_> {
        self.news.notified()
    }

    fn has(&self, node_id: &NodeId) -> bool {
        self.lock().contains_key(node_id)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Peer>> {
        self.peers.lock().expect("nothing panics while it holds the table")
    }

    /// What is known of every peer, by node id.
    pub fn status(&self) -> Vec<PeerStatus> {
        let peers = self.lock();
        peers.values().map(|peer| peer.status.clone()).collect()
    }

    /// Registers what the last probe of every peer came to.
    pub fn register(self: &Arc<Self>, registry: &mut Registry) {
        let table = self.clone();
        let readings = [
            Reading::gauge(
                "peer_reachable",
                "1 where the peer answered the last probe of this node, 0 where it did not",
                |peer: &PeerStatus| u64::from(peer.reachable),
            ),
            Reading::real(
                "peer_round_trip",
                "How long the peer took to answer the last probe that it answered",
                |peer: &PeerStatus| peer.round_trip_us as f64 / 1e6,
            )
            .unit(Unit::Seconds),
        ];
        metrics::register_encoded(registry, move |encoder| {
            let labelled = |peer: PeerStatus| {
                let labels: Labels = vec![("peer", peer.node_id.clone())];
                (labels, peer)
            };
            let peers: Vec<_> = table.status().into_iter().map(labelled).collect();
            metrics::encode(encoder, &readings, &peers)
        });
    }

    fn set(&self, node_id: &NodeId, probed: Result<Duration, NodeError>) {
        let mut peers = self.lock();
        // One that left the layout while it was asked is no peer any more.
        let Some(Peer { status: peer, heard }) = peers.get_mut(node_id) else { return };
        if probed.as_ref().map_or_else(NodeError::is_overload, |_| true) {
            *heard = Some(Instant::now());
        }
        match probed {
            Ok(round_trip) => {
                if !peer.reachable {
                    tracing::info!(peer = %node_id, "peer answers");
                    self.news.notify_waiters();
                }
                peer.reachable = true;
                peer.error.clear();
                peer.round_trip_us = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
            }
            // It answers, and has too much to do to say more.
            Err(error) if error.is_overload() => {
                if !peer.reachable {
                    self.news.notify_waiters();
                }
                peer.reachable = true;
                peer.error = error.to_string();
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

/// Asks every peer of the layout in force who it is, again and again, until dropped.
pub async fn probe(
    keeper: LayoutKeeper,
    connections: Arc<dyn Connections>,
    table: Arc<PeerTable>,
    ourselves: NodeId,
) {
    // Dropped with us, each ends.
    let mut probes: BTreeMap<NodeId, AbortOnDrop> = BTreeMap::new();
    let layout = keeper.current();
    let mut known = layout.get();
    loop {
        table.follow(&known);
        probes.retain(|node_id, _| table.has(node_id));
        for member in known.members.iter().filter(|member| table.has(&member.node_id)) {
            let node_id = &member.node_id;
            if !probes.contains_key(node_id) {
                let peer = RemoteNode::new(node_id.clone(), connections.clone(), layout.clone());
                let probing = probe_one(peer, table.clone(), keeper.clone(), ourselves.clone());
                probes.insert(node_id.clone(), AbortOnDrop(tokio::spawn(probing)));
            }
        }
        known = layout.changed_since(known.version).await;
    }
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Asks `peer` who it is, again and again, until dropped. Its answers bring the layout that
/// it goes by, and our requests say which is ours: so a layout, and what is known of those
/// before it, spreads even where no client comes.
async fn probe_one(
    peer: RemoteNode,
    table: Arc<PeerTable>,
    keeper: LayoutKeeper,
    ourselves: NodeId,
) {
    let mut pause = limits::PROBE_AGAIN_AFTER;
    loop {
        let probed = peer.identify(ourselves.as_str(), limits::PROBE_TIMEOUT).await;
        if let Ok((held, _)) = &probed {
            keeper.offer(held).await;
        }
        // One that starts when we do is there soon.
        pause = if probed.is_ok() { limits::PROBE_INTERVAL } else { pause * 2 };
        pause = pause.min(limits::PROBE_INTERVAL);
        table.set(NodeWriter::node_id(&peer), probed.map(|(_, round_trip)| round_trip));
        tokio::time::sleep(pause).await;
    }
}
