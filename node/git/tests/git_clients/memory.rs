//! In-memory cluster for tests of a gateway: the catalog's own state machine, and chunks in a map.
//!
//! Either can be told to fail, and says what was asked of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum_catalog::entity::Repository;
use gitstratum_catalog::ids::{ClientId, RepositoryId};
use gitstratum_catalog::{Command, Operation, Outcome, Reply, Request, State};
use gitstratum_core::object::{Object, ObjectId};

use crate::chunk::ChunkStore;
use crate::names::{CommandError, Names, Packs, packs_of, refs_of};
use crate::service::{Refs, RepositoryError};

/// A catalog of one.
pub struct MemoryNames {
    state: Mutex<(State, u64)>,
    /// Commands are not done while this says why.
    pub trouble: Mutex<Option<CommandError>>,
}

impl Default for MemoryNames {
    fn default() -> Self {
        MemoryNames { state: Mutex::new((State::new(0), 0)), trouble: Mutex::default() }
    }
}

impl MemoryNames {
    /// Looks at the state.
    pub fn with<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner).0)
    }
}

#[async_trait]
impl Names for MemoryNames {
    async fn find(
        &self,
        name: &str,
    ) -> Result<Option<(RepositoryId, Arc<Repository>)>, RepositoryError> {
        Ok(self.with(|state| state.repository_named(name).map(|(id, found)| (id, found.clone()))))
    }

    async fn refs(&self, repository: RepositoryId) -> Result<Refs, RepositoryError> {
        self.with(|state| refs_of(state, repository))
    }

    async fn packs(&self, repository: RepositoryId) -> Result<Packs, RepositoryError> {
        self.with(|state| packs_of(state, repository))
    }

    async fn command(&self, who: &str, operation: Operation) -> Result<Outcome, CommandError> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(trouble) = trouble {
            return Err(trouble);
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, position) = &mut *state;
        *position += 1;
        let request = Request { client: ClientId([1; 16]), number: *position };
        let (who, at_ms) = (who.to_owned(), 1_700_000_000_000 + *position);
        let command = Command { group: 0, request, at_ms, who, operation };
        match state.apply(*position, command) {
            Reply::Done(outcome) => Ok(outcome),
            Reply::Refused(refused) => Err(CommandError::Refused(refused)),
        }
    }
}

/// Chunks in a map.
#[derive(Default)]
pub struct MemoryChunks {
    chunks: Mutex<BTreeMap<ObjectId, Bytes>>,
    /// Puts fail while this says why.
    pub trouble: Mutex<Option<RepositoryError>>,
}

impl MemoryChunks {
    /// The ids of all chunks, and their bytes.
    pub fn all(&self) -> BTreeMap<ObjectId, Bytes> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has the chunks be these.
    pub fn replace(&self, chunks: BTreeMap<ObjectId, Bytes>) {
        *self.chunks.lock().unwrap_or_else(PoisonError::into_inner) = chunks;
    }
}

#[async_trait]
impl ChunkStore for MemoryChunks {
    async fn put(&self, chunk: Object) -> Result<(), RepositoryError> {
        if let Some(trouble) = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Err(trouble);
        }
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        chunks.insert(chunk.id(), chunk.data().clone());
        Ok(())
    }

    async fn get(&self, id: ObjectId) -> Result<Bytes, RepositoryError> {
        let chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        let found = chunks.get(&id).cloned();
        found.ok_or_else(|| RepositoryError::Damaged(format!("no replica has chunk {id}")))
    }
}
