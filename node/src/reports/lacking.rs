//! Under-replication: what is known to be on fewer replicas than it should be, out of all nodes' hints
//! and the comparisons that they have under way.

use gitstratum_cluster::wire::metrics::metrics_of;
use gitstratum_core::metrics::Samples;
use gitstratum_proto::v1::{ReconcileProgress, StatusResponse};

/// What is known to be on fewer replicas than it should be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lacking {
    /// Pairs of an object and a replica that lacks it, about.
    pub(crate) objects: u64,
    /// What they take, about.
    pub(crate) bytes: f64,
    /// Ranges of ids of which a replica may lack some.
    pub(crate) dirty_ranges: u64,
    /// The longest of what is known of the comparisons and deliveries under way.
    pub(crate) eta_ms: Option<u64>,
    /// There are hints of which none was delivered lately.
    pub(crate) hints_wait: bool,
}

impl Lacking {
    /// What nodes say of it.
    pub(crate) fn of<'s>(said: impl IntoIterator<Item = &'s StatusResponse>) -> Self {
        let mut lacking = Lacking::default();
        for status in said {
            let metrics = metrics_of(status);
            let pending = metrics.count("gitstratum_hints_pending");
            lacking.dirty_ranges += metrics.count("gitstratum_hints_dirty_ranges");
            lacking.objects += pending;
            lacking.bytes += pending as f64 * usual_bytes(&metrics);
            for target in status.hints.iter().flat_map(|hints| &hints.targets) {
                lacking.eta_ms = lacking.eta_ms.max(target.eta_ms);
                lacking.hints_wait |= target.eta_ms.is_none();
            }
            for progress in under_way(status).map(|(_, progress)| progress) {
                let objects = progress.missing_locally + progress.missing_remotely;
                lacking.objects += objects;
                lacking.bytes += objects as f64 * bytes_each(&metrics, progress);
                lacking.eta_ms = lacking.eta_ms.max(progress.eta_ms);
            }
        }
        lacking
    }

    /// Nothing is known to lack a replica.
    pub(crate) fn is_none(&self) -> bool {
        self.objects == 0 && self.dirty_ranges == 0
    }
}

/// Objects that the node `name` is known to lack, about: hints that others keep for it, and what the
/// comparisons that it has under way found so far.
pub(crate) fn known_to_lack<'s>(
    name: &str,
    status: &StatusResponse,
    said: impl IntoIterator<Item = &'s StatusResponse>,
) -> u64 {
    let hints = said.into_iter().filter_map(|other| other.hints.as_ref());
    let targets = hints.flat_map(|hints| &hints.targets);
    let hints = targets.filter(|target| target.node_id == name).map(|target| target.pending);
    let compared = under_way(status).map(|(_, progress)| progress.missing_locally);
    hints.sum::<u64>() + compared.max().unwrap_or(0)
}

/// The comparisons that a node has under way, with whom.
pub(crate) fn under_way(
    status: &StatusResponse,
) -> impl Iterator<Item = (&str, &ReconcileProgress)> {
    let peers = status.reconcile.iter().flat_map(|reconcile| &reconcile.peers);
    peers.filter_map(|peer| Some((peer.node_id.as_str(), peer.progress.as_ref()?)))
}

fn usual_bytes(metrics: &Samples) -> f64 {
    let objects = metrics.get("gitstratum_store_objects").max(1.0);
    metrics.get("gitstratum_store_payload_bytes") / objects
}

/// What an object has on average: of those that came, or else of those that are there.
fn bytes_each(metrics: &Samples, progress: &ReconcileProgress) -> f64 {
    match progress.transferred {
        0 => usual_bytes(metrics),
        transferred => progress.bytes_transferred as f64 / transferred as f64,
    }
}
