//! Control readers.
//!
//! Replicas of which a reader believes too much.

use gitstratum_cluster::quorum::decorate::{Call, Get, GetLarge, Layer};
use gitstratum_core::replica::{Found, LargeReader, NodeError, NodeReader, StoreError};

/// What a credulous reader takes for "absent".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belief {
    /// What a replica says that has not caught up.
    CatchingUp,
    /// That an object is damaged.
    Damaged,
    /// Every error.
    Errors,
}

/// What is around a replica whose answers are believed.
#[derive(Clone, Copy, Debug)]
pub struct Credulous(pub Belief);

impl Credulous {
    fn believes(self, error: &StoreError) -> bool {
        match self.0 {
            Belief::CatchingUp => matches!(error, StoreError::CatchingUp),
            Belief::Damaged => matches!(error, StoreError::Damaged { .. }),
            Belief::Errors => true,
        }
    }
}

impl Layer for Credulous {
    async fn get<N: NodeReader>(
        &self,
        call: Get<'_, N>,
    ) -> Result<Vec<Result<Found, StoreError>>, NodeError> {
        let count = call.ids.len();
        let answers = match call.send().await {
            Err(_) if self.0 == Belief::Errors => return Ok(vec![Ok(Found::Absent); count]),
            answers => answers?,
        };
        let believed = answers.into_iter().map(|answer| match answer {
            Err(error) if self.believes(&error) => Ok(Found::Absent),
            answer => answer,
        });
        Ok(believed.collect())
    }

    async fn get_large<N: NodeReader>(
        &self,
        call: GetLarge<'_, N>,
    ) -> Result<Option<Box<dyn LargeReader>>, NodeError> {
        match call.send().await {
            Err(NodeError::Rejected(error)) if self.believes(&error) => Ok(None),
            Err(_) if self.0 == Belief::Errors => Ok(None),
            answer => answer,
        }
    }
}
