//! When a node compares itself with whom.
//!
//! With every peer that it shares objects with, one after another: soon after it started,
//! because it may have missed writes while it was away, or have lost its disk; again when the
//! layout changed what is shared; when damage was found; and then from time to time. Of a
//! pair, the node with the lesser id begins the comparisons that are due by time: they go both
//! ways, so one is enough.
//!
//! Invariant: dropping the future ends it at any moment; what was exchanged stays, and a start
//! begins again with everything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use rand_chacha::ChaCha12Rng;
use tokio::time::{Instant, sleep_until};

use super::{Key, Numbers, Round, Span};
use crate::limits;
use crate::placement::{CurrentLayout, NodeId};
use crate::pool::Connections;
use crate::repair::Budget;
use crate::store::{SegmentStore, Store};
use crate::wire::replica::RemoteNode;

/// How a node compares itself.
#[derive(Clone, Debug)]
pub struct Options {
    /// Between two comparisons of a pair, give or take a quarter.
    pub interval: Duration,
    /// Object data exchanged in a second.
    pub bytes_per_second: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            interval: limits::RECONCILE_INTERVAL,
            bytes_per_second: limits::RECONCILE_BYTES_PER_SECOND,
        }
    }
}

/// What it works with.
pub struct Reconciler {
    /// Who we are.
    pub ourselves: NodeId,
    /// What we hold.
    pub store: Arc<SegmentStore>,
    /// Who holds what.
    pub layout: CurrentLayout,
    /// How peers are reached.
    pub connections: Arc<dyn Connections>,
    /// What it may take.
    pub budget: Budget,
    /// Where it is counted.
    pub numbers: Arc<Numbers>,
    /// How.
    pub options: Options,
}

/// A peer, and when it is compared with next.
struct Due {
    /// `None`: it begins, when it is time.
    at: Option<Instant>,
    /// From where an interrupted comparison goes on.
    position: u64,
    failures: u32,
}

impl Due {
    fn soon(now: Instant, rng: &mut ChaCha12Rng) -> Self {
        let after = limits::RECONCILE_START_AFTER.mul_f64(rng.random_range(0.5..1.5));
        Due { at: Some(now + after), position: 0, failures: 0 }
    }
}

impl Reconciler {
    /// Compares until dropped.
    pub async fn run(self, mut rng: ChaCha12Rng) {
        let mut peers: BTreeMap<NodeId, Due> = BTreeMap::new();
        let mut version = None;
        let mut damaged = 0;
        loop {
            let layout = self.layout.get();
            if version != Some(layout.version) {
                version = Some(layout.version);
                self.follow(&mut peers, &mut rng);
            }
            let known = self.store.stats().damaged_objects;
            if known > damaged {
                peers.values_mut().for_each(|due| *due = Due::soon(Instant::now(), &mut rng));
            }
            damaged = known;
            let look = Instant::now() + limits::RECONCILE_LOOK_INTERVAL;
            let next = peers.iter().filter_map(|(peer, due)| Some((due.at?, peer.clone()))).min();
            let at = next.as_ref().map_or(look, |(at, _)| (*at).min(look));
            if at > Instant::now() {
                tokio::select! {
                    biased;
                    _ = self.layout.changed_since(layout.version) => {}
                    () = sleep_until(at) => {}
                }
                continue;
            }
            if let Some((_, peer)) = next
                && let Some(due) = peers.get_mut(&peer)
            {
                self.compare(&peer, due, &mut rng).await;
            }
        }
    }

    /// Brings the peers to the layout in force: what is shared with any may be another.
    fn follow(&self, peers: &mut BTreeMap<NodeId, Due>, rng: &mut ChaCha12Rng) {
        let placement = self.layout.placement();
        let members = placement.layout().members.iter().map(|member| &member.node_id);
        let others = members.filter(|node_id| **node_id != self.ourselves);
        let sharing = others.filter(|peer| !placement.shared_by(&self.ourselves, peer).is_empty());
        let sharing: Vec<NodeId> = sharing.cloned().collect();
        self.numbers.follow(&sharing);
        let now = Instant::now();
        *peers = sharing.into_iter().map(|peer| (peer, Due::soon(now, rng))).collect();
    }

    /// One round, or what was left of one.
    async fn compare(&self, peer: &NodeId, due: &mut Due, rng: &mut ChaCha12Rng) {
        let (connections, layout) = (self.connections.clone(), self.layout.clone());
        let remote = RemoteNode::new(peer.clone(), connections, layout);
        let round = Round {
            ourselves: &self.ourselves,
            store: &self.store,
            layout: &self.layout,
            peer: &remote,
            budget: &self.budget,
            numbers: &self.numbers,
        };
        let (key, span) = (Key::draw(rng), Span::from(due.position));
        match round.run(key, span, &mut due.position).await {
            Ok(()) => {
                self.numbers.compared(peer);
                tracing::debug!(%peer, "compared");
                let begins = self.ourselves < *peer;
                let after = self.options.interval.mul_f64(rng.random_range(0.75..1.25));
                *due = Due { at: begins.then(|| Instant::now() + after), position: 0, failures: 0 };
            }
            Err(error) => {
                tracing::debug!(%peer, %error, "comparison will go on later");
                let error = error.to_string();
                self.numbers.count(peer, &|counts| {
                    counts.rounds_failed += 1;
                    counts.last_error = Some(error.clone());
                });
                let doubled = limits::RECONCILE_BACKOFF_MIN * (1 << due.failures.min(10));
                let after = doubled.min(limits::RECONCILE_BACKOFF_MAX);
                due.at = Some(Instant::now() + after.mul_f64(rng.random_range(0.5..1.0)));
                due.failures += 1;
            }
        }
    }
}
