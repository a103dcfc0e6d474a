//! Whole repository: its refs and all packs that are stored of it, for those who copy or check
//! everything.
//!
//! A client asks for objects; here somebody looks at packs as they lie. [`files`](self) makes pack
//! files of them, `check` proves that they are sound.

mod check;
mod files;

use std::fmt;
use std::sync::Arc;

use gitstratum_catalog::entity::{Pack, Repository as Described};
use gitstratum_catalog::ids::RepositoryId;
use gitstratum_core::object::{HashAlgorithm, ObjectId};

use super::gateway::Gateway;
use crate::names::Packs;
use crate::service::{Refs, RepositoryError};

pub use check::{Checked, ChunkCheck, Report};
pub use files::PackFile;

/// All of a repository.
pub struct WholeRepository {
    gateway: Arc<Gateway>,
    id: RepositoryId,
    described: Arc<Described>,
    refs: Refs,
    packs: Packs,
}

impl fmt::Debug for WholeRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "all of {} ({})", self.described.name, self.id)
    }
}

impl WholeRepository {
    /// As it is now. The packs have all that the refs reach: they were asked for later.
    pub(super) async fn open(
        gateway: Arc<Gateway>,
        id: RepositoryId,
        described: Arc<Described>,
    ) -> Result<Self, RepositoryError> {
        let refs = gateway.names.refs(id).await?;
        let packs = gateway.names.packs(id).await?;
        Ok(WholeRepository { gateway, id, described, refs, packs })
    }

    /// Its number.
    pub fn id(&self) -> RepositoryId {
        self.id
    }

    /// The hash of its objects.
    pub fn object_format(&self) -> HashAlgorithm {
        self.described.object_format
    }

    /// Its visible refs.
    pub fn refs(&self) -> &Refs {
        &self.refs
    }

    /// The chunks of all its packs: of each those that the meta is in, and then those of the body.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub async fn chunks(&self) -> Result<Vec<ObjectId>, RepositoryError> {
        let opener = &self.gateway.reading.packs;
        let mut chunks = Vec::new();
        for pack in self.packs() {
            chunks.extend(opener.chunks_of(pack).await?);
        }
        Ok(chunks)
    }

    /// Its packs, in the order in which they were made.
    pub fn packs(&self) -> &[Arc<Pack>] {
        &self.packs.packs
    }
}
