//! Anti-entropy scheduler.
//!
//! When a node compares itself with whom, and over what.
//!
//! With every peer that it shares objects with by any layout that is not settled, members that
//! drain included, one after another: over everything soon after it started, because it may have
//! missed writes while it was away, or have lost its disk; again when the layout changed what is
//! shared; when damage was found; and then from time to time. Of a pair, the node with the lesser
//! id begins the comparisons that are due by time: they go both ways, so one is enough. In
//! between, over the ranges of ids that are marked dirty, as soon as a peer answers.
//!
//! A node with a new disk lost the hints that it kept for others, too. So when it has caught up,
//! it compares everything with everyone once more: what it got from one peer it has for another.
//!
//! A peer that was removed is no peer: it is not waited for. One that drains, or is merely away,
//! is waited for until it answers or is removed.
//!
//! Invariant: a range is called clean only after a comparison that began after it was marked
//! came to its end and brought everything it found. Dropping the future ends it at any moment;
//! what was exchanged stays, and a start begins again with everything.

mod due;
mod ranges;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use gitstratum_core::limits;
use gitstratum_core::placement::{Arcs, CurrentLayout, NodeId, Placement};
use gitstratum_core::replica::compare::Key;
use gitstratum_core::trace;
use gitstratum_store::{SegmentStore, Unidentified};
use rand_chacha::ChaCha12Rng;
use tokio::time::{Instant, sleep_until};
use tracing::{Instrument, debug_span};

use super::{Numbers, Round};
use crate::quorum::decorate::Retried;
use crate::repair::hints::{DirtyRange, DirtyRanges};
use crate::repair::{CatchingUp, Control, PeerTable};
use crate::rpc::RemoteNode;
use crate::transport::Connections;
use due::{Begun, Due};
use ranges::Ranges;

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
    placement: Arc<Placement>,
    /// What we own.
    owned: Arcs,
    /// What we may hold by an earlier layout and are not given again, whatever we lost.
    not_given: Arcs,
    /// What of our own each peer may hold.
    sources: BTreeMap<NodeId, Arcs>,
    peers: BTreeMap<NodeId, Due>,
    /// Peers with whom everything is still to be compared for the first time.
    behind: BTreeSet<NodeId>,
    /// Of a node that had to catch up and has: peers with whom everything is still to be
    /// compared once more.
    again: Option<BTreeSet<NodeId>>,
    ranges: Ranges,
    lost: Lost,
}

/// Records of ours of which nobody knows any more whose they are. What they held is here again
/// when each peer was compared over everything.
#[derive(Default)]
struct Lost {
    records: Unidentified,
    /// Peers that are still to be compared.
    awaited: BTreeSet<NodeId>,
}

/// A comparison that brought everything it found.
struct Compared {
    /// Whether it was one over everything.
    all: bool,
    /// The dirty ranges that it was over, as they were when it began.
    ranges: Vec<DirtyRange>,
}

impl Schedule {
    /// What of our own was compared with everyone who may hold it.
    fn proven(&self) -> Arcs {
        let behind = self.behind.iter().filter_map(|peer| self.sources.get(peer));
        behind.fold(self.owned.clone(), |proven, shared| proven.difference(shared))
    }
}

impl Reconciler {
    /// Compares until dropped.
    pub async fn run(self, mut rng: ChaCha12Rng) {
        let mut schedule = self.follow(&mut rng);
        let mut damaged = 0;
        loop {
            let (mut marked, mut answering) = (pin!(self.dirty.changed()), pin!(self.peers.news()));
            // Registered before looking, so that nothing falls between the two.
            marked.as_mut().enable();
            answering.as_mut().enable();
            if !Arc::ptr_eq(&schedule.placement, &self.layout.placement()) {
                schedule = self.follow(&mut rng);
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
            self.catch_up(&mut schedule, &mut rng).await;
            self.settle_ranges(&mut schedule).await;
            self.settle_lost(&mut schedule, &mut rng).await;
            let ready = schedule.peers.iter().filter_map(|(peer, due)| {
                let at = due.at(schedule.ranges.of(peer).next().is_some())?;
                self.peers.is_reachable(peer).then_some((at, peer))
            });
            let next = ready.min().map(|(at, peer)| (at, peer.clone()));
            let look = Instant::now() + limits::RECONCILE_LOOK_INTERVAL;
            match next {
                Some((at, peer)) if at <= Instant::now() => {
                    let due = schedule.peers.get_mut(&peer).expect("one of the schedule's");
                    due.begin(schedule.ranges.of(&peer).cloned());
                    let compared = tokio::select! {
                        biased;
                        // Taken when the loop comes by again.
                        () = self.control.cancelled() => None,
                        compared = self.compare(&peer, due, &mut rng) => compared,
                    };
                    if let Some(Compared { all, ranges }) = compared {
                        schedule.ranges.compared(&peer, &ranges);
                        if all {
                            schedule.behind.remove(&peer);
                            if let Some(again) = &mut schedule.again {
                                again.remove(&peer);
                            }
                            schedule.lost.awaited.remove(&peer);
                        }
                    }
                }
                next => {
                    let at = next.map_or(look, |(at, _)| at.min(look));
                    tokio::select! {
                        biased;
                        _ = self.layout.replaced_from(&schedule.placement) => {}
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
        let shared = others.map(|peer| (peer.clone(), placement.sharing(&self.ourselves, peer)));
        let shared = shared.filter(|(_, sharing)| !sharing.compared.is_empty());
        let sources: BTreeMap<_, _> =
            shared.map(|(peer, sharing)| (peer, sharing.to_one)).collect();
        let sharing: Vec<NodeId> = sources.keys().cloned().collect();
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
        let owned = placement.owned_by(&self.ourselves);
        let not_given = placement.held_by(&self.ourselves).difference(&owned);
        let (ranges, lost) = (Ranges::new(self.ourselves.clone()), Lost::default());
        let again = None;
        Schedule { placement, owned, not_given, sources, peers, behind, again, ranges, lost }
    }

    /// Whether we are read from, so that what we have or lack is of any account.
    fn counts(&self, schedule: &Schedule) -> bool {
        schedule.placement.layout().is_read_from(&self.ourselves)
    }

    /// Doubts no more what was compared with everyone who may hold it.
    async fn catch_up(&self, schedule: &mut Schedule, rng: &mut ChaCha12Rng) {
        // One that is no member, or not any more, may be one again: its doubt waits for that.
        if !self.catching_up.is_noted() || !self.counts(schedule) {
            return;
        }
        if !schedule.behind.is_empty() {
            // Positions that are not ours are doubted still: an earlier layout that we have not
            // heard of yet may have placed something there.
            let still = self.catching_up.doubted().difference(&schedule.proven());
            return self.catching_up.narrow(&still);
        }
        self.catching_up.narrow(&schedule.not_given);
        let Schedule { peers, again, .. } = schedule;
        let again = again.get_or_insert_with(|| {
            peers.values_mut().for_each(|due| due.all_soon(rng));
            peers.keys().cloned().collect()
        });
        if again.is_empty() && !self.catching_up.is_pending() {
            self.catching_up.done().await;
        }
    }

    /// Calls the ranges clean for which nobody is awaited any more, and looks for others.
    async fn settle_ranges(&self, schedule: &mut Schedule) {
        let peers = schedule.peers.keys().cloned().collect();
        schedule.ranges.follow(self.dirty.list(), &schedule.placement, &peers);
        let clean = schedule.ranges.clean();
        if clean.is_empty() || !self.counts(schedule) {
            return;
        }
        // What cannot be called clean is dirty still when the loop comes by again.
        if let Err(error) = self.dirty.clear(&clean).await {
            tracing::warn!(%error, "ranges that were reconciled stay dirty");
        }
    }

    /// Makes up for what was lost when every peer was compared, and looks for more. Where
    /// nobody shares anything with us, nobody can. What earlier layouts alone placed here is not
    /// given us again, so there "absent" stays in doubt.
    async fn settle_lost(&self, schedule: &mut Schedule, rng: &mut ChaCha12Rng) {
        if !schedule.lost.awaited.is_empty() || schedule.peers.is_empty() {
            return;
        }
        let Schedule { peers, lost, not_given, .. } = schedule;
        if !lost.records.is_empty() {
            if !not_given.is_empty()
                && let Err(error) = self.catching_up.doubt(not_given).await
            {
                tracing::warn!(%error, "what was lost stays noted as lost");
                return;
            }
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

    /// Goes on with the comparison that was begun with a peer. `None` unless it came to its end
    /// and brought everything.
    async fn compare(
        &self,
        peer: &NodeId,
        due: &mut Due,
        rng: &mut ChaCha12Rng,
    ) -> Option<Compared> {
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
        let span = trace::own(|| debug_span!(target: trace::ROOT, "compare", %peer));
        let running = round.run(Key::draw(rng), &begun.spans, &mut begun.position);
        let ran = running.instrument(span).await;
        // What it passed over is not looked at again when it goes on.
        begun.complete &= self.numbers.objects_failed(peer) == failed_before;
        match ran {
            Ok(()) => {
                let Begun { all, complete, .. } = *begun;
                self.numbers.compared(peer, all);
                tracing::debug!(%peer, all, complete, "compared");
                let begins = self.ourselves < *peer;
                due.ended(begins.then_some(self.interval), rng)
            }
            Err(error) => {
                tracing::debug!(%peer, %error, "comparison will go on later");
                self.numbers.count(peer, |counts| {
                    counts.rounds_failed += 1;
                    counts.last_error = Some(error.to_string());
                });
                self.numbers.given_up(peer);
                due.failed(rng);
                None
            }
        }
    }
}
