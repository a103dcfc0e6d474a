//! `status`: what every node knows of itself, and what could not be asked.

mod details;
mod json;
mod reconcile;
mod table;

use std::fmt::{self, Write as _};

use gitstratum_cluster::client::Answered;
use gitstratum_proto::v1::{ServerStatus, StatusResponse};
use serde_json::json;

use super::arguments::Status;
use super::{Failure, nodes, show};

type Answer = Answered<StatusResponse>;

/// Asks every node and prints what it said.
pub(super) async fn status(asked: Status) -> Result<(), Failure> {
    let answers = nodes::ask(&asked.client).await?;
    if asked.json {
        let nodes: Vec<_> = answers.iter().map(json::as_json).collect();
        let partial = nodes::is_partial(&answers);
        return show(&format!("{:#}\n", json!({ "partial": partial, "nodes": nodes })));
    }
    show(&as_text(&answers, asked.details)?)
}

fn as_text(answers: &[Answer], details: bool) -> Result<String, fmt::Error> {
    let mut out = String::new();
    table::write(&mut out, answers)?;
    let clusters = answers.iter().filter_map(|(_, answer)| Some(&answer.as_ref().ok()?.cluster_id));
    if let Some(cluster) = clusters.into_iter().find(|cluster| !cluster.is_empty()) {
        writeln!(out, "cluster {cluster}")?;
    }
    table::list_unreached(&mut out, answers)?;
    table::list_lost(&mut out, answers)?;
    if details {
        details::list(&mut out, answers)?;
    }
    nodes::write_partial(&mut out, answers)?;
    Ok(out)
}

/// Whether as many requests are in flight as may be.
fn is_overloaded(server: &ServerStatus) -> bool {
    server.requests_max > 0 && server.requests_in_flight >= server.requests_max
}
