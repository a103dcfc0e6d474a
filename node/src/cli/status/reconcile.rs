//! What nodes say of anti-entropy.

use std::fmt::{self, Write as _};

use gitstratum_proto::v1::{ReconcilePeer, ReconcileStatus};
use serde_json::{Value, json};

use super::Answer;

/// All of it.
pub(super) fn as_json(status: &ReconcileStatus) -> Value {
    let peer = |peer: &ReconcilePeer| {
        json!({
            "node": peer.node_id,
            "rounds": peer.rounds,
            "rounds_failed": peer.rounds_failed,
            "round_trips": peer.round_trips,
            "differing": peer.differing,
            "pulled": peer.pulled,
            "pushed": peer.pushed,
            "withheld": peer.withheld,
            "bytes_pulled": peer.bytes_pulled,
            "bytes_pushed": peer.bytes_pushed,
            "objects_failed": peer.objects_failed,
            "last_error": peer.last_error,
            "compared_ago_ms": peer.compared_ago_ms,
            "done_permille": peer.progress.as_ref().map(|progress| progress.done_permille),
        })
    };
    let peers: Vec<Value> = status.peers.iter().map(peer).collect();
    json!({
        "off": status.off,
        "catching_up": status.catching_up,
        "absence_unproven": status.absence_unproven,
        "peers": peers,
    })
}

/// Comparisons under way, and what went wrong in others; nothing where all is well.
pub(super) fn list(out: &mut String, answers: &[Answer]) -> fmt::Result {
    for (member, answer) in answers {
        let Some(status) = answer.as_ref().ok().and_then(|status| status.reconcile.as_ref()) else {
            continue;
        };
        let node = &member.node_id;
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
                let (pulled, pushed) = (peer.pulled, peer.pushed);
                let percent = f64::from(progress.done_permille) / 10.0;
                writeln!(
                    out,
                    "{node} is compared with {other}: {percent:.1} %, {pulled} objects came, {pushed} went"
                )?;
            } else if peer.compared_ago_ms.is_none() && !peer.last_error.is_empty() {
                writeln!(out, "{node} was not compared with {other} yet: {}", peer.last_error)?;
            }
            if peer.withheld > 0 {
                let withheld = peer.withheld;
                writeln!(out, "{node} and {other}: {withheld} objects deleted on one side only")?;
            }
        }
    }
    Ok(())
}
