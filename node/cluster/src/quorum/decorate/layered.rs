//! A replica with a layer around it: the one place where a decorator is a replica.
//!
//! Invariant: each request goes through the layer exactly once, and so does each that an
//! bypassing_breaker replica, or one for second attempts, is asked; what a layer is, it stays
//! wherever it stands. A request costs the one boxed future of an `async_trait` method.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gitstratum_core::object::{Object, ObjectHead, ObjectId};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{
    Found, LargeReader, Missed, NodeError, NodeReader, NodeWriter, Parts, Recorded, StoreError,
    Stored,
};
use tokio::time::Instant;

use super::call::{Call, Get, GetLarge, Has, Put, PutLarge, StoreHints};

/// What a decorator adds to a request. Cheap to clone; clones share what they know.
pub trait Layer: Clone + Send + Sync + 'static {
    /// Sends the request on, or does not, and looks at what comes of it.
    ///
    /// # Errors
    /// What the replica within says, or the layer's own.
    fn run<C: Call>(&self, call: C) -> impl Future<Output = Result<C::Answer, NodeError>> + Send;

    /// The layer for requests that no quorum can do without, when this one may refuse them.
    fn bypassing_breaker(&self) -> Option<Self> {
        None
    }
}

/// A replica with a layer around it.
#[derive(Clone)]
pub struct Layered<L, N> {
    layer: L,
    inner: N,
}

impl<L, N> Layered<L, N> {
    /// `layer` around `inner`.
    pub fn around(layer: L, inner: N) -> Self {
        Layered { layer, inner }
    }

    /// What is around.
    pub fn layer(&self) -> &L {
        &self.layer
    }

    /// What it is around.
    pub fn inner(&self) -> &N {
        &self.inner
    }
}

#[async_trait]
impl<L: Layer, N: NodeWriter + Clone + 'static> NodeWriter for Layered<L, N> {
    fn node_id(&self) -> &NodeId {
        self.inner.node_id()
    }

    async fn put(
        &self,
        objects: Arc<[Object]>,
        timeout: Duration,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError> {
        self.layer.run(Put { to: &self.inner, objects, timeout }).await
    }

    async fn put_large(&self, head: ObjectHead, parts: Parts) -> Result<Stored, NodeError> {
        self.layer.run(PutLarge { to: &self.inner, head, parts }).await
    }

    async fn has(&self, ids: Arc<[ObjectId]>, timeout: Duration) -> Result<Vec<bool>, NodeError> {
        self.layer.run(Has { to: &self.inner, ids, timeout }).await
    }

    async fn store_hints(
        &self,
        missed: Vec<Missed>,
        timeout: Duration,
    ) -> Result<Recorded, NodeError> {
        self.layer.run(StoreHints { to: &self.inner, missed, timeout }).await
    }

    fn bypassing_breaker(&self) -> Option<Arc<dyn NodeWriter>> {
        if let Some(layer) = self.layer.bypassing_breaker() {
            return Some(Arc::new(Layered::around(layer, self.inner.clone())));
        }
        let inner = self.inner.bypassing_breaker()?;
        Some(Arc::new(Layered::around(self.layer.clone(), inner)))
    }

    fn on_new_connection(&self, first_began: Instant) -> Option<Arc<dyn NodeWriter>> {
        let inner = self.inner.on_new_connection(first_began)?;
        Some(Arc::new(Layered::around(self.layer.clone(), inner)))
    }
}

#[async_trait]
impl<L: Layer, N: NodeReader + Clone + 'static> NodeReader for Layered<L, N> {
    fn node_id(&self) -> &NodeId {
        self.inner.node_id()
    }

    async fn get(
        &self,
        ids: Arc<[ObjectId]>,
        timeout: Duration,
    ) -> Result<Vec<Result<Found, StoreError>>, NodeError> {
        self.layer.run(Get { to: &self.inner, ids, timeout }).await
    }

    async fn get_large(&self, id: ObjectId) -> Result<Option<Box<dyn LargeReader>>, NodeError> {
        self.layer.run(GetLarge { to: &self.inner, id }).await
    }

    fn bypassing_breaker(&self) -> Option<Arc<dyn NodeReader>> {
        if let Some(layer) = self.layer.bypassing_breaker() {
            return Some(Arc::new(Layered::around(layer, self.inner.clone())));
        }
        let inner = self.inner.bypassing_breaker()?;
        Some(Arc::new(Layered::around(self.layer.clone(), inner)))
    }

    fn on_new_connection(&self, first_began: Instant) -> Option<Arc<dyn NodeReader>> {
        let inner = self.inner.on_new_connection(first_began)?;
        Some(Arc::new(Layered::around(self.layer.clone(), inner)))
    }
}
