//! Connections to the other members, as a group needs them.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::message::Member;

/// Carries requests to other members. Whom it reached is checked behind it, by the group.
#[async_trait]
pub trait Peers: Send + Sync + 'static {
    /// Sends a request to a member, and waits for its answer.
    ///
    /// # Errors
    /// [`PeerError`] when no answer came in time.
    async fn call(
        &self,
        to: &Member,
        request: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, PeerError>;
}

/// Why a member did not answer.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The request never left: it was not done.
    #[error("{0}")]
    NotSent(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer came: it may have been done.
    #[error("{0}")]
    NoAnswer(#[source] Box<dyn std::error::Error + Send + Sync>),
}
