//! When a node compares itself with whom, and over what.
//!
//! With every peer that it shares objects with, one after another: over everything soon
//! after it started, because it may have missed writes while it was away, or have lost its
//! disk; again when the layout changed what is shared; when damage was found; and then from
//! time to time. Of a pair, the node with the lesser id begins the comparisons that are due by
//! time: they go both ways, so one is enough. In between, over the ranges of ids that are
//! marked dirty for a peer, as soon as it answers.
//!
//! Invariant: a range is called clean only after a comparison that began after it was marked
//! came to its end and brought everything it found. Dropping the future ends it at any moment;
//! what was exchanged stays, and a start begins again with everything.

mod due;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use tokio::time::{Instant, sleep_until};

use super::{Key, Numbers, Round};
use crate::limits;
use crate::placement::{CurrentLayout, NodeId};
use crate::pool::Connections;
use crate::quorum::decorate::Retried;
use crate::repair::hints::{DirtyRange, DirtyRanges};
use crate::repair::{CatchingUp, Control, PeerTable};
use crate::store::{SegmentStore, Store, Unidentified};
use crate::wire::replica::RemoteNode;
use due::Due;

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
    /// Who answers.
    pub peers: Arc<PeerTable>,
    /// Of which ids a peer may lack some.
    pub dirty: DirtyRanges,
    /// What it may take, and is told to do.
    pub control: Control,
    /// Told when everything was compared with everyone.
    pub catching_up: Arc<CatchingUp>,
    /// Where it is counted.
    pub numbers: Arc<Numbers>,
    /// Between two comparisons of a pair over everything, give or take a quarter.
    pub interval: Duration,
}

/// What is known of the peers under one layout.
struct Schedule {
    peers: BTreeMap<NodeId, Due>,
    /// Peers with whom everything is still to be compared for the first time.
    behind: BTreeSet<NodeId>,
    strays: Strays,
    lost: Lost,
}

/// Dirty ranges of nodes that we share nothing with: they left the layout, or are
/// ourselves. Whoever holds their ids now is among the peers, so they are clean when each of
/// those was compared over everything.
#[derive(Default)]
struct Strays {
    ranges: Vec<DirtyRange>,
    /// Peers that are still to be compared.
    awaited: BTreeSet<NodeId>,
}

/// Records of ours of which nobody knows any more whose they are. What they held is here again
/// when each peer was compared over everything.
#[derive(Default)]
struct Lost {
    records: Unidentified,
    /// Peers that are still to be compared.
    awaited: BTreeSet<NodeId>,
}

impl Reconciler {
    /// Compares until dropped.
    pub async fn run(self, mut rng: ChaCha12Rng) {
        let layout = self.layout.get();
        let (mut version, mut schedule) = (layout.version, self.follow(&mut rng));
        let mut damaged = 0;
        loop {
            let (mut marked, mut answering) = (pin!(self.dirty.changed()), pin!(self.peers.news()));
            // Registered before looking, so that nothing falls between the two.
            marked.as_mut().enable();
            answering.as_mut().enable();
            let layout = self.layout.get();
            if layout.version != version {
                (version, schedule) = (layout.version, self.follow(&mut rng));
            }
            if self.control.take_cancel() {
                for (peer, due) in &mut schedule.peers {
                    due.give_up(self.interval);
                    self.numbers.given_up(peer);
                }
            }
            if self.control.take_start() {
                schedule.peers.values_mut().for_each(Due::all_now);
            }
            let known = self.store.stats().damaged_objects;
            if known > damaged {
                schedule.peers.values_mut().for_each(|due| due.all_soon(&mut rng));
            }
            damaged = known;
            if schedule.behind.is_empty() {
                self.catching_up.done().await;
            }
            let dirty = self.dirty.list();
            self.settle_strays(&mut schedule, &dirty, &mut rng).await;
            self.settle_lost(&mut schedule, &mut rng).await;
            let dirty_targets: BTreeSet<_> = dirty.iter().map(|range| &range.target).collect();
            let ready = schedule.peers.iter().filter_map(|(peer, due)| {
                let at = due.at(dirty_targets.contains(peer))?;
                self.peers.is_reachable(peer).then_some((at, peer))
            });
            let next = ready.min().map(|(at, peer)| (at, peer.clone()));
            let look = Instant::now() + limits::RECONCILE_LOOK_INTERVAL;
            match next {
                Some((at, peer)) if at <= Instant::now() => {
                    let due = schedule.peers.get_mut(&peer).expect("one of the schedule's");
                    due.begin(dirty.into_iter().filter(|range| range.target == peer));
                    let compared = tokio::select! {
                        biased;
                        // Taken when the loop comes by again.
                        () = self.control.cancelled() => false,
                        compared = self.compare(&peer, due, &mut rng) => compared,
                    };
                    if compared {
                        schedule.behind.remove(&peer);
                        schedule.strays.awaited.remove(&peer);
                        schedule.lost.awaited.remove(&peer);
                    }
                }
                next => {
                    let at = next.map_or(look, |(at, _)| at.min(look));
                    tokio::select! {
                        biased;
                        _ = self.layout.changed_since(version) => {}
                        () = marked => {}
                        () = answering => {}
                        () = self.control.ordered() => {}
                        () = sleep_until(at) => {}
                    }
                }
            }
        }
    }

    /// Everything anew, by the layout in force: what is shared with any may be another.
    fn follow(&self, rng: &mut ChaCha12Rng) -> Schedule {
        let placement = self.layout.placement();
        let members = placement.layout().members.iter().map(|member| &member.node_id);
        let others = members.filter(|node_id| **node_id != self.ourselves);
        let sharing = others.filter(|peer| !placement.shared_by(&self.ourselves, peer).is_empty());
        let sharing: Vec<NodeId> = sharing.cloned().collect();
        self.numbers.follow(&sharing);
        let behind = sharing.iter().cloned().collect();
        let first = |peer| {
            let mut due = Due::new(rng);
            if self.catching_up.is_pending() {
                due.all_now();
            }
            (peer, due)
        };
        let peers = sharing.into_iter().map(first).collect();
        Schedule { peers, behind, strays: Strays::default(), lost: Lost::default() }
    }

    /// Calls the strays clean that every peer was compared over, and looks for others.
    async fn settle_strays(
        &self,
        schedule: &mut Schedule,
        dirty: &[DirtyRange],
        rng: &mut ChaCha12Rng,
    ) {
        let Schedule { peers, strays, .. } = schedule;
        if !strays.awaited.is_empty() {
            return;
        }
        self.clean(&std::mem::take(&mut strays.ranges)).await;
        let others = dirty.iter().filter(|range| !peers.contains_key(&range.target));
        strays.ranges = others.cloned().collect();
        if !strays.ranges.is_empty() {
            peers.values_mut().for_each(|due| due.all_soon(rng));
            strays.awaited = peers.keys().cloned().collect();
        }
    }

    /// Makes up for what was lost when every peer was compared, and looks for more. Where
    /// nobody shares anything with us, nobody can.
    async fn settle_lost(&self, schedule: &mut Schedule, rng: &mut ChaCha12Rng) {
        let Schedule { peers, lost, .. } = schedule;
        if !lost.awaited.is_empty() || peers.is_empty() {
            return;
        }
        if !lost.records.is_empty() {
            if let Err(error) = self.store.make_up_for(&lost.records).await {
                tracing::warn!(%error, "what was lost is here again, and stays noted as lost");
                return;
            }
            tracing::info!("what had been lost was looked for at every peer");
        }
        lost.records = self.store.unidentified();
        if !lost.records.is_empty() {
            peers.values_mut().for_each(|due| due.all_soon(rng));
            lost.awaited = peers.keys().cloned().collect();
        }
    }

    /// Goes on with the comparison that was begun with a peer. Says whether one over
    /// everything came to its end.
    async fn compare(&self, peer: &NodeId, due: &mut Due, rng: &mut ChaCha12Rng) -> bool {
        let (connections, layout) = (self.connections.clone(), self.layout.clone());
        let remote = RemoteNode::new(peer.clone(), connections, layout).in_background();
        let remote = Retried::new(remote);
        let round = Round {
            ourselves: &self.ourselves,
            store: &self.store,
            layout: &self.layout,
            peer: &remote,
            budget: self.control.budget(),
            numbers: &self.numbers,
        };
        let failed_before = self.numbers.objects_failed(peer);
        let begun = due.begun();
        match round.run(Key::draw(rng), &begun.spans, &mut begun.position).await {
            Ok(()) => {
                self.numbers.compared(peer, begun.all);
                let complete = self.numbers.objects_failed(peer) == failed_before;
                tracing::debug!(%peer, all = begun.all, complete, "compared");
                if complete {
                    self.clean(&begun.cleans).await;
                }
                let begins = self.ourselves < *peer;
                due.ended(complete, begins.then_some(self.interval), rng)
            }
            Err(error) => {
                tracing::debug!(%peer, %error, "comparison will go on later");
                self.numbers.count(peer, |counts| {
                    counts.rounds_failed += 1;
                    counts.last_error = Some(error.to_string());
                });
                self.numbers.given_up(peer);
                due.failed(rng);
                false
            }
        }
    }

    /// What cannot be called clean is compared once more, later.
    async fn clean(&self, ranges: &[DirtyRange]) {
        if let Err(error) = self.dirty.clear(ranges).await {
            tracing::warn!(%error, "ranges that were reconciled stay dirty");
        }
    }
}
