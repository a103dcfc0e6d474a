//! `status`: what every node knows of itself, and what could not be asked.

mod reconcile;

use std::fmt::{self, Write as _};

use gitstratum_cluster::client::Answered;
use gitstratum_proto::v1::{
    HintStatus, PoolCounts, PoolStatus, ServerStatus, StatusResponse, StoreStatus, Tally,
};
use serde_json::{Value, json};

use super::arguments::Status;
use super::nodes::{self, id};
use super::{Failure, show};

/// Dirty ranges of one node that the table for people names.
const DIRTY_RANGES_SHOWN: usize = 8;

type Answer = Answered<StatusResponse>;

/// Asks every node and prints what it said.
pub(super) async fn status(asked: Status) -> Result<(), Failure> {
    let answers = nodes::ask(&asked.client).await?;
    if asked.json {
        let nodes: Vec<_> = answers.iter().map(as_json).collect();
        let partial = nodes::is_partial(&answers);
        show(&format!("{:#}\n", json!({ "partial": partial, "nodes": nodes })))
    } else {
        show(&as_table(&answers)?)
    }
}

fn as_json((member, answer): &Answer) -> Value {
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
        "hints": hints(&status.hints.clone().unwrap_or_default()),
        "peers": peers.collect::<Vec<_>>(),
        "pool": pool(&status.pool.clone().unwrap_or_default()),
        "reconcile": reconcile::as_json(&status.reconcile.clone().unwrap_or_default()),
    })
}

/// Whether as many requests are in flight as may be.
fn is_overloaded(server: &ServerStatus) -> bool {
    server.requests_max > 0 && server.requests_in_flight >= server.requests_max
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

/// Peers that a node cannot reach, and why.
fn list_unreached(out: &mut String, answers: &[Answer]) -> fmt::Result {
    for (member, answer) in answers {
        let Some(pool) = answer.as_ref().ok().and_then(|status| status.pool.as_ref()) else {
            continue;
        };
        for peer in pool.peers.iter().filter(|peer| !peer.backing_off.is_empty()) {
            writeln!(
                out,
                "{} does not reach {}: {}",
                member.node_id, peer.node_id, peer.backing_off
            )?;
        }
    }
    Ok(())
}

/// The table for people.
fn as_table(answers: &[Answer]) -> Result<String, fmt::Error> {
    let mut out = String::new();
    writeln!(
        out,
        "{:<12} {:<22} {:>10} {:>12} {:>9} {:>9} {:>7} {:>7}  state",
        "node", "address", "objects", "bytes", "segments", "requests", "missed", "reaches"
    )?;
    for (member, answer) in answers {
        let (name, address) = (member.node_id.as_str(), &member.address);
        match answer {
            Err(error) => {
                let silent = nodes::silent(member, error);
                writeln!(out, "{name:<12} {address:<22} {:>59}  {silent}", "")?;
            }
            Ok(status) => {
                let store = status.store.clone().unwrap_or_default();
                let server = status.server.unwrap_or_default();
                let requests = server.requests_attempted;
                let missed = status.missed.as_ref().map_or(0, |missed| missed.count);
                let peers = status.peers.len();
                let reached = status.peers.iter().filter(|peer| peer.reachable).count();
                let reaches = format!("{reached}/{peers}");
                let state = state(&store, &server);
                writeln!(
                    out,
                    "{name:<12} {address:<22} {:>10} {:>12} {:>9} {requests:>9} {missed:>7} {reaches:>7}  {state}",
                    store.objects, store.payload_bytes, store.segments
                )?;
            }
        }
    }
    let clusters = answers.iter().filter_map(|(_, answer)| Some(&answer.as_ref().ok()?.cluster_id));
    if let Some(cluster) = clusters.into_iter().find(|cluster| !cluster.is_empty()) {
        writeln!(out, "cluster {cluster}")?;
    }
    list_unreached(&mut out, answers)?;
    list_lost(&mut out, answers)?;
    list_hints(&mut out, answers)?;
    reconcile::list(&mut out, answers)?;
    list_missed(&mut out, answers)?;
    nodes::write_partial(&mut out, answers)?;
    Ok(out)
}

/// What is wrong with a node and its store, or that nothing is.
fn state(store: &StoreStatus, server: &ServerStatus) -> String {
    let mut wrong = Vec::new();
    if is_overloaded(server) {
        wrong.push(format!("overloaded: {} requests in flight", server.requests_in_flight));
    }
    if !store.failed.is_empty() {
        wrong.push(format!("takes no writes: {}", store.failed));
    }
    if !store.puts_refused.is_empty() {
        let since = store
            .puts_refused_for_ms
            .map_or_else(String::new, |ms| format!(" (for {})", nodes::time(ms)));
        wrong.push(format!("takes no puts: {}{since}", store.puts_refused));
    }
    if store.damaged_objects > 0 {
        wrong.push(format!("{} damaged objects", store.damaged_objects));
    }
    match wrong.is_empty() {
        true => "ok".to_owned(),
        false => wrong.join("; "),
    }
}

/// What nodes keep for others, and what became of it.
fn list_hints(out: &mut String, answers: &[Answer]) -> fmt::Result {
    for (member, answer) in answers {
        let Some(hints) = answer.as_ref().ok().and_then(|status| status.hints.as_ref()) else {
            continue;
        };
        let node = &member.node_id;
        for target in &hints.targets {
            let (pending, age_s) = (target.pending, target.oldest_age_ms / 1000);
            writeln!(
                out,
                "{node} keeps {pending} hints for {}, the oldest for {age_s} s{}",
                target.node_id,
                nodes::waits(target)
            )?;
        }
        let more = hints.targets_total.saturating_sub(hints.targets.len() as u64);
        if more > 0 {
            writeln!(out, "{node} keeps hints for {more} more nodes, none older")?;
        }
        if hints.recorded > 0 {
            let HintStatus { recorded, delivered, deleted, replaced, moved_to_ranges, .. } = hints;
            let (pending, bytes) = (hints.pending, hints.bytes);
            writeln!(
                out,
                "{node} recorded {recorded} hints: {pending} kept ({bytes} bytes), {delivered} \
                 delivered, {deleted} deleted, {replaced} replaced, {moved_to_ranges} in dirty ranges"
            )?;
        }
        if hints.dirty_ranges > 0 {
            let named = hints.dirty.iter().take(DIRTY_RANGES_SHOWN);
            let named: Vec<_> = named
                .map(|range| format!("{}:{}*", range.node_id, hex::encode(&range.prefix)))
                .collect();
            let more = hints.dirty_ranges - named.len() as u64;
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            writeln!(out, "{node} knows dirty ranges: {}{more}", named.join(" "))?;
        }
    }
    Ok(())
}

/// What nodes know of files that lost records.
fn list_lost(out: &mut String, answers: &[Answer]) -> fmt::Result {
    for (member, answer) in answers {
        let Some(store) = answer.as_ref().ok().and_then(|status| status.store.as_ref()) else {
            continue;
        };
        for lost in &store.lost {
            writeln!(out, "{} lost records: {lost}", member.node_id.as_str())?;
        }
    }
    Ok(())
}

fn list_missed(out: &mut String, answers: &[Answer]) -> fmt::Result {
    let records = answers.iter().filter_map(|(_, answer)| answer.as_ref().ok()?.missed.as_ref());
    let (mut count, mut listed) = (0, 0);
    for record in records {
        count += record.count;
        for missed in &record.first {
            if listed == 0 {
                writeln!(out, "replica writes that were missed:")?;
            }
            listed += 1;
            writeln!(out, "  {} lacks {}: {}", missed.node_id, id(&missed.id), missed.reason)?;
        }
    }
    if count > listed {
        writeln!(out, "  and {} more", count - listed)?;
    }
    Ok(())
}
