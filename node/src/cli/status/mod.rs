//! `status`: what every node knows of itself, and what could not be asked.

mod details;
mod json;
mod numbers;
mod reconcile;
mod table;

use std::fmt::{self, Write as _};

use gitstratum_cluster::client::Answered;
use gitstratum_proto::v1::StatusResponse;

use super::arguments::Status;
use super::output::show_json;
use super::{Failure, nodes, show};

type Answer = Answered<StatusResponse>;

/// Asks every node and prints what it said.
pub(super) async fn status(asked: Status) -> Result<(), Failure> {
    let answers = nodes::ask(&asked.client).await?;
    if asked.json {
        return show_json(&json::as_json(&answers));
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
