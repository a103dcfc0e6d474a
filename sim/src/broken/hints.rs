//! Control without hints.
//!
//! A replica that says it keeps hints, and keeps none.

use gitstratum_cluster::quorum::decorate::{Layer, StoreHints};
use gitstratum_core::replica::{NodeError, NodeWriter, Recorded};

/// What is around a replica so that no hint comes to it.
#[derive(Clone, Copy, Debug)]
pub struct LossyHints;

impl Layer for LossyHints {
    async fn store_hints<N: NodeWriter>(
        &self,
        call: StoreHints<'_, N>,
    ) -> Result<Recorded, NodeError> {
        // As if all of it was known: so the counters agree, and only what is missing tells.
        Ok(Recorded { already: call.missed.len() as u64, ..Recorded::default() })
    }
}
