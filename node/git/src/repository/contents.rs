//! Contents of packs: which chunks each lies in, for those who copy chunks as they are.
//!
//! Whoever has descriptors of packs, out of a catalog of whichever moment, needs neither the catalog
//! nor a gateway for that: the chunk that a descriptor names leads to all others.

use std::sync::Arc;

use gitstratum_catalog::entity::Pack;
use gitstratum_core::object::ObjectId;

use super::stored::PackOpener;
use crate::chunk::{ChunkReader, ChunkStore};
use crate::service::RepositoryError;

/// Nothing is read twice here, but what the chunk of a small pack leads to lies in it.
const CHUNKS_KEPT_BYTES: usize = 4 << 20;
/// No pack is opened twice.
const PACKS_KEPT_BYTES: usize = 0;

/// Says which chunks packs lie in.
pub struct PackContents(PackOpener);

impl PackContents {
    /// By what it reads in this store: of each pack the chunks of its meta, and none of its body.
    pub fn new(chunks: Arc<dyn ChunkStore>) -> Self {
        let chunks = Arc::new(ChunkReader::new(chunks, CHUNKS_KEPT_BYTES));
        PackContents(PackOpener::new(chunks, PACKS_KEPT_BYTES))
    }

    /// All chunks of a pack, each once: those that the meta is in, and then those of the body.
    ///
    /// # Errors
    /// [`RepositoryError`]: what the store says, or that what is known of the pack is not sound.
    pub async fn chunks(&self, pack: &Pack) -> Result<Vec<ObjectId>, RepositoryError> {
        self.0.chunks_of(pack).await
    }
}
