//! Stored pack: its meta in memory, its body wherever it lies.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use gitstratum_catalog::entity::Pack;
use gitstratum_catalog::ids::PackId;
use gitstratum_core::object::ObjectId;

use super::descriptor::{Descriptor, Shape};
use crate::cache::{Cache, CacheNumbers, Weighed};
use crate::chunk::{CHUNK_DATA_BYTES_MAX, ChunkHead, ChunkReader, ChunkedBytes, Part};
use crate::pack::meta::PackMeta;
use crate::service::RepositoryError;

/// A pack that can be read.
pub(crate) struct StoredPack {
    pub(crate) id: PackId,
    pub(crate) meta: PackMeta,
    body: Body,
}

enum Body {
    /// In the chunk that the meta is in.
    Here(Bytes),
    Chunked(ChunkedBytes),
}

impl Weighed for Arc<StoredPack> {
    fn bytes(&self) -> usize {
        let body = match &self.body {
            Body::Here(body) => body.len(),
            Body::Chunked(body) => body.chunks.len() * size_of::<ObjectId>(),
        };
        self.meta.encoded().len() + body + 256
    }
}

impl StoredPack {
    /// The chunks of the body; none where it is in the chunk that the meta is in.
    pub(crate) fn body_chunks(&self) -> &[ObjectId] {
        match &self.body {
            Body::Here(_) => &[],
            Body::Chunked(body) => &body.chunks,
        }
    }

    /// Bytes of the body.
    pub(crate) async fn read(
        &self,
        chunks: &ChunkReader,
        range: Range<u64>,
    ) -> Result<Bytes, RepositoryError> {
        match &self.body {
            Body::Chunked(body) => chunks.range(body, range).await,
            Body::Here(body) if range.start <= range.end && range.end <= body.len() as u64 => {
                Ok(body.slice(range.start as usize..range.end as usize))
            }
            Body::Here(body) => Err(RepositoryError::Damaged(format!(
                "bytes {}..{} of pack {}, which has {}",
                range.start,
                range.end,
                self.id,
                body.len()
            ))),
        }
    }
}

/// Opens packs, and keeps what was opened lately.
pub(crate) struct PackOpener {
    chunks: Arc<ChunkReader>,
    opened: Cache<PackId, Arc<StoredPack>>,
}

impl PackOpener {
    /// One that keeps at most so many bytes.
    pub(crate) fn new(chunks: Arc<ChunkReader>, kept_bytes_max: usize) -> Self {
        PackOpener { chunks, opened: Cache::new(kept_bytes_max) }
    }

    /// How what it keeps is used.
    pub(crate) fn cache_numbers(&self) -> CacheNumbers {
        self.opened.numbers()
    }

    /// Opens a pack.
    ///
    /// # Errors
    /// [`RepositoryError`], which says which pack.
    pub(crate) async fn open(&self, pack: &Pack) -> Result<Arc<StoredPack>, RepositoryError> {
        if let Some(opened) = self.opened.get(&pack.id) {
            return Ok(opened);
        }
        let opened = Arc::new(self.load(pack).await?);
        self.opened.insert(pack.id, opened.clone());
        Ok(opened)
    }

    /// The chunk to begin with.
    ///
    /// # Errors
    /// [`RepositoryError::Damaged`] when it cannot be said which that is.
    pub(crate) fn root(&self, pack: &Pack) -> Result<ObjectId, RepositoryError> {
        Ok(Descriptor::of(pack)?.root)
    }

    /// The chunks that the meta is in, or the meta and the body.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub(crate) async fn meta_chunks(&self, pack: &Pack) -> Result<Vec<ObjectId>, RepositoryError> {
        let Descriptor { shape, repository, root, .. } = Descriptor::of(pack)?;
        if shape != Shape::MetaList {
            return Ok(vec![root]);
        }
        let head = ChunkHead { repository, pack: pack.id, part: Part::MetaList, number: 0 };
        ids(pack, self.chunks.chunk(root, head).await?)
    }

    /// All chunks of a pack: those that the meta is in, and then those of the body.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub(crate) async fn chunks_of(&self, pack: &Pack) -> Result<Vec<ObjectId>, RepositoryError> {
        let (root, meta) = (self.root(pack)?, self.meta_chunks(pack).await?);
        let mut chunks = vec![root];
        chunks.extend(meta.into_iter().filter(|chunk| *chunk != root));
        chunks.extend(self.open(pack).await?.body_chunks());
        Ok(chunks)
    }

    async fn load(&self, pack: &Pack) -> Result<StoredPack, RepositoryError> {
        let descriptor = Descriptor::of(pack)?;
        let Descriptor { shape, repository, meta_bytes, root } = descriptor;
        let head = |part| ChunkHead { repository, pack: pack.id, part, number: 0 };
        let (meta, body) = match shape {
            Shape::Whole => {
                let mut whole = self.chunks.chunk(root, head(Part::Whole)).await?;
                if (whole.len() as u64) < meta_bytes {
                    return Err(damaged(pack, "its chunk is shorter than what is known of it"));
                }
                let meta = whole.split_to(meta_bytes as usize);
                (decode(pack, meta)?, Body::Here(whole))
            }
            Shape::Meta | Shape::MetaList => {
                let lies = ChunkedBytes {
                    repository,
                    pack: pack.id,
                    part: Part::Meta,
                    chunks: self.meta_chunks(pack).await?.into(),
                    len: meta_bytes,
                };
                if !lies.is_consistent() {
                    return Err(damaged(pack, "as many chunks as it says cannot hold its meta"));
                }
                let meta = decode(pack, self.chunks.range(&lies, 0..meta_bytes).await?)?;
                let chunks =
                    meta.chunk_ids().map(|id| ObjectId::from_bytes(&id).expect("32 bytes"));
                let chunks = chunks.collect();
                let body =
                    ChunkedBytes { part: Part::Body, chunks, len: meta.body_bytes(), ..lies };
                if !body.is_consistent() || meta.chunk_bytes() != CHUNK_DATA_BYTES_MAX as u32 {
                    return Err(damaged(pack, "as many chunks as it says cannot hold its body"));
                }
                (meta, Body::Chunked(body))
            }
        };
        Ok(StoredPack { id: pack.id, meta, body })
    }
}

fn damaged(pack: &Pack, problem: &str) -> RepositoryError {
    RepositoryError::Damaged(format!("pack {}: {problem}", pack.id))
}

fn decode(pack: &Pack, meta: Bytes) -> Result<PackMeta, RepositoryError> {
    PackMeta::decode(meta).map_err(|error| damaged(pack, &error.to_string()))
}

/// The ids of the chunks of a meta.
fn ids(pack: &Pack, mut list: Bytes) -> Result<Vec<ObjectId>, RepositoryError> {
    const ID_BYTES: usize = 32;
    let mut ids = Vec::with_capacity(list.len() / ID_BYTES);
    while list.has_remaining() {
        let id = list.get(..ID_BYTES).and_then(|raw| ObjectId::from_bytes(raw).ok());
        ids.push(id.ok_or_else(|| damaged(pack, "the list of its meta's chunks is cut"))?);
        list.advance(ID_BYTES);
    }
    Ok(ids)
}
