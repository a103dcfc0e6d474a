//! Upload pipeline.
//!
//! Puts, several at a time, tried again while that can help.

use std::collections::BTreeMap;

use gitstratum_cluster::client::{PutError, PutReport};
use gitstratum_core::backoff::exponential;
use gitstratum_core::limits;
use gitstratum_core::object::Object;
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{NodeError, StoreError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::error::ImportError;
use super::large::Large;
use super::read::Item;
use super::{Client, Progress, ReplicaAcks};

/// What was put.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) sent_objects: u64,
    pub(super) sent_bytes: u64,
    pub(super) present_objects: u64,
    pub(super) present_bytes: u64,
    pub(super) large_objects: u64,
    pub(super) replicas: BTreeMap<NodeId, ReplicaAcks>,
}

impl Tally {
    fn add(&mut self, bytes: u64, report: &PutReport) {
        let mut sent = false;
        for (node_id, stored) in &report.stored {
            let node = self.replicas.entry(node_id.clone()).or_default();
            if stored.already_present {
                node.already_present += 1;
            } else {
                node.objects += 1;
                node.bytes += bytes;
                sent = true;
            }
        }
        if sent {
            self.sent_objects += 1;
            self.sent_bytes += bytes;
        } else {
            self.present_objects += 1;
            self.present_bytes += bytes;
        }
    }

    fn merge(&mut self, other: Tally) {
        self.sent_objects += other.sent_objects;
        self.sent_bytes += other.sent_bytes;
        self.present_objects += other.present_objects;
        self.present_bytes += other.present_bytes;
        self.large_objects += other.large_objects;
        for (node_id, theirs) in other.replicas {
            let ours = self.replicas.entry(node_id).or_default();
            ours.objects += theirs.objects;
            ours.bytes += theirs.bytes;
            ours.already_present += theirs.already_present;
        }
    }
}

/// Puts items, a bounded number at a time. Dropping it abandons the puts.
pub(super) struct Sender<'p> {
    client: Client,
    progress: Option<&'p dyn Progress>,
    puts: JoinSet<Result<Tally, ImportError>>,
    tally: Tally,
}

impl<'p> Sender<'p> {
    pub(super) fn new(client: Client, progress: Option<&'p dyn Progress>) -> Self {
        Sender { client, progress, puts: JoinSet::new(), tally: Tally::default() }
    }

    /// Begins to put an item, once there is room. An error may be that of an earlier one.
    pub(super) async fn put(&mut self, item: Item) -> Result<(), ImportError> {
        while self.puts.len() >= limits::IMPORT_PUTS_IN_FLIGHT {
            self.join_one().await?;
        }
        let client = self.client.clone();
        self.puts.spawn(async move {
            match item {
                Item::Batch(objects) => put_batch(&client, objects).await,
                Item::Large(large) => put_large(&client, large).await,
            }
        });
        Ok(())
    }

    /// Waits until everything is put.
    pub(super) async fn finish(&mut self) -> Result<(), ImportError> {
        while !self.puts.is_empty() {
            self.join_one().await?;
        }
        Ok(())
    }

    pub(super) fn into_tally(self) -> Tally {
        self.tally
    }

    async fn join_one(&mut self) -> Result<(), ImportError> {
        let Some(done) = self.puts.join_next().await else { return Ok(()) };
        let done = done.expect("a put does not panic and is not cancelled")?;
        if let Some(progress) = self.progress {
            let objects = done.sent_objects + done.present_objects;
            progress.advance(objects, done.sent_bytes + done.present_bytes);
        }
        self.tally.merge(done);
        Ok(())
    }
}

async fn put_batch(client: &Client, objects: Vec<Object>) -> Result<Tally, ImportError> {
    let mut tally = Tally::default();
    let mut left = objects;
    let mut retries = Retries::default();
    while !left.is_empty() {
        let outcomes = client.put_batch(left.clone(), true).await;
        let (mut failed, mut error) = (Vec::new(), None);
        for (object, outcome) in left.into_iter().zip(outcomes) {
            match outcome {
                Ok(report) => tally.add(object.size_bytes(), &report),
                Err(reason) => {
                    // One that cannot be helped decides for all.
                    if error.as_ref().is_none_or(can_pass) {
                        error = Some(reason);
                    }
                    failed.push(object);
                }
            }
        }
        if let Some(error) = error {
            retries.wait_after(error).await?;
        }
        left = failed;
    }
    Ok(tally)
}

async fn put_large(client: &Client, large: Large) -> Result<Tally, ImportError> {
    let (head, mut retries) = (large.head, Retries::default());
    let mut tally = Tally { large_objects: 1, ..Tally::default() };
    let replicas = client.layout().replicas;
    let holders = client.has(vec![head.id]).await.pop().expect("one id, one answer");
    // Sent again when one replica lacks it, to all: the others then say they had it.
    if let Ok(holders) = holders
        && holders.len() == replicas
    {
        tally.present_objects = 1;
        tally.present_bytes = head.size_bytes;
        for node_id in holders {
            tally.replicas.entry(node_id).or_default().already_present = 1;
        }
        return Ok(tally);
    }
    loop {
        let (sink, parts) = mpsc::channel(limits::LARGE_PARTS_IN_FLIGHT);
        let large = large.clone();
        let reading = tokio::task::spawn_blocking(move || large.send(&sink));
        let outcome = client.put_large(head, parts).await;
        // The reader's reason is the better one: a put that lacks parts only says so.
        reading.await.expect("a reader does not panic")?;
        match outcome {
            Ok(report) => {
                tally.add(head.size_bytes, &report);
                return Ok(tally);
            }
            Err(error) => retries.wait_after(error).await?,
        }
    }
}

/// How often one put was tried.
#[derive(Default)]
struct Retries {
    attempts: u32,
}

impl Retries {
    /// Waits before the next attempt, longer each time.
    ///
    /// # Errors
    /// When another attempt cannot help, or there were enough.
    async fn wait_after(&mut self, error: PutError) -> Result<(), ImportError> {
        self.attempts += 1;
        if self.attempts >= limits::TRANSFER_ATTEMPTS_MAX || !can_pass(&error) {
            return Err(ImportError::Put { attempts: self.attempts, source: error });
        }
        let (least, most) = (limits::TRANSFER_BACKOFF_MIN, limits::TRANSFER_BACKOFF_MAX);
        let wait = exponential(least, most, self.attempts - 1);
        tracing::warn!(%error, wait_ms = wait.as_millis() as u64, "put failed; trying again");
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// Whether the same put may succeed later: some replica failed of something that passes.
pub(super) fn can_pass(error: &PutError) -> bool {
    error.failed.iter().any(|(_, reason)| match reason {
        NodeError::Rejected(StoreError::Overloaded { .. } | StoreError::Closed) => true,
        NodeError::Rejected(_) | NodeError::Invalid { .. } | NodeError::Protocol { .. } => false,
        _ => true,
    })
}
