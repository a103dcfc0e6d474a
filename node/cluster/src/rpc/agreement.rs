//! Messages of the group that agrees on names, and requests to the catalog.

use std::time::Duration;

use bytes::Bytes;
use gitstratum_core::replica::NodeError;
use gitstratum_proto::v1;

use super::{RemoteNode, with_timeout};

impl RemoteNode {
    /// Hands a message of the group to the node, once; `None` where it is no member. An empty one
    /// asks whether it is, or may be.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn agree(
        &self,
        request: Bytes,
        timeout: Duration,
    ) -> Result<Option<Bytes>, NodeError> {
        let bytes = request.len();
        let answer = self.once(timeout, bytes, |mut rpc, timeout| async move {
            rpc.agree(with_timeout(v1::AgreeRequest { request }, timeout)).await
        });
        let v1::AgreeResponse { member, answer } = answer.await?.into_inner();
        Ok(member.then_some(answer))
    }

    /// Asks the catalog something through the node, once: who repeats a command has to know what
    /// became of it.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn catalog(
        &self,
        request: v1::CatalogRequest,
        timeout: Duration,
    ) -> Result<v1::CatalogResponse, NodeError> {
        let answer = self.once(timeout, 0, |mut rpc, timeout| async move {
            rpc.catalog(with_timeout(request, timeout)).await
        });
        Ok(answer.await?.into_inner())
    }
}
