//! Readiness checks: whether clients can be sent to this node, and if not, why.
//!
//! They answer for this node, not for the cluster: a node that can do its part stays ready when others
//! are lost, else a load balancer would take all of them away at once. Each is answered from what the
//! node knows already.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gitstratum_cluster::repair::PeerTable;
use gitstratum_cluster::transport::server::{Readiness, ReadinessSource};
use gitstratum_core::metrics::{self, Labels, Reading, Registry};
use gitstratum_core::placement::{CurrentLayout, NodeId};
use gitstratum_store::SegmentStore;

use crate::catalog::Participant;

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// The node was not told to stop.
    Running,
    /// Its store takes puts.
    Store,
    /// Enough members answer for a write and for a read.
    Quorum,
    /// Names can be asked for through this node.
    Catalog,
}

impl Check {
    /// One word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Check::Running => "running",
            Check::Store => "store",
            Check::Quorum => "quorum",
            Check::Catalog => "catalog",
        }
    }
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) check: Check,
    /// Why it failed, if it did.
    pub(crate) failure: Option<String>,
}

/// What a node's checks look at.
pub(crate) struct Health {
    pub(crate) node: NodeId,
    pub(crate) store: Arc<SegmentStore>,
    pub(crate) peers: Arc<PeerTable>,
    pub(crate) layout: CurrentLayout,
    /// None where the configuration says that it takes no part in the catalog.
    pub(crate) participant: Option<Arc<Participant>>,
    pub(crate) stopping: AtomicBool,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("node", &self.node).finish_non_exhaustive()
    }
}

impl ReadinessSource for Health {
    fn readiness(&self) -> Readiness {
        match self.check().iter().all(|verdict| verdict.failure.is_none()) {
            true => Readiness::Ready,
            false if self.stopping.load(Ordering::SeqCst) => Readiness::Stopping,
            false => Readiness::NotReady,
        }
    }
}

impl Health {
    /// From now on it is not ready: it was told to stop.
    pub(crate) fn stops(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Registers what came of each check.
    pub(crate) fn register(self: &Arc<Self>, registry: &mut Registry) {
        let health = self.clone();
        let readings = [Reading::gauge(
            "ready",
            "1 where this check of readiness passes, 0 where it fails",
            |verdict: &Verdict| u64::from(verdict.failure.is_none()),
        )];
        metrics::register_encoded(registry, move |encoder| {
            let of = |verdict: Verdict| {
                let labels: Labels = vec![("check", verdict.check.name().to_owned())];
                (labels, verdict)
            };
            let verdicts: Vec<_> = health.check().into_iter().map(of).collect();
            metrics::encode(encoder, &readings, &verdicts)
        });
    }

    /// All checks; the node is ready when none failed.
    pub(crate) fn check(&self) -> Vec<Verdict> {
        let mut verdicts = vec![
            Verdict { check: Check::Running, failure: self.running() },
            Verdict { check: Check::Store, failure: self.store() },
            Verdict { check: Check::Quorum, failure: self.quorum() },
        ];
        if let Some(participant) = &self.participant {
            verdicts.push(Verdict { check: Check::Catalog, failure: participant.unready() });
        }
        verdicts
    }

    fn running(&self) -> Option<String> {
        let stopping = self.stopping.load(Ordering::SeqCst);
        stopping.then(|| "it was told to stop, and ends what is under way".to_owned())
    }

    fn store(&self) -> Option<String> {
        let condition = self.store.condition();
        condition.failed.or(condition.puts_refused.map(|refused| refused.reason))
    }

    /// Not whether every object has its quorum: then one lost rack would make all others unready.
    fn quorum(&self) -> Option<String> {
        let layout = self.layout.get();
        let wanted = layout.write_quorum.max(layout.read_quorum);
        let members = layout.members.iter().filter(|member| layout.is_read_from(&member.node_id));
        let (mut reached, mut silent) = (0, Vec::new());
        for member in members {
            let id = &member.node_id;
            match *id == self.node || self.peers.is_reachable(id) {
                true => reached += 1,
                false => silent.push(id.as_str()),
            }
        }
        let names = silent.join(", ");
        (reached < wanted).then(|| {
            format!("{reached} members answer, counting this one, and {wanted} are needed; silent: {names}")
        })
    }
}
