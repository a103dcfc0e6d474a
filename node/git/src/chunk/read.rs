//! Chunk reader: ranges of bytes out of chunks, the latest of which are kept.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use gitstratum_catalog::ids::{PackId, RepositoryId};
use gitstratum_core::object::{Object, ObjectId};

use super::{CHUNK_DATA_BYTES_MAX, CHUNK_HEAD_BYTES, ChunkHead, ChunkStore, Part};
use crate::cache::{Cache, CacheNumbers};
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
    kept: Cache<ObjectId, Bytes>,
}

impl ChunkReader {
    /// A reader that keeps at most so many bytes.
    pub fn new(store: Arc<dyn ChunkStore>, kept_bytes_max: usize) -> Self {
        ChunkReader { store, kept: Cache::new(kept_bytes_max) }
    }

    /// How what it keeps is used.
    pub(crate) fn cache_numbers(&self) -> CacheNumbers {
        self.kept.numbers()
    }

    /// Stores a chunk, and keeps it as one that was read.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub async fn put(&self, chunk: Object) -> Result<(), RepositoryError> {
        let (id, data) = (chunk.id(), chunk.data().slice(CHUNK_HEAD_BYTES..));
        self.store.put(chunk).await?;
        self.kept.insert(id, data);
        Ok(())
    }

    /// The data of one chunk.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub async fn chunk(&self, id: ObjectId, head: ChunkHead) -> Result<Bytes, RepositoryError> {
        if let Some(data) = self.kept.get(&id) {
            return Ok(data);
        }
        let data = head.data_of(&id, self.store.get(id).await?)?;
        self.kept.insert(id, data.clone());
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
