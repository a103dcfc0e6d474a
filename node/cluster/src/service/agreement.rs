//! What a node answers about names: messages of the group that agrees on them, and requests to the
//! catalog.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum_proto::v1;
use v1::catalog_response::Answer;

use crate::transport::Grant;

/// A node's part in the group that agrees on names.
#[async_trait]
pub trait Agreement: Send + Sync {
    /// Whether the node is a member of the group, or may be one: a node that has yet to look at its
    /// directory, or cannot open what is in it, may. `false` is what another one counts on that makes
    /// the group.
    fn may_be_member(&self) -> bool;

    /// Features of the catalog that are off because some node lacks them, as far as this one knows.
    fn features_off(&self) -> Vec<v1::FeatureOff>;

    /// Answers a message of another member; `None` where the node is none, or not yet.
    async fn agree(&self, request: Bytes) -> Option<Bytes>;

    /// Does what the catalog is asked, within so long, and as far as a token allows where the caller
    /// shows one.
    ///
    /// # Errors
    /// [`NotAllowed`].
    async fn catalog(
        &self,
        request: v1::CatalogRequest,
        grant: Option<&Grant>,
        within: Duration,
    ) -> Result<v1::CatalogResponse, NotAllowed>;

    /// Writes the catalog as text into a directory below the data directory, beside the copy of a
    /// store. Says whether the node has one to write.
    ///
    /// # Errors
    /// Those of the disk.
    async fn save(&self, directory: &str) -> io::Result<bool>;
}

/// The caller's token does not allow what it asks for: why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAllowed(pub String);

/// A node that takes no part.
pub struct NoAgreement;

#[async_trait]
impl Agreement for NoAgreement {
    fn may_be_member(&self) -> bool {
        false
    }

    fn features_off(&self) -> Vec<v1::FeatureOff> {
        Vec::new()
    }

    async fn agree(&self, _: Bytes) -> Option<Bytes> {
        None
    }

    async fn save(&self, _: &str) -> io::Result<bool> {
        Ok(false)
    }

    async fn catalog(
        &self,
        _: v1::CatalogRequest,
        _: Option<&Grant>,
        _: Duration,
    ) -> Result<v1::CatalogResponse, NotAllowed> {
        let kind = v1::CatalogFailureKind::Off.into();
        let message = "this node keeps no catalog: catalog.enabled is false".to_owned();
        let failure = v1::CatalogFailure { kind, message };
        Ok(v1::CatalogResponse { answer: Some(Answer::Failure(failure)) })
    }
}
