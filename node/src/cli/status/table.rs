//! The table for people: a row a node, and below it what is wrong.

use std::fmt::{self, Write as _};

use comfy_table::{CellAlignment, Table, presets};
use gitstratum_cluster::wire::metrics::metrics_of;
use gitstratum_core::metrics::Samples;
use gitstratum_proto::v1::StatusResponse;
use indicatif::{HumanBytes, HumanCount};

use super::Answer;
use crate::cli::nodes::{self, is_removed};
use crate::reports::{known_to_lack, troubles};

const COLUMNS: [&str; 8] = ["node", "up", "objects", "bytes", "lacks", "hints", "reaches", "state"];

/// A row a node: since when it runs, what it holds, about how many objects it is known to lack,
/// how many hints it keeps for others, how many of its peers it reaches, and what is wrong.
pub(super) fn write(out: &mut String, answers: &[Answer]) -> fmt::Result {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(COLUMNS);
    for (member, answer) in answers {
        let name = member.node_id.to_string();
        match answer {
            Err(error) => {
                let mut row = vec![name];
                row.resize(COLUMNS.len() - 1, "-".to_owned());
                row.push(nodes::silent(member, error));
                table.add_row(row);
            }
            Ok(status) => {
                table.add_row(row(name, status, answers));
            }
        }
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
        if (1..COLUMNS.len() - 1).contains(&column.index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().try_for_each(|line| writeln!(out, "{}", line.trim_end()))
}

fn row(name: String, status: &StatusResponse, answers: &[Answer]) -> Vec<String> {
    let metrics = metrics_of(status);
    let count = |name| metrics.count(name);
    let reached = status.peers.iter().filter(|peer| peer.reachable).count();
    let said = answers.iter().filter_map(|(_, answer)| answer.as_ref().ok());
    let lacks = known_to_lack(&name, status, said);
    vec![
        name,
        nodes::time(status.uptime_ms),
        HumanCount(count("gitstratum_store_objects")).to_string(),
        HumanBytes(count("gitstratum_store_payload_bytes")).to_string(),
        HumanCount(lacks).to_string(),
        HumanCount(count("gitstratum_hints_pending")).to_string(),
        format!("{reached}/{}", status.peers.len()),
        state(status, &metrics),
    ]
}

/// What is wrong with a node and its store, or that nothing is.
fn state(status: &StatusResponse, metrics: &Samples) -> String {
    let wrong = troubles(status, metrics);
    match wrong.is_empty() {
        true => "ok".to_owned(),
        false => wrong.join("; "),
    }
}

/// Peers that a node cannot reach, and why; none that was removed, which nobody needs to reach.
pub(super) fn list_unreached(out: &mut String, answers: &[Answer]) -> fmt::Result {
    let removed = |node: &str| {
        answers.iter().any(|(member, _)| member.node_id.as_str() == node && is_removed(member))
    };
    for (member, answer) in answers {
        let Some(pool) = answer.as_ref().ok().and_then(|status| status.pool.as_ref()) else {
            continue;
        };
        let backing_off = pool.peers.iter().filter(|peer| !peer.backing_off.is_empty());
        for peer in backing_off.filter(|peer| !removed(&peer.node_id)) {
            writeln!(
                out,
                "{} does not reach {}: {}",
                member.node_id, peer.node_id, peer.backing_off
            )?;
        }
    }
    Ok(())
}

/// What nodes know of files that lost records.
pub(super) fn list_lost(out: &mut String, answers: &[Answer]) -> fmt::Result {
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

#[cfg(test)]
mod tests {
    use gitstratum_core::placement::{Member, MemberState, NodeId};
    use gitstratum_core::replica::NodeError;
    use gitstratum_proto::v1::{PoolPeer, PoolStatus};

    use super::*;

    #[test]
    fn that_a_removed_node_is_not_reached_is_nothing_to_report() {
        let member = |id: &str, state| {
            let member = Member::active(NodeId::new(id), format!("{id}:1"), "z".to_owned(), 1);
            Member { state, ..member }
        };
        let backing_off = |id: &str| PoolPeer {
            node_id: id.to_owned(),
            backing_off: "connection refused".to_owned(),
            ..PoolPeer::default()
        };
        let peers = vec![backing_off("n1"), backing_off("n3")];
        let pool = Some(PoolStatus { peers });
        let answers = [
            (member("n1", MemberState::Removed), Err(NodeError::ShuttingDown)),
            (member("n2", MemberState::Active), Ok(StatusResponse { pool, ..Default::default() })),
            (member("n3", MemberState::Active), Err(NodeError::ShuttingDown)),
        ];
        let mut out = String::new();
        list_unreached(&mut out, &answers).unwrap();
        assert_eq!(out, "n2 does not reach n3: connection refused\n");
    }
}
