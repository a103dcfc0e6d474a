//! Hinted handoff.
//!
//! Delivery: a node sends what its hints are about, from its own store, to whoever lacks it.
//!
//! There is a worker for each target that there are hints for. It waits until the target
//! answers, as the node's own probe sees it, and sends the oldest first, in batches bounded
//! in bytes, within a budget that all workers share. A target that has no room or too much
//! to do is left alone for a time that doubles, with jitter. A hint is settled when its
//! target has acknowledged the object, as durably as the target acknowledges any put.
//!
//! Invariant: dropping the future ends delivery at any moment, and what it had not settled
//! is delivered again: a target that has the object by then is not sent it.

mod batch;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use gitstratum_core::backoff::exponential;
use gitstratum_core::limits;
use gitstratum_core::placement::{CurrentLayout, NodeId, Placement};
use gitstratum_core::replica::{NodeError, NodeWriter, StoreError};
use gitstratum_core::trace;
use gitstratum_host::unix_time_ms;
use gitstratum_store::SegmentStore;
use rand::Rng;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{Instrument, debug_span};

use super::{Hint, HintError, HintLog};
use crate::repair::{Budget, PeerTable};

/// How delivery comes to a target.
pub type Targets = Arc<dyn Fn(&NodeId) -> Arc<dyn NodeWriter> + Send + Sync>;

/// What delivery works with.
#[derive(Clone)]
pub struct Delivery {
    /// The hints.
    pub log: Arc<HintLog>,
    /// Where the objects are.
    pub store: Arc<SegmentStore>,
    /// Who answers.
    pub peers: Arc<PeerTable>,
    /// Who is whose replica.
    pub layout: CurrentLayout,
    /// Where objects go.
    pub targets: Targets,
    /// Who we are.
    pub ourselves: NodeId,
    /// What it may take.
    pub budget: Budget,
}

/// Why a worker waits.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Target(#[from] NodeError),
    #[error("our store: {0}")]
    Store(StoreError),
    #[error("{0}")]
    Log(#[from] HintError),
    #[error("waits for the layout in which it is a member")]
    UnknownTarget,
}

impl Delivery {
    /// Delivers until dropped.
    pub async fn run(self, mut rng: ChaCha12Rng) {
        let mut workers: FuturesUnordered<BoxFuture<'_, NodeId>> = FuturesUnordered::new();
        let mut busy = BTreeSet::new();
        let mut look_at = Instant::now();
        loop {
            let mut changed = pin!(self.log.changed());
            // Registered before looking, so that no change falls between the two.
            changed.as_mut().enable();
            if look_at <= Instant::now() {
                self.expire().await;
                look_at = Instant::now() + limits::HINT_LOOK_INTERVAL;
            }
            for target in self.log.targets() {
                if busy.insert(target.clone()) {
                    workers.push(Box::pin(self.work(target, ChaCha12Rng::from_rng(&mut rng))));
                }
            }
            tokio::select! {
                biased;
                Some(target) = workers.next() => {
                    busy.remove(&target);
                }
                () = changed => {}
                () = sleep_until(look_at) => {}
            }
        }
    }

    async fn expire(&self) {
        match self.log.expire(unix_time_ms()).await {
            Ok(0) => {}
            Ok(count) => tracing::warn!(count, "hints grew too old; their ranges are dirty"),
            Err(error) => tracing::warn!(%error, "hints could not be looked through"),
        }
    }

    /// Delivers what there is for one target, whatever it takes; returns the target.
    async fn work(&self, target: NodeId, mut rng: ChaCha12Rng) -> NodeId {
        let mut failures = 0;
        // What made the hint may be under way still.
        sleep(limits::HINT_DELIVERED_AFTER).await;
        loop {
            let hints = self.log.oldest(&target, limits::HINT_BATCH_OBJECTS_MAX);
            if hints.is_empty() {
                self.log.note_error(&target, None);
                return target;
            }
            match self.step(&target, hints).await {
                Ok(()) => {
                    failures = 0;
                    self.log.note_error(&target, None);
                }
                Err(last_error) => {
                    tracing::debug!(%target, error = %last_error, "hints wait");
                    self.log.note_error(&target, Some(last_error.to_string()));
                    sleep(backoff(failures, &mut rng)).await;
                    failures += 1;
                }
            }
        }
    }

    /// One batch. Only some of it may be settled.
    async fn step(&self, target: &NodeId, hints: Vec<Hint>) -> Result<(), Trouble> {
        let placement = self.layout.placement();
        let is_theirs = |hint: &Hint| placement.replicas(&hint.id).contains(target);
        let (theirs, others): (Vec<_>, Vec<_>) = hints.into_iter().partition(is_theirs);
        let waiting = self.replace(&placement, target, others).await?;
        if theirs.is_empty() {
            return if waiting { Err(Trouble::UnknownTarget) } else { Ok(()) };
        }
        if *target == self.ourselves {
            return self.settle_own(theirs).await;
        }
        self.peers.reachable(target).await;
        let _operation = self.budget.operation().await;
        let hints = theirs.len();
        let span = trace::own(|| debug_span!(target: trace::ROOT, "deliver_hints", %target, hints));
        self.send(target, theirs).instrument(span).await
    }

    /// Puts hints for the present replicas in the place of these, whose target is none of
    /// their objects' any more; but leaves those be whose target may be a member of a layout
    /// that we have not heard of yet. Says whether there were such.
    async fn replace(
        &self,
        placement: &Placement,
        target: &NodeId,
        hints: Vec<Hint>,
    ) -> Result<bool, Trouble> {
        let layout = placement.layout();
        let unknown = layout.member(target).is_none();
        let may_come = |hint: &Hint| unknown && hint.layout_version > layout.version;
        let (waiting, foreign): (Vec<_>, Vec<_>) = hints.into_iter().partition(may_come);
        let present = |hint: Hint| {
            let replicas = placement.replicas(&hint.id);
            let others = replicas.iter().filter(|node_id| **node_id != self.ourselves);
            (hint, others.cloned().collect())
        };
        if !foreign.is_empty() {
            let (count, version) = (foreign.len(), layout.version);
            tracing::info!(%target, count, version, "no replica any more: others get its hints");
            self.log.replace(foreign.into_iter().map(present).collect()).await?;
        }
        Ok(!waiting.is_empty())
    }
}

/// So long a target is left alone after so many failures in a row.
fn backoff(failures: u32, rng: &mut ChaCha12Rng) -> Duration {
    let full = exponential(limits::HINT_BACKOFF_MIN, limits::HINT_BACKOFF_MAX, failures);
    full.mul_f64(rng.random_range(0.5..1.0))
}
