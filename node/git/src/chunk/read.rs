//! Chunk reader: ranges of bytes out of chunks, the latest of which are kept.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use gitstratum_catalog::ids::{PackId, RepositoryId};
use gitstratum_core::object::ObjectId;

use super::{CHUNK_DATA_BYTES_MAX, ChunkHead, ChunkStore, Part};
use crate::service::RepositoryError;

/// Bytes that are cut into chunks, all full but the last.
#[derive(Clone, Debug)]
pub struct ChunkedBytes {
    /// Whose they are.
    pub repository: RepositoryId,
    /// Of which pack.
    pub pack: PackId,
    /// Of what they are a part.
    pub part: Part,
    /// The chunks.
    pub chunks: Arc<[ObjectId]>,
    /// How many bytes.
    pub len: u64,
}

impl ChunkedBytes {
    /// Whether there are as many chunks as so many bytes take.
    pub fn is_consistent(&self) -> bool {
        self.len.div_ceil(CHUNK_DATA_BYTES_MAX as u64) == self.chunks.len() as u64
    }

    /// The data of one chunk.
    fn range_of(&self, number: usize) -> Range<u64> {
        let begin = number as u64 * CHUNK_DATA_BYTES_MAX as u64;
        begin..(begin + CHUNK_DATA_BYTES_MAX as u64).min(self.len)
    }
}

/// Reads chunks, and keeps the latest.
pub struct ChunkReader {
    store: Arc<dyn ChunkStore>,
    kept: Mutex<Kept>,
}

/// Chunks that were read lately: the longest unused goes first.
#[derive(Default)]
struct Kept {
    chunks: BTreeMap<ObjectId, (u64, Bytes)>,
    by_use: BTreeMap<u64, ObjectId>,
    uses: u64,
    bytes: usize,
    bytes_max: usize,
}

impl Kept {
    fn get(&mut self, id: &ObjectId) -> Option<Bytes> {
        let (used, bytes) = self.chunks.get_mut(id)?;
        self.by_use.remove(used);
        self.uses += 1;
        *used = self.uses;
        self.by_use.insert(self.uses, *id);
        Some(bytes.clone())
    }

    fn insert(&mut self, id: ObjectId, bytes: Bytes) {
        if bytes.len() > self.bytes_max || self.chunks.contains_key(&id) {
            return;
        }
        self.uses += 1;
        self.bytes += bytes.len();
        self.chunks.insert(id, (self.uses, bytes));
        self.by_use.insert(self.uses, id);
        while self.bytes > self.bytes_max
            && let Some((_, oldest)) = self.by_use.pop_first()
            && let Some((_, bytes)) = self.chunks.remove(&oldest)
        {
            self.bytes -= bytes.len();
        }
    }
}

impl ChunkReader {
    /// A reader that keeps at most so many bytes.
    pub fn new(store: Arc<dyn ChunkStore>, kept_bytes_max: usize) -> Self {
        let kept = Kept { bytes_max: kept_bytes_max, ..Kept::default() };
        ChunkReader { store, kept: Mutex::new(kept) }
    }

    /// Where it reads from.
    pub fn store(&self) -> &Arc<dyn ChunkStore> {
        &self.store
    }

    /// The data of one chunk.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub async fn chunk(&self, id: ObjectId, head: ChunkHead) -> Result<Bytes, RepositoryError> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept().get(&id);
        if let Some(data) = found {
            return Ok(data);
        }
        let data = head.data_of(&id, self.store.get(id).await?)?;
        kept().insert(id, data.clone());
        Ok(data)
    }

    /// The data of one of these chunks.
    ///
    /// # Errors
    /// [`RepositoryError`], also where it is not as long as it should be.
    pub async fn chunk_of(
        &self,
        bytes: &ChunkedBytes,
        number: usize,
    ) -> Result<Bytes, RepositoryError> {
        let id = bytes.chunks[number];
        let ChunkedBytes { repository, pack, part, .. } = *bytes;
        let head = ChunkHead { repository, pack, part, number: number as u32 };
        let data = self.chunk(id, head).await?;
        let (range, len) = (bytes.range_of(number), data.len());
        if len as u64 != range.end - range.start {
            return Err(RepositoryError::Damaged(format!(
                "chunk {id} of pack {pack} has {len} bytes instead of {}",
                range.end - range.start
            )));
        }
        Ok(data)
    }

    /// A range of bytes, without a copy where it lies within one chunk.
    ///
    /// # Errors
    /// [`RepositoryError`], also where the range reaches past the end.
    pub async fn range(
        &self,
        bytes: &ChunkedBytes,
        range: Range<u64>,
    ) -> Result<Bytes, RepositoryError> {
        if range.start > range.end || range.end > bytes.len {
            let pack = bytes.pack;
            return Err(RepositoryError::Damaged(format!(
                "bytes {}..{} of pack {pack}, which has {}",
                range.start, range.end, bytes.len
            )));
        }
        let mut gathered = BytesMut::new();
        let mut at = range.start;
        while at < range.end {
            let number = (at / CHUNK_DATA_BYTES_MAX as u64) as usize;
            let chunk = bytes.range_of(number);
            let data = self.chunk_of(bytes, number).await?;
            let end = chunk.end.min(range.end);
            let piece = data.slice((at - chunk.start) as usize..(end - chunk.start) as usize);
            if at == range.start && end == range.end {
                return Ok(piece);
            }
            gathered.extend_from_slice(&piece);
            at = end;
        }
        Ok(gathered.freeze())
    }
}
