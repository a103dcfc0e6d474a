//! What nodes say of anti-entropy.

use std::fmt::{self, Write as _};

use gitstratum_cluster::wire::metrics::metrics_of;
use gitstratum_core::metrics::Samples;
use gitstratum_proto::v1::ReconcileStatus;
use serde::Serialize;

use super::Answer;
use super::numbers::Numbers;

/// All of it, for programs.
#[derive(Serialize)]
pub(super) struct Reconcile<'s> {
    off: bool,
    catching_up: bool,
    absence_unproven: bool,
    peers: Vec<Peer<'s>>,
}

#[derive(Serialize)]
struct Peer<'s> {
    node: &'s str,
    #[serde(flatten)]
    numbers: Numbers,
    last_error: &'s str,
    compared_ago_ms: Option<u64>,
    done_permille: Option<u32>,
}

/// What a node says; nothing is true of one that says nothing.
pub(super) fn as_json<'s>(metrics: &Samples, status: Option<&'s ReconcileStatus>) -> Reconcile<'s> {
    let mut numbers = Numbers::by_peer(metrics, "reconcile");
    let peers = status.iter().flat_map(|status| &status.peers).map(|peer| Peer {
        node: &peer.node_id,
        numbers: numbers.remove(&peer.node_id).unwrap_or_default(),
        last_error: &peer.last_error,
        compared_ago_ms: peer.compared_ago_ms,
        done_permille: peer.progress.as_ref().map(|progress| progress.done_permille),
    });
    Reconcile {
        off: status.is_some_and(|status| status.off),
        catching_up: status.is_some_and(|status| status.catching_up),
        absence_unproven: status.is_some_and(|status| status.absence_unproven),
        peers: peers.collect(),
    }
}

/// Comparisons under way, and what went wrong in others; nothing where all is well.
pub(super) fn list(out: &mut String, answers: &[Answer]) -> fmt::Result {
    for (member, answer) in answers {
        let Ok(said) = answer else { continue };
        let Some(status) = said.reconcile.as_ref() else { continue };
        let (node, metrics) = (&member.node_id, metrics_of(said));
        if status.absence_unproven {
            writeln!(
                out,
                "{node} catches up: its data directory was new, and that it lacks an object \
                 proves nothing until it was compared with every peer, draining ones included; \
                 or, where earlier layouts alone placed it there, until those are settled"
            )?;
        }
        if status.off {
            writeln!(out, "{node} is not compared with its peers: repair.compare_interval_h is 0")?;
        }
        for peer in &status.peers {
            let other = &peer.node_id;
            if let Some(progress) = &peer.progress {
                let pulled = metrics.of_peer("gitstratum_reconcile_pulled_total", other);
                let pushed = metrics.of_peer("gitstratum_reconcile_pushed_total", other);
                let percent = f64::from(progress.done_permille) / 10.0;
                writeln!(
                    out,
                    "{node} is compared with {other}: {percent:.1} %, {pulled} objects came, {pushed} went"
                )?;
            } else if peer.compared_ago_ms.is_none() && !peer.last_error.is_empty() {
                writeln!(out, "{node} was not compared with {other} yet: {}", peer.last_error)?;
            }
            let withheld = metrics.of_peer("gitstratum_reconcile_withheld_total", other);
            if withheld > 0.0 {
                writeln!(out, "{node} and {other}: {withheld} objects deleted on one side only")?;
            }
        }
    }
    Ok(())
}
