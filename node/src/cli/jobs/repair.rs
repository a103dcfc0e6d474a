//! How far repair is, for people and for programs.

use std::fmt::{self, Write as _};

use gitstratum_cluster::client::Answered;
use gitstratum_cluster::wire::metrics::metrics_of;
use gitstratum_core::job::JobKind;
use gitstratum_core::metrics::Samples;
use gitstratum_proto::v1::{ReconcileProgress, StatusResponse};
use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;

use super::{Common, of, write_nodes};
use crate::cli::nodes::{self, AllNodes, left, percent};
use crate::reports::{Lacking, under_way};

/// What is known to be on fewer replicas than it should be, for programs.
#[derive(Serialize)]
struct LackingJson {
    objects: u64,
    bytes: u64,
    dirty_ranges: u64,
    eta_ms: Option<u64>,
}

impl From<Lacking> for LackingJson {
    fn from(lacking: Lacking) -> Self {
        let Lacking { objects, bytes, dirty_ranges, eta_ms, hints_wait: _ } = lacking;
        LackingJson { objects, bytes: bytes.round() as u64, dirty_ranges, eta_ms }
    }
}

fn lacking(answers: &[Answered<StatusResponse>]) -> Lacking {
    Lacking::of(answers.iter().filter_map(|(_, answer)| answer.as_ref().ok()))
}

/// How much of what it may take repair takes on a node.
fn share_permille(metrics: &Samples) -> u32 {
    (metrics.get("gitstratum_repair_share_ratio") * 1000.0) as u32
}

#[derive(Serialize)]
struct Report<'s> {
    #[serde(flatten)]
    nodes: AllNodes<'s, Node<'s>>,
    lacking: LackingJson,
}

/// What one node says.
#[derive(Serialize)]
struct Node<'s> {
    node: &'s str,
    reachable: bool,
    job: Option<Common<'s>>,
    share_permille: u32,
    catching_up: bool,
    absence_unproven: bool,
    hints_pending: u64,
    hints: Vec<nodes::HintsFor<'s>>,
    dirty_ranges: u64,
    comparisons: Vec<Comparison<'s>>,
    errors: Vec<LastError<'s>>,
}

#[derive(Serialize)]
struct Comparison<'s> {
    peer: &'s str,
    done_permille: u32,
    missing_locally: u64,
    missing_remotely: u64,
    transferred: u64,
    bytes_transferred: u64,
    elapsed_ms: u64,
    eta_ms: Option<u64>,
}

/// Why the last comparison with a peer failed.
#[derive(Serialize)]
struct LastError<'s> {
    peer: &'s str,
    error: &'s str,
}

/// For programs.
pub(super) fn as_json(answers: &[Answered<StatusResponse>]) -> impl Serialize {
    let nodes = AllNodes::of(answers, |_, status| node(status));
    Report { nodes, lacking: lacking(answers).into() }
}

fn node(status: &StatusResponse) -> Node<'_> {
    let metrics = metrics_of(status);
    let reconcile = status.reconcile.as_ref();
    let comparisons = under_way(status).map(|(peer, progress)| Comparison {
        peer,
        done_permille: progress.done_permille,
        missing_locally: progress.missing_locally,
        missing_remotely: progress.missing_remotely,
        transferred: progress.transferred,
        bytes_transferred: progress.bytes_transferred,
        elapsed_ms: progress.elapsed_ms,
        eta_ms: progress.eta_ms,
    });
    let peers = reconcile.iter().flat_map(|reconcile| &reconcile.peers);
    let failed = peers.filter(|peer| !peer.last_error.is_empty());
    let errors = failed.map(|peer| LastError { peer: &peer.node_id, error: &peer.last_error });
    let hints = status.hints.iter().flat_map(|hints| &hints.targets);
    Node {
        node: &status.node_id,
        reachable: true,
        job: of(JobKind::Repair, status).map(Common::from),
        share_permille: share_permille(&metrics),
        catching_up: reconcile.is_some_and(|reconcile| reconcile.catching_up),
        absence_unproven: reconcile.is_some_and(|reconcile| reconcile.absence_unproven),
        hints_pending: metrics.count("gitstratum_hints_pending"),
        hints: hints.map(nodes::HintsFor::from).collect(),
        dirty_ranges: metrics.count("gitstratum_hints_dirty_ranges"),
        comparisons: comparisons.collect(),
        errors: errors.collect(),
    }
}

/// For people.
pub(super) fn as_text(answers: &[Answered<StatusResponse>]) -> Result<String, fmt::Error> {
    let mut out = String::new();
    write_nodes(&mut out, JobKind::Repair, answers, |out, status, _| describe(out, status))?;
    let lacking = lacking(answers);
    if lacking.is_none() {
        writeln!(out, "nothing is known to lack a replica")?;
    } else {
        let left = lacking.eta_ms.map_or_else(String::new, |ms| format!(", {}", left(ms)));
        let left = left + if lacking.hints_wait { ", and there are hints that wait" } else { "" };
        writeln!(
            out,
            "about {} objects ({}) lack a replica, and {} ranges are dirty{left}",
            HumanCount(lacking.objects),
            HumanBytes(lacking.bytes as u64),
            lacking.dirty_ranges
        )?;
    }
    nodes::write_partial(&mut out, answers)?;
    Ok(out)
}

fn describe(out: &mut String, status: &StatusResponse) -> fmt::Result {
    let metrics = metrics_of(status);
    let share = share_permille(&metrics);
    let reconcile = status.reconcile.clone().unwrap_or_default();
    let hints = status.hints.clone().unwrap_or_default();
    if reconcile.catching_up && !reconcile.off {
        writeln!(out, "  catches up: not compared with every peer since it started")?;
    }
    if share < 1000 {
        let share = percent(share);
        writeln!(out, "  gives way to clients: takes {share} of its rate now")?;
    }
    for target in &hints.targets {
        let (hints, node_id, waits) =
            (HumanCount(target.pending), &target.node_id, nodes::waits(target));
        match target.eta_ms {
            Some(ms) => writeln!(out, "  {hints} hints for {node_id}, {}{waits}", left(ms))?,
            None => writeln!(out, "  {hints} hints for {node_id}, time left unknown{waits}")?,
        }
    }
    let dirty_ranges = metrics.count("gitstratum_hints_dirty_ranges");
    if dirty_ranges > 0 {
        writeln!(out, "  {dirty_ranges} dirty ranges")?;
    }
    for (peer, progress) in under_way(status) {
        let ReconcileProgress { done_permille, missing_locally, missing_remotely, .. } = *progress;
        let rate = progress.transferred as f64 * 1000.0 / progress.elapsed_ms.max(1) as f64;
        writeln!(
            out,
            "  with {peer}: {} compared, about {} objects lack here and {} there; {} transferred, \
             {} a second{}",
            percent(done_permille),
            HumanCount(missing_locally),
            HumanCount(missing_remotely),
            HumanCount(progress.transferred),
            HumanCount(rate.round() as u64),
            progress.eta_ms.map_or_else(String::new, |ms| format!("; {}", left(ms)))
        )?;
    }
    for peer in reconcile.peers.iter().filter(|peer| peer.progress.is_none()) {
        if peer.compared_ago_ms.is_none() && !peer.last_error.is_empty() {
            writeln!(out, "  not compared with {} yet: {}", peer.node_id, peer.last_error)?;
        }
    }
    Ok(())
}
