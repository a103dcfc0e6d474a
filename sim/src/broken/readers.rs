//! Replicas of which a reader believes too much.

use std::sync::Arc;
use std::time::Duration;

use gitstratum_core::object::ObjectId;
use gitstratum_core::placement::NodeId;
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
pub struct Credulous {
    inner: Arc<dyn NodeReader>,
    belief: Belief,
}

impl Credulous {
    /// Around this replica.
    pub fn around(inner: Arc<dyn NodeReader>, belief: Belief) -> Arc<dyn NodeReader> {
        Arc::new(Credulous { inner, belief })
    }

    fn believes(&self, error: &StoreError) -> bool {
        match self.belief {
            Belief::CatchingUp => matches!(error, StoreError::CatchingUp),
            Belief::Damaged => matches!(error, StoreError::Damaged { .. }),
            Belief::Errors => true,
        }
    }
}

#[async_trait::async_trait]
impl NodeReader for Credulous {
    fn node_id(&self) -> &NodeId {
        self.inner.node_id()
    }

    async fn get(
        &self,
        ids: Arc<[ObjectId]>,
        timeout: Duration,
    ) -> Result<Vec<Result<Found, StoreError>>, NodeError> {
        let count = ids.len();
        let answers = match self.inner.get(ids, timeout).await {
            Err(_) if self.belief == Belief::Errors => return Ok(vec![Ok(Found::Absent); count]),
            answers => answers?,
        };
        let believed = answers.into_iter().map(|answer| match answer {
            Err(error) if self.believes(&error) => Ok(Found::Absent),
            answer => answer,
        });
        Ok(believed.collect())
    }

    async fn get_large(&self, id: ObjectId) -> Result<Option<Box<dyn LargeReader>>, NodeError> {
        match self.inner.get_large(id).await {
            Err(NodeError::Rejected(error)) if self.believes(&error) => Ok(None),
            Err(_) if self.belief == Belief::Errors => Ok(None),
            answer => answer,
        }
    }

    fn bypassing_breaker(&self) -> Option<Arc<dyn NodeReader>> {
        self.inner.bypassing_breaker().map(|inner| Credulous::around(inner, self.belief))
    }
}
