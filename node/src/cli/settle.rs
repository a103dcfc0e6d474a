//! Settling: every node is compared with every other one, and then readers look no longer where
//! earlier layouts placed objects.
//!
//! Invariant: a version is called settled when a comparison of everything, begun after all nodes
//! that are read from went by it, came to its end between all of them and failed for no object.
//! Writes by an earlier version are refused by then, so nothing comes behind the comparison.

use std::collections::BTreeMap;
use std::time::Duration;

use gitstratum_cluster::client::Client;
use gitstratum_cluster::wire::metrics::metrics_of;
use gitstratum_core::job::{JobKind, JobOrder};
use gitstratum_core::limits;
use gitstratum_core::placement::{Layout, NodeId};
use gitstratum_proto::v1::StatusResponse;
use tokio::time::Instant;

use super::agreed::Agreed;
use super::arguments::ClientArguments;
use super::layout::tell;
use super::{Failure, connect_for_status, interruptible, note, show};

const PAUSE: Duration = Duration::from_millis(300);
/// Between two lines that say the same.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(30);
const FAILED: &str = "gitstratum_reconcile_objects_failed_total";

/// Settles the layout in force, however long that takes. What it waits for is said.
pub(super) async fn settle(
    agreed: &mut Agreed,
    arguments: &ClientArguments,
) -> Result<(), Failure> {
    interruptible("given again, it goes on", settled(agreed, arguments)).await
}

async fn settled(agreed: &mut Agreed, arguments: &ClientArguments) -> Result<(), Failure> {
    let client = connect_for_status(arguments).await?;
    let mut progress = Progress::default();
    loop {
        agreed.refresh().await?;
        let layout = agreed.layout.clone();
        if layout.with_all_settled().is_none() {
            return show(&format!("version {}: all objects are in their places\n", layout.version));
        }
        if !is_compared(&client, &layout, &mut progress).await? {
            continue;
        }
        let settled = agreed.change(false, |now| match now.version == layout.version {
            true => Ok(now.with_all_settled()),
            // Others changed it meanwhile: what was compared says nothing of that.
            false => Ok(None),
        });
        if settled.await? {
            tell(&layout, &agreed.layout, true, arguments).await?;
        }
    }
}

/// Whether all were compared by this layout; not, where something has to be begun again.
async fn is_compared(
    client: &Client,
    layout: &Layout,
    progress: &mut Progress,
) -> Result<bool, Failure> {
    if let Some((node, why)) = behind(client, layout).await {
        progress.say(format!("waiting for {node}: {why}"));
        tokio::time::sleep(PAUSE).await;
        return Ok(false);
    }
    // What is under way may have begun by an earlier version.
    for order in [JobOrder::Cancel, JobOrder::Start] {
        for (member, answer) in client.job(JobKind::Repair, order).await {
            if let Err(error) = answer
                && layout.is_read_from(&member.node_id)
            {
                progress.say(format!("waiting for {}: {error}", member.node_id));
                tokio::time::sleep(PAUSE).await;
                return Ok(false);
            }
        }
    }
    let began = Instant::now();
    let failed_before = failures(client).await;
    loop {
        tokio::time::sleep(PAUSE).await;
        if client.layout().version > layout.version {
            return Ok(false);
        }
        let mut left = Vec::new();
        for (member, answer) in client.status().await {
            let node = &member.node_id;
            if !layout.is_read_from(node) {
                continue;
            }
            match answer {
                Ok(status) => left.extend(not_compared(node, &status, layout, began.elapsed())?),
                Err(error) => left.push(format!("{node}: {error}")),
            }
        }
        let Some(first) = left.first() else {
            let failed = failures(client).await;
            if failed == failed_before {
                return Ok(true);
            }
            progress.say("some objects could not be copied: once more".to_owned());
            tokio::time::sleep(limits::RECONCILE_BACKOFF_MAX.min(Duration::from_secs(5))).await;
            return Ok(false);
        };
        progress.say(format!("comparing, {} to go: {first}", left.len()));
    }
}

/// A node that does not go by this layout yet, and why.
async fn behind(client: &Client, layout: &Layout) -> Option<(NodeId, String)> {
    let answers = client.layouts().await;
    let mut read = answers.into_iter().filter(|(member, _)| layout.is_read_from(&member.node_id));
    read.find_map(|(member, answer)| match answer {
        Ok(held) if held.version >= layout.version => None,
        Ok(held) => Some((member.node_id, format!("it goes by version {}", held.version))),
        Err(error) => {
            let node = member.node_id;
            let lost = format!("if {node} is lost, `gitstratum node replace {node}` goes first");
            Some((node, format!("{error}; {lost}")))
        }
    })
}

/// What a node still has to be compared with.
fn not_compared(
    node: &NodeId,
    status: &StatusResponse,
    layout: &Layout,
    within: Duration,
) -> Result<Vec<String>, Failure> {
    let Some(reconcile) = &status.reconcile else {
        return Ok(vec![format!("{node} says nothing of comparisons")]);
    };
    if reconcile.off {
        return Err(Failure::Operation(format!(
            "{node} compares nothing: repair.compare_interval_h is 0 there"
        )));
    }
    if reconcile.catching_up {
        return Ok(vec![format!("{node} has just started")]);
    }
    let peers = reconcile.peers.iter().filter(|peer| {
        layout.is_read_from(&NodeId::new(peer.node_id.as_str()))
            && peer.compared_ago_ms.is_none_or(|ago| Duration::from_millis(ago) >= within)
    });
    let left = peers.map(|peer| match &peer.progress {
        Some(progress) => {
            let percent = f64::from(progress.done_permille) / 10.0;
            format!("{node} with {}: {percent:.1} %", peer.node_id)
        }
        None => format!("{node} with {}", peer.node_id),
    });
    Ok(left.collect())
}

/// Objects that could not be brought, of each node.
async fn failures(client: &Client) -> BTreeMap<NodeId, u64> {
    let answers = client.status().await;
    let failed = answers.into_iter().filter_map(|(member, answer)| {
        let status = answer.ok()?;
        let metrics = metrics_of(&status);
        let peers = status.reconcile.iter().flat_map(|reconcile| &reconcile.peers);
        Some((
            member.node_id,
            peers.map(|peer| metrics.of_peer(FAILED, &peer.node_id) as u64).sum(),
        ))
    });
    failed.collect()
}

/// What is waited for, said when it changes, and from time to time.
#[derive(Default)]
pub(super) struct Progress(Option<(String, Instant)>);

impl Progress {
    pub(super) fn say(&mut self, line: String) {
        let now = Instant::now();
        match &self.0 {
            Some((said, at)) if *said == line && now.duration_since(*at) < SAID_AGAIN_AFTER => {}
            _ => {
                note(&line);
                self.0 = Some((line, now));
            }
        }
    }
}
