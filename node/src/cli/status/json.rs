//! What every node says of itself, for programs.

use gitstratum_proto::v1::{HintStatus, PoolCounts, PoolStatus, Tally};
use serde_json::{Value, json};

use super::{Answer, is_overloaded, reconcile};
use crate::cli::jobs::common_as_json;
use crate::cli::nodes::id;

/// All of it.
pub(super) fn as_json((member, answer): &Answer) -> Value {
    let status = match answer {
        Ok(status) => status,
        Err(error) => {
            return json!({
                "node": member.node_id.as_str(),
                "address": member.address,
                "member": member.state.word(),
                "reachable": error.is_overload(),
                "overloaded": error.is_overload(),
                "error": error.to_string(),
            });
        }
    };
    let store = status.store.clone().unwrap_or_default();
    let server = status.server.unwrap_or_default();
    let missed = status.missed.clone().unwrap_or_default();
    let listed = missed
        .first
        .iter()
        .map(|missed| json!({ "node": missed.node_id, "object": id(&missed.id), "reason": missed.reason }));
    let peers = status.peers.iter().map(|peer| {
        json!({
            "node": peer.node_id,
            "address": peer.address,
            "reachable": peer.reachable,
            "error": peer.error,
            "round_trip_us": peer.round_trip_us,
        })
    });
    json!({
        "node": status.node_id,
        "address": member.address,
        "member": member.state.word(),
        "reachable": true,
        "overloaded": is_overloaded(&server),
        "boot_id": format!("{:016x}", status.boot_id),
        "cluster": status.cluster_id,
        "layout_version": status.layout_version,
        "uptime_ms": status.uptime_ms,
        "version": status.software_version,
        "store": {
            "objects": store.objects,
            "payload_bytes": store.payload_bytes,
            "large_objects": store.large_objects,
            "damaged_objects": store.damaged_objects,
            "lost": store.lost,
            "garbage_bytes": store.garbage_bytes,
            "index_memory_bytes": store.index_memory_bytes,
            "segments": store.segments,
            "disk_bytes": store.disk_bytes,
            "syncs": store.syncs,
            "bytes_written": store.bytes_written,
            "puts": store.puts,
            "gets": store.gets,
            "failed": store.failed,
            "puts_refused": store.puts_refused,
            "puts_refused_for_ms": store.puts_refused_for_ms,
        },
        "server": {
            "connections": server.connections,
            "requests_in_flight": server.requests_in_flight,
            "requests_attempted": server.requests_attempted,
            "requests_succeeded": server.requests_succeeded,
            "requests_failed": server.requests_failed,
            "requests_refused": server.requests_refused,
            "requests_max": server.requests_max,
        },
        "missed": {
            "count": missed.count,
            "dropped": missed.dropped,
            "first": listed.collect::<Vec<_>>(),
        },
        "jobs": status.jobs.iter().map(common_as_json).collect::<Vec<_>>(),
        "hints": hints(&status.hints.clone().unwrap_or_default()),
        "peers": peers.collect::<Vec<_>>(),
        "pool": pool(&status.pool.clone().unwrap_or_default()),
        "reconcile": reconcile::as_json(&status.reconcile.clone().unwrap_or_default()),
    })
}

fn hints(hints: &HintStatus) -> Value {
    let dirty = hints
        .dirty
        .iter()
        .map(|range| json!({ "node": range.node_id, "prefix": hex::encode(&range.prefix) }));
    let targets = hints.targets.iter().map(|target| {
        json!({
            "node": target.node_id,
            "pending": target.pending,
            "oldest_age_ms": target.oldest_age_ms,
            "last_error": target.last_error,
            "eta_ms": target.eta_ms,
        })
    });
    json!({
        "pending": hints.pending,
        "bytes": hints.bytes,
        "bytes_max": hints.bytes_max,
        "oldest_age_ms": hints.oldest_age_ms,
        "recorded": hints.recorded,
        "delivered": hints.delivered,
        "deleted": hints.deleted,
        "replaced": hints.replaced,
        "moved_to_ranges": hints.moved_to_ranges,
        "dirty_ranges": hints.dirty_ranges,
        "dirty": dirty.collect::<Vec<_>>(),
        "targets": targets.collect::<Vec<_>>(),
        "targets_total": hints.targets_total,
    })
}

fn pool(pool: &PoolStatus) -> Value {
    let peers = pool.peers.iter().map(|peer| {
        let connections = peer.connections.iter().map(|connection| {
            json!({
                "boot_id": format!("{:016x}", connection.boot_id),
                "age_ms": connection.age_ms,
                "requests_in_flight": connection.requests_in_flight,
            })
        });
        json!({
            "node": peer.node_id,
            "address": peer.address,
            "connections": connections.collect::<Vec<_>>(),
            "requests_in_flight": peer.requests_in_flight,
            "bytes_in_flight": peer.bytes_in_flight,
            "waiters": peer.waiters,
            "backing_off": peer.backing_off,
            "counts": pool_counts(&peer.counts.clone().unwrap_or_default()),
        })
    });
    json!({
        "connections": pool.connections,
        "peers": peers.collect::<Vec<_>>(),
        "removed_peers": pool_counts(&pool.removed_peers.clone().unwrap_or_default()),
    })
}

fn pool_counts(counts: &PoolCounts) -> Value {
    let tallies = |tallies: &[Tally]| {
        Value::Object(
            tallies.iter().map(|tally| (tally.name.clone(), json!(tally.count))).collect(),
        )
    };
    json!({
        "hits": counts.hits,
        "misses": counts.misses,
        "limited": counts.limited,
        "dials": counts.dials,
        "dialled": counts.dialled,
        "dials_failed": tallies(&counts.dials_failed),
        "evictions": tallies(&counts.evictions),
        "retries": counts.retries,
        "retries_refused": counts.retries_refused,
        "backoffs_cut_short": counts.backoffs_cut_short,
    })
}
