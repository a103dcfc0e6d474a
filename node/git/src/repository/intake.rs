//! Pack intake: the pack of a push, from the client's bytes to chunks and an index of its objects.
//!
//! Chunks are put while the upload goes on, and every object is named and checked as it comes.
//! Nothing refers to what is stored here until a command of the catalog does: a push that ends
//! early leaves chunks that nobody owns.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use gitstratum_catalog::ids::{PackId, RepositoryId};
use gitstratum_core::limits;
use gitstratum_core::object::{HashAlgorithm, Object, ObjectId};
use gitstratum_host::compute;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::objects::RepositoryObjects;
use crate::chunk::{CHUNK_DATA_BYTES_MAX, ChunkHead, ChunkReader, ChunkedBytes, Cutter, Part};
use crate::fsck::Policy;
use crate::pack::PackError;
use crate::pack::index::{IndexLimits, Indexed, Indexer, Step};
use crate::pack::scan::Splitter;
use crate::service::{PackBody, ProgressSink, RepositoryError};

/// Parts of the client's that are taken together, if they are there.
const PARTS_AT_ONCE: usize = 32;
/// Between two lines of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// Why a pack was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum IntakeError {
    /// It is refused.
    #[error("{0}")]
    Pack(#[from] PackError),
    /// It is larger than a push to this repository may be.
    #[error("the pack is larger than {max} bytes, the repository's limit for a push")]
    TooLarge {
        /// The limit.
        max: u64,
    },
    /// The client went away.
    #[error("the pack did not arrive: {0}")]
    Body(#[from] std::io::Error),
    /// The repository failed.
    #[error("{0}")]
    Repository(#[from] RepositoryError),
}

/// What a pack is taken in for.
pub(super) struct Intake<'a> {
    pub(super) chunks: &'a ChunkReader,
    pub(super) repository: RepositoryId,
    pub(super) pack: PackId,
    pub(super) algorithm: HashAlgorithm,
    pub(super) policy: &'a Policy,
    /// The most bytes that it may have.
    pub(super) bytes_max: Option<u64>,
}

/// A pack that was taken in.
pub(super) struct Taken {
    pub(super) indexed: Indexed,
    /// Chunks of its body that are stored.
    pub(super) stored: Vec<ObjectId>,
    /// What comes after them.
    pub(super) rest: Cutter,
}

/// What is computed of a pack while it arrives.
struct Work {
    algorithm: HashAlgorithm,
    policy: Policy,
    splitter: Splitter,
    indexer: Option<Indexer>,
    cutter: Cutter,
}

impl Work {
    /// Takes the next parts of the stream; returns the chunks that they fill.
    fn take(&mut self, parts: Vec<Bytes>) -> Result<Vec<Object>, PackError> {
        let mut full = Vec::new();
        for part in parts {
            for piece in self.splitter.feed(part)? {
                if let Some(indexer) = self.indexer()? {
                    indexer.feed(&piece)?;
                }
                self.cutter.push(&piece, |chunk| full.push(chunk));
            }
        }
        Ok(full)
    }

    /// The indexer, once the header has come.
    fn indexer(&mut self) -> Result<Option<&mut Indexer>, PackError> {
        if self.indexer.is_none() {
            let Some(header) = self.splitter.header() else { return Ok(None) };
            let (policy, limits) = (self.policy.clone(), IndexLimits::default());
            self.indexer = Some(Indexer::new(self.algorithm, header.objects, policy, limits)?);
        }
        Ok(self.indexer.as_mut())
    }

    /// The stream has ended.
    fn finish(mut self) -> Result<(Indexer, Cutter), PackError> {
        self.indexer()?;
        let Work { splitter, indexer, cutter, .. } = self;
        let Some(mut indexer) = indexer else {
            return Err(splitter
                .finish()
                .err()
                .unwrap_or(PackError::Ended("no header".to_owned())));
        };
        // Which object is cut off says more than that the checksum is wrong.
        indexer.finish_input()?;
        splitter.finish()?;
        Ok((indexer, cutter))
    }
}

impl Intake<'_> {
    /// Takes a pack in. `objects` is what the repository has already, for bases that a thin pack
    /// lacks.
    pub(super) async fn take(
        &self,
        body: PackBody,
        objects: &RepositoryObjects,
        progress: &mut dyn ProgressSink,
    ) -> Result<Taken, IntakeError> {
        let (full, queue) = mpsc::channel(1);
        let reading = self.read(body, full);
        let storing = async { self.store(queue).await.map_err(IntakeError::from) };
        // Both go on at once, and the first error ends both.
        let ((indexer, rest, stored), ()) = futures_util::try_join!(reading, storing)?;
        let mut resolving = Resolving { intake: self, rest, stored };
        let indexer = resolving.resolve(indexer, objects, progress).await?;
        let Resolving { rest, stored, .. } = resolving;
        Ok(Taken { indexed: compute(move || indexer.finish()).await, stored, rest })
    }

    fn head(&self, part: Part) -> ChunkHead {
        let (repository, pack) = (self.repository, self.pack);
        ChunkHead { repository, pack, part, number: 0 }
    }

    /// Reads to the end of the stream; hands on the chunks that are full.
    async fn read(
        &self,
        body: PackBody,
        full: mpsc::Sender<Object>,
    ) -> Result<(Indexer, Cutter, Vec<ObjectId>), IntakeError> {
        let mut work = Work {
            algorithm: self.algorithm,
            policy: self.policy.clone(),
            splitter: Splitter::new(self.algorithm),
            indexer: None,
            cutter: Cutter::new(self.head(Part::Body)),
        };
        let mut ids = Vec::new();
        let mut parts = body.ready_chunks(PARTS_AT_ONCE);
        while let Some(ready) = parts.next().await {
            let ready: Vec<Bytes> = ready.into_iter().collect::<Result<_, _>>()?;
            let (worked, chunks) = compute(move || {
                let chunks = work.take(ready);
                (work, chunks)
            })
            .await;
            work = worked;
            let chunks = chunks?;
            if let Some(max) = self.bytes_max.filter(|max| work.splitter.body_bytes() > *max) {
                return Err(IntakeError::TooLarge { max });
            }
            for chunk in chunks {
                ids.push(chunk.id());
                // Where nobody takes it, storing has failed, and says why.
                if full.send(chunk).await.is_err() {
                    return std::future::pending().await;
                }
            }
        }
        let (indexer, cutter) = compute(move || work.finish()).await?;
        Ok((indexer, cutter, ids))
    }

    /// Stores chunks as they come, several at once.
    async fn store(&self, queue: mpsc::Receiver<Object>) -> Result<(), RepositoryError> {
        let next = |mut queue: mpsc::Receiver<Object>| async move {
            queue.recv().await.map(|chunk| (Ok(chunk), queue))
        };
        let put = |chunk| self.chunks.put(chunk);
        stream::unfold(queue, next).try_for_each_concurrent(limits::PUSH_PUTS_IN_FLIGHT, put).await
    }
}

/// Has an indexer go on, where it may compute for a while.
pub(super) async fn step_on(mut indexer: Indexer) -> (Indexer, Result<Step, PackError>) {
    compute(move || {
        let step = indexer.step();
        (indexer, step)
    })
    .await
}

/// Answers for bases that the pack lacks: for all, or as many as are held at once. The others are
/// asked for again.
async fn provide_bases(
    indexer: &mut Indexer,
    ids: &[ObjectId],
    objects: &RepositoryObjects,
) -> Result<(), IntakeError> {
    let mut held = 0;
    for id in ids {
        let base = objects.object(id).await?;
        held += base.as_ref().map_or(0, |(_, data)| data.len());
        indexer.provide_base(*id, base)?;
        if held >= limits::DELTA_CACHE_BYTES {
            break;
        }
    }
    Ok(())
}

/// A pack whose deltas are being resolved.
struct Resolving<'a> {
    intake: &'a Intake<'a>,
    rest: Cutter,
    stored: Vec<ObjectId>,
}

impl Resolving<'_> {
    async fn resolve(
        &mut self,
        mut indexer: Indexer,
        objects: &RepositoryObjects,
        progress: &mut dyn ProgressSink,
    ) -> Result<Indexer, IntakeError> {
        let mut told = Instant::now();
        loop {
            let step;
            (indexer, step) = step_on(indexer).await;
            match step? {
                Step::Done => return Ok(indexer),
                Step::Again => {}
                Step::Read { offset, len } => {
                    indexer.provide_body(offset, self.body(offset, len).await?);
                }
                Step::Bases(ids) => provide_bases(&mut indexer, &ids, objects).await?,
                Step::Append(bytes) => self.append(&bytes).await?,
            }
            if told.elapsed() >= PROGRESS_INTERVAL {
                told = Instant::now();
                let (found, all) = indexer.progress();
                let percent = found * 100 / all.max(1);
                progress.progress(&format!("Resolving deltas: {percent}% ({found}/{all})\r")).await;
            }
        }
    }

    /// Bytes of the body that have come, from `offset` on: so many, or fewer, and at least one.
    async fn body(&self, offset: u64, len: usize) -> Result<Bytes, RepositoryError> {
        let stored_bytes = self.stored.len() as u64 * CHUNK_DATA_BYTES_MAX as u64;
        if let Some(begin) = offset.checked_sub(stored_bytes) {
            let waiting = self.rest.waiting();
            let begin = (begin as usize).min(waiting.len());
            let end = (begin + len).min(waiting.len());
            return Ok(Bytes::copy_from_slice(&waiting[begin..end]));
        }
        let lies = ChunkedBytes {
            repository: self.intake.repository,
            pack: self.intake.pack,
            part: Part::Body,
            chunks: self.stored.clone().into(),
            len: stored_bytes,
        };
        // To the end of the chunk, which is at hand: more is asked for soon.
        let chunk_end = (offset / CHUNK_DATA_BYTES_MAX as u64 + 1) * CHUNK_DATA_BYTES_MAX as u64;
        let end = (offset + len as u64).max(chunk_end).min(stored_bytes);
        self.intake.chunks.range(&lies, offset..end).await
    }

    /// Appends to the body.
    async fn append(&mut self, bytes: &[u8]) -> Result<(), RepositoryError> {
        let mut full = Vec::new();
        self.rest.push(bytes, |chunk| full.push(chunk));
        for chunk in full {
            self.stored.push(chunk.id());
            self.intake.chunks.put(chunk).await?;
        }
        Ok(())
    }
}
