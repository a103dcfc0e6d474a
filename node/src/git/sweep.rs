//! Sweeping of chunks that nobody owns: what pushes left that ended before their command.
//!
//! Each node sweeps its own store. The id of a chunk says of which pack it is; one that no repository
//! has is litter as soon as the catalog's clock is past the pack's lease, because from then on the
//! catalog refuses it. That is the fence: no clock of this node is asked, and a state that is old
//! says nothing, because it is read as linearizable reads are. Invariant: nothing that has an owner,
//! or can come to have one, is deleted.
//!
//! A restore from a backup names packs of any age. It does so before it looks for their chunks, and
//! looks again before it ends; so litter is looked up once more right before it is deleted.
//!
//! That clock goes on with commands, and a cluster may get none for days. So where something waits
//! whose lease is over by this node's own clock, the node has the catalog's come past it, and the
//! next sweep takes it. A clock that is wrong ends leases too early then, of pushes that are under
//! way in the moment of a sweep: they are refused, and nothing is lost.
//!
//! A tombstone keeps a peer from bringing back what was swept here before it was there.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gitstratum_catalog::State;
use gitstratum_catalog::ids::{PackId, RepositoryId};
use gitstratum_core::limits;
use gitstratum_core::metrics::{self, Reading, Registry};
use gitstratum_core::object::{Kind, ObjectId};
use gitstratum_core::replica::{Found, StoreError};
use gitstratum_core::throttle::Throttle;
use gitstratum_git::chunk::{ChunkHead, position_of, tag_of};
use gitstratum_host::unix_time_ms;
use gitstratum_store::{SegmentStore, Store};

use crate::catalog::{Failed, Participant};

/// What sweeping did and found.
#[derive(Debug, Default)]
pub(crate) struct Swept(Mutex<Counts>);

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    sweeps: u64,
    chunks: u64,
    bytes: u64,
    /// Chunks without an owner that the last sweep left, because they may come to have one.
    waiting: u64,
    /// Of one sweep: until when the last lease of these was that is over by this node's own clock.
    over_ms: Option<u64>,
}

impl Counts {
    /// Counts a chunk that has no owner, and may come to have one.
    fn wait_for(&mut self, pack: PackId) {
        self.waiting += 1;
        let until_ms = pack.leased_until_ms();
        if until_ms < unix_time_ms() {
            self.over_ms = self.over_ms.max(Some(until_ms));
        }
    }
}

impl Swept {
    /// Registers what was counted.
    pub(crate) fn register(self: &Arc<Self>, registry: &mut Registry) {
        type Metric = Reading<Counts>;
        let readings = vec![
            Metric::counter("git_sweeps", "Sweeps of chunks that nobody owns", |counts| {
                counts.sweeps
            }),
            Metric::counter("git_swept_chunks", "Chunks that were swept", |counts| counts.chunks),
            Metric::counter("git_swept_bytes", "Bytes of chunks that were swept", |counts| {
                counts.bytes
            }),
            Metric::gauge(
                "git_unowned_chunks",
                "Chunks that nobody owned at the last sweep, of pushes that may be under way",
                |counts| counts.waiting,
            ),
        ];
        let swept = self.clone();
        metrics::register(registry, readings, move || *swept.lock());
    }

    /// Adds what one sweep did.
    fn add(&self, one: Counts) {
        let mut all = self.lock();
        all.sweeps += one.sweeps;
        all.chunks += one.chunks;
        all.bytes += one.bytes;
        all.waiting = one.waiting;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sweeps the store of a node.
pub(crate) struct Sweeper {
    /// What is swept.
    pub(crate) store: Arc<SegmentStore>,
    /// Says who owns what.
    pub(crate) participant: Arc<Participant>,
    /// What comes of it.
    pub(crate) swept: Arc<Swept>,
    /// Between two sweeps.
    pub(crate) interval: Duration,
    /// Bytes of unowned chunks that are read in a second.
    pub(crate) bytes_per_second: u64,
}

/// Why a sweep ended early.
#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error("the catalog: {0}")]
    Catalog(#[from] Failed),
    #[error("the store: {0}")]
    Store(#[from] StoreError),
}

/// Litter that is deleted at once: so many chunks, or as many as have so many bytes.
const LITTER_CHUNKS_AT_ONCE: usize = 256;
const LITTER_BYTES_AT_ONCE: u64 = 16 << 20;

/// Chunks that are about to be deleted.
#[derive(Default)]
struct Litter {
    ids: Vec<(ObjectId, u64)>,
    bytes: u64,
}

impl Litter {
    fn add(&mut self, id: ObjectId, bytes: u64) {
        self.ids.push((id, bytes));
        self.bytes += bytes;
    }

    fn is_enough(&self) -> bool {
        self.ids.len() >= LITTER_CHUNKS_AT_ONCE || self.bytes >= LITTER_BYTES_AT_ONCE
    }
}

/// Who owns chunks, at one moment.
struct Owners {
    /// The tags of all packs, sorted.
    tags: Vec<[u8; 4]>,
    clock_ms: u64,
    last_repository: RepositoryId,
}

impl Owners {
    fn of(state: &State) -> Self {
        let mut tags: Vec<[u8; 4]> = state.pack_ids().map(tag_of).collect();
        tags.sort_unstable();
        tags.dedup();
        let (clock_ms, last_repository) = (state.clock_ms(), state.last_repository());
        Owners { tags, clock_ms, last_repository }
    }

    /// Whether a pack that somebody has may have this chunk.
    fn may_own(&self, id: &ObjectId) -> bool {
        self.tags.binary_search(&id.pack_tag()).is_ok()
    }
}

impl Sweeper {
    /// Sweeps again and again.
    pub(crate) async fn run(self) {
        loop {
            tokio::time::sleep(self.interval).await;
            match self.sweep().await {
                Ok(Counts { chunks: 0, .. }) => {}
                Ok(Counts { chunks, bytes, .. }) => {
                    tracing::info!(chunks, bytes, "chunks were swept that nobody owns");
                }
                Err(error) => tracing::warn!(%error, "a sweep of unowned chunks ended early"),
            }
        }
    }

    async fn sweep(&self) -> Result<Counts, SweepError> {
        let owners = self.owners().await?;
        let mut counts = Counts { sweeps: 1, ..Counts::default() };
        let mut throttle = Throttle::new(Duration::ZERO);
        let mut litter = Litter::default();
        // Once: it copies what is in memory of the ids.
        let inventory = self.store.inventory(0, u64::MAX).await;
        for number in 1..=owners.last_repository.0 {
            let repository = RepositoryId(number);
            let position = position_of(repository);
            let ids = inventory.ids(position, position).await?;
            let unowned = ids.into_iter().filter(|id| !owners.may_own(id));
            for id in unowned {
                if let Some(bytes) = self.litter(&owners, repository, id, &mut counts).await? {
                    litter.add(id, bytes);
                }
                if litter.is_enough() {
                    let litter = std::mem::take(&mut litter);
                    self.take(litter, &mut throttle, &mut counts).await?;
                }
            }
            tokio::task::yield_now().await;
        }
        self.take(litter, &mut throttle, &mut counts).await?;
        self.swept.add(counts);
        if let Some(over_ms) = counts.over_ms {
            self.participant.advance_clock(over_ms).await?;
        }
        Ok(counts)
    }

    async fn owners(&self) -> Result<Owners, SweepError> {
        Ok(self.participant.read(limits::CATALOG_REQUEST_TIMEOUT, Owners::of).await?)
    }

    /// Deletes what nobody has by now either, and waits as long as its bytes may take.
    async fn take(
        &self,
        mut litter: Litter,
        throttle: &mut Throttle,
        counts: &mut Counts,
    ) -> Result<(), SweepError> {
        if litter.ids.is_empty() {
            return Ok(());
        }
        let owners = self.owners().await?;
        litter.ids.retain(|(id, _)| !owners.may_own(id));
        let ids: Vec<ObjectId> = litter.ids.iter().map(|(id, _)| *id).collect();
        self.store.delete(&ids).await?;
        counts.chunks += ids.len() as u64;
        counts.bytes += litter.ids.iter().map(|(_, bytes)| bytes).sum::<u64>();
        let turn = throttle.turn(litter.bytes, self.bytes_per_second as f64);
        tokio::time::sleep_until(turn.end).await;
        Ok(())
    }

    /// How long a chunk is that nobody has and nobody can come to have.
    async fn litter(
        &self,
        owners: &Owners,
        repository: RepositoryId,
        id: ObjectId,
        counts: &mut Counts,
    ) -> Result<Option<u64>, SweepError> {
        let object = match self.store.get(id).await {
            Ok(Found::Object(object)) => object,
            // What is damaged does not say whose it is, and is looked after by repair.
            Ok(_) | Err(StoreError::Damaged { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let head = ChunkHead::parse(object.data()).filter(|_| object.kind() == Kind::Chunk);
        // Anything else has come here by chance, or by the object interface.
        let Some(head) = head.filter(|head| head.repository == repository) else { return Ok(None) };
        if !head.pack.is_expired(owners.clock_ms) {
            counts.wait_for(head.pack);
            return Ok(None);
        }
        Ok(Some(object.size_bytes()))
    }
}
