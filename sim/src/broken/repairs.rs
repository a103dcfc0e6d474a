//! Control without read repair.
//!
//! Replicas that a read found lacking, and that are given nothing.

use gitstratum_cluster::quorum::decorate::{Layer, Put, PutLarge};
use gitstratum_core::replica::{NodeError, NodeWriter, StoreError, Stored};

use super::writers::pretended;

/// What is around a replica so that no repair comes to it.
#[derive(Clone, Copy, Debug)]
pub struct NoReadRepair;

impl Layer for NoReadRepair {
    async fn put<N: NodeWriter + Clone + 'static>(
        &self,
        call: Put<'_, N>,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError> {
        Ok(call.objects.iter().map(|object| Ok(pretended(object.size_bytes()))).collect())
    }

    async fn put_large<N: NodeWriter>(
        &self,
        mut call: PutLarge<'_, N>,
    ) -> Result<Stored, NodeError> {
        while call.parts.recv().await.is_some() {}
        Ok(pretended(call.head.size_bytes))
    }
}
