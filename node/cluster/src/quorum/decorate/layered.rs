//! Decorator.
//!
//! A replica with a layer around it: the one place where a decorator is a replica.
//!
//! Invariant: each request goes through the layer exactly once, and so does each that is asked of
//! the same replica beside its breaker, or for a second attempt; what a layer is, it stays wherever
//! it stands. A request costs the one boxed future of an `async_trait` method. What a layer does not
//! meddle with is sent on.

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

/// What comes of a request on its way through a layer.
type Outcome<T> = Result<T, NodeError>;

/// What a decorator adds to a request. Cheap to clone; clones share what they know.
///
/// A layer for all requests alike has [`Layer::run`]; one for some of them has their methods.
pub trait Layer: Clone + Send + Sync + 'static {
    /// Sends the request on, or does not, and looks at what comes of it.
    ///
    /// # Errors
    /// What the replica within says, or the layer's own.
    fn run<C: Call>(&self, call: C) -> impl Future<Output = Outcome<C::Answer>> + Send {
        call.send()
    }

    /// [`NodeWriter::put`].
    ///
    /// # Errors
    /// As [`Layer::run`].
    fn put<N: NodeWriter + Clone + 'static>(
        &self,
        call: Put<'_, N>,
    ) -> impl Future<Output = Outcome<Vec<Result<Stored, StoreError>>>> + Send {
        self.run(call)
    }

    /// [`NodeWriter::put_large`].
    ///
    /// # Errors
    /// As [`Layer::run`].
    fn put_large<N: NodeWriter>(
        &self,
        call: PutLarge<'_, N>,
    ) -> impl Future<Output = Outcome<Stored>> + Send {
        self.run(call)
    }

    /// [`NodeWriter::has`].
    ///
    /// # Errors
    /// As [`Layer::run`].
    fn has<N: NodeWriter>(
        &self,
        call: Has<'_, N>,
    ) -> impl Future<Output = Outcome<Vec<bool>>> + Send {
        self.run(call)
    }

    /// [`NodeWriter::store_hints`].
    ///
    /// # Errors
    /// As [`Layer::run`].
    fn store_hints<N: NodeWriter>(
        &self,
        call: StoreHints<'_, N>,
    ) -> impl Future<Output = Outcome<Recorded>> + Send {
        self.run(call)
    }

    /// [`NodeReader::get`].
    ///
    /// # Errors
    /// As [`Layer::run`].
    fn get<N: NodeReader>(
        &self,
        call: Get<'_, N>,
    ) -> impl Future<Output = Outcome<Vec<Result<Found, StoreError>>>> + Send {
        self.run(call)
    }

    /// [`NodeReader::get_large`].
    ///
    /// # Errors
    /// As [`Layer::run`].
    fn get_large<N: NodeReader>(
        &self,
        call: GetLarge<'_, N>,
    ) -> impl Future<Output = Outcome<Option<Box<dyn LargeReader>>>> + Send {
        self.run(call)
    }

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
        self.layer.put(Put { to: &self.inner, objects, timeout }).await
    }

    async fn put_large(&self, head: ObjectHead, parts: Parts) -> Result<Stored, NodeError> {
        self.layer.put_large(PutLarge { to: &self.inner, head, parts }).await
    }

    async fn has(&self, ids: Arc<[ObjectId]>, timeout: Duration) -> Result<Vec<bool>, NodeError> {
        self.layer.has(Has { to: &self.inner, ids, timeout }).await
    }

    async fn store_hints(
        &self,
        missed: Vec<Missed>,
        timeout: Duration,
    ) -> Result<Recorded, NodeError> {
        self.layer.store_hints(StoreHints { to: &self.inner, missed, timeout }).await
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
        self.layer.get(Get { to: &self.inner, ids, timeout }).await
    }

    async fn get_large(&self, id: ObjectId) -> Result<Option<Box<dyn LargeReader>>, NodeError> {
        self.layer.get_large(GetLarge { to: &self.inner, id }).await
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
