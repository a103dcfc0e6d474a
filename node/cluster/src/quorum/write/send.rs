//! Replica write.
//!
//! One replica's part of a write.
//!
//! A replica whose circuit is open is sent to when the write cannot do without it. How the
//! answers of several replicas make an outcome is left to others.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use gitstratum_core::object::Object;
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{Durability, NodeError, NodeWriter, Stored};
use gitstratum_core::trace;
use tracing::Span;

use super::Answers;
use super::reserve::Reserve;

/// Begins a replica's write in a task of its own; a panic in it is that replica's failure.
pub(super) fn begin(
    node_id: NodeId,
    objects: usize,
    write: impl Future<Output = Answers> + Send + 'static,
) -> impl Future<Output = (NodeId, Answers)> {
    // Caught within the task: what a runtime makes of one that panics is its own affair. What
    // the write shares with others are counters and maps behind locks, whole at any moment.
    let write = tokio::spawn(trace::carried(AssertUnwindSafe(write).catch_unwind(), Span::none()));
    async move {
        let failed = match write.await {
            Ok(Ok(answers)) => {
                assert_eq!(answers.len(), objects, "a replica answers for every object");
                return (node_id, answers);
            }
            Ok(Err(panic)) => format!("the write panicked: {}", message(&*panic)),
            Err(error) => format!("the write did not finish: {error}"),
        };
        tracing::error!(replica = %node_id, "{failed}");
        (node_id, vec![Err(NodeError::Protocol { reason: failed }); objects])
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Writes a batch to one replica; an error of the whole is every object's error.
pub(super) async fn send(
    node: &dyn NodeWriter,
    objects: Arc<[Object]>,
    skip_present: bool,
    timeout: Duration,
    reserve: &Reserve,
) -> Answers {
    let count = objects.len();
    let mut sent = send_once(node, objects.clone(), skip_present, timeout).await;
    if matches!(sent, Err(NodeError::CircuitOpen { .. }))
        && let Some(node) = node.bypassing_breaker()
        && reserve.wait().await
    {
        sent = send_once(&*node, objects, skip_present, timeout).await;
    }
    sent.unwrap_or_else(|error| vec![Err(error); count])
}

async fn send_once(
    node: &dyn NodeWriter,
    objects: Arc<[Object]>,
    skip_present: bool,
    timeout: Duration,
) -> Result<Answers, NodeError> {
    match skip_present {
        true => send_lacking(node, objects, timeout).await,
        false => send_all(node, objects, timeout).await,
    }
}

async fn send_all(
    node: &dyn NodeWriter,
    objects: Arc<[Object]>,
    timeout: Duration,
) -> Result<Answers, NodeError> {
    let answers = node.put(objects, timeout).await?;
    Ok(answers.into_iter().map(|answer| Ok(answer?)).collect())
}

async fn send_lacking(
    node: &dyn NodeWriter,
    objects: Arc<[Object]>,
    timeout: Duration,
) -> Result<Answers, NodeError> {
    let ids = objects.iter().map(Object::id).collect();
    let present = node.has(ids, timeout).await?;
    let lacking: Arc<[Object]> = objects
        .iter()
        .zip(&present)
        .filter(|(_, present)| !**present)
        .map(|(object, _)| object.clone())
        .collect();
    let mut answers = match lacking.is_empty() {
        true => Vec::new(),
        false => send_all(node, lacking, timeout).await?,
    }
    .into_iter();
    let merged = objects.iter().zip(present).map(|(object, present)| match present {
        true => Ok(already_stored(object.size_bytes())),
        false => answers.next().expect("one answer for each object that was lacking"),
    });
    Ok(merged.collect())
}

/// What is acknowledged for a replica that said it has the object: it speaks of what is durable.
pub(super) fn already_stored(bytes: u64) -> Stored {
    Stored { bytes, durability: Durability::Synced, already_present: true }
}
