//! Request types.
//!
//! A request on its way through layers: what a layer sees of it, and what it may do to it.
//!
//! One type for each request that a replica takes. None is copied on its way, but where a
//! layer asks for a spare.

use std::future::{Future, Ready};
use std::sync::Arc;
use std::time::Duration;

use gitstratum_core::object::{Object, ObjectHead, ObjectId};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{
    Found, LargeReader, Missed, NodeError, NodeReader, NodeWriter, Parts, Recorded, StoreError,
    Stored,
};
use tokio::time::Instant;

/// What is asked of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To store objects.
    Put {
        /// How many.
        objects: usize,
    },
    /// To store one object from parts.
    PutLarge {
        /// Which.
        id: ObjectId,
    },
    /// Which objects it holds.
    Has {
        /// How many it is asked for.
        objects: usize,
    },
    /// To keep that others lack objects.
    StoreHints {
        /// How many.
        objects: usize,
    },
    /// For objects.
    Get {
        /// How many.
        objects: usize,
    },
    /// For one object in parts.
    GetLarge {
        /// Which.
        id: ObjectId,
    },
}

/// A request on its way to the replica within a layer.
pub trait Call: Sized + Send {
    /// What the replica answers.
    type Answer: Send;

    /// Who is asked.
    fn node_id(&self) -> &NodeId;

    /// For what.
    fn asked(&self) -> Asked;

    /// How long its caller gives it; `None` for streams, which are bounded part by part.
    fn timeout(&self) -> Option<Duration>;

    /// The same with another timeout, if it has one.
    fn within(self, timeout: Duration) -> Self;

    /// Sends it on.
    ///
    /// # Errors
    /// What the replica within says.
    fn send(self) -> impl Future<Output = Result<Self::Answer, NodeError>> + Send;

    /// Another of the same, to be kept while the first is sent; `None` for what is gone once
    /// it was sent.
    fn spare(&self) -> Option<Self>;

    /// Sends a spare as the second attempt at a request whose first began at that moment:
    /// see [`NodeWriter::on_new_connection`]. `None` when the replica may not be asked twice.
    ///
    /// # Errors
    /// What the replica within says.
    fn send_afresh(
        self,
        first_began: Instant,
    ) -> Option<impl Future<Output = Result<Self::Answer, NodeError>> + Send>;
}

/// [`NodeWriter::put`].
pub struct Put<'a, N> {
    /// The replica within the layer.
    pub to: &'a N,
    /// What is to be stored.
    pub objects: Arc<[Object]>,
    /// How long its caller gives it.
    pub timeout: Duration,
}

impl<N: NodeWriter> Call for Put<'_, N> {
    type Answer = Vec<Result<Stored, StoreError>>;

    fn node_id(&self) -> &NodeId {
        self.to.node_id()
    }

    fn asked(&self) -> Asked {
        Asked::Put { objects: self.objects.len() }
    }

    fn timeout(&self) -> Option<Duration> {
        Some(self.timeout)
    }

    fn within(self, timeout: Duration) -> Self {
        Put { timeout, ..self }
    }

    fn send(self) -> impl Future<Output = Result<Self::Answer, NodeError>> + Send {
        self.to.put(self.objects, self.timeout)
    }

    fn spare(&self) -> Option<Self> {
        Some(Put { objects: self.objects.clone(), ..*self })
    }

    fn send_afresh(
        self,
        first_began: Instant,
    ) -> Option<impl Future<Output = Result<Self::Answer, NodeError>> + Send> {
        let to = self.to.on_new_connection(first_began)?;
        Some(async move { to.put(self.objects, self.timeout).await })
    }
}

/// [`NodeWriter::put_large`].
pub struct PutLarge<'a, N> {
    /// The replica within the layer.
    pub to: &'a N,
    /// Which object.
    pub head: ObjectHead,
    /// Its bytes.
    pub parts: Parts,
}

impl<N: NodeWriter> Call for PutLarge<'_, N> {
    type Answer = Stored;

    fn node_id(&self) -> &NodeId {
        self.to.node_id()
    }

    fn asked(&self) -> Asked {
        Asked::PutLarge { id: self.head.id }
    }

    fn timeout(&self) -> Option<Duration> {
        None
    }

    fn within(self, _: Duration) -> Self {
        self
    }

    fn send(self) -> impl Future<Output = Result<Self::Answer, NodeError>> + Send {
        self.to.put_large(self.head, self.parts)
    }

    fn spare(&self) -> Option<Self> {
        None
    }

    fn send_afresh(self, _: Instant) -> Option<impl Future<Output = Result<Stored, NodeError>>> {
        None::<Ready<_>>
    }
}

/// [`NodeWriter::has`].
pub struct Has<'a, N> {
    /// The replica within the layer.
    pub to: &'a N,
    /// Which objects.
    pub ids: Arc<[ObjectId]>,
    /// How long its caller gives it.
    pub timeout: Duration,
}

impl<N: NodeWriter> Call for Has<'_, N> {
    type Answer = Vec<bool>;

    fn node_id(&self) -> &NodeId {
        self.to.node_id()
    }

    fn asked(&self) -> Asked {
        Asked::Has { objects: self.ids.len() }
    }

    fn timeout(&self) -> Option<Duration> {
        Some(self.timeout)
    }

    fn within(self, timeout: Duration) -> Self {
        Has { timeout, ..self }
    }

    fn send(self) -> impl Future<Output = Result<Self::Answer, NodeError>> + Send {
        self.to.has(self.ids, self.timeout)
    }

    fn spare(&self) -> Option<Self> {
        Some(Has { ids: self.ids.clone(), ..*self })
    }

    fn send_afresh(
        self,
        first_began: Instant,
    ) -> Option<impl Future<Output = Result<Self::Answer, NodeError>> + Send> {
        let to = self.to.on_new_connection(first_began)?;
        Some(async move { to.has(self.ids, self.timeout).await })
    }
}

/// [`NodeWriter::store_hints`].
pub struct StoreHints<'a, N> {
    /// The replica within the layer.
    pub to: &'a N,
    /// What others lack.
    pub missed: Vec<Missed>,
    /// How long its caller gives it.
    pub timeout: Duration,
}

impl<N: NodeWriter> Call for StoreHints<'_, N> {
    type Answer = Recorded;

    fn node_id(&self) -> &NodeId {
        self.to.node_id()
    }

    fn asked(&self) -> Asked {
        Asked::StoreHints { objects: self.missed.len() }
    }

    fn timeout(&self) -> Option<Duration> {
        Some(self.timeout)
    }

    fn within(self, timeout: Duration) -> Self {
        StoreHints { timeout, ..self }
    }

    fn send(self) -> impl Future<Output = Result<Self::Answer, NodeError>> + Send {
        self.to.store_hints(self.missed, self.timeout)
    }

    fn spare(&self) -> Option<Self> {
        Some(StoreHints { missed: self.missed.clone(), ..*self })
    }

    fn send_afresh(
        self,
        first_began: Instant,
    ) -> Option<impl Future<Output = Result<Self::Answer, NodeError>> + Send> {
        let to = self.to.on_new_connection(first_began)?;
        Some(async move { to.store_hints(self.missed, self.timeout).await })
    }
}

/// [`NodeReader::get`].
pub struct Get<'a, N> {
    /// The replica within the layer.
    pub to: &'a N,
    /// Which objects.
    pub ids: Arc<[ObjectId]>,
    /// How long its caller gives it.
    pub timeout: Duration,
}

impl<N: NodeReader> Call for Get<'_, N> {
    type Answer = Vec<Result<Found, StoreError>>;

    fn node_id(&self) -> &NodeId {
        self.to.node_id()
    }

    fn asked(&self) -> Asked {
        Asked::Get { objects: self.ids.len() }
    }

    fn timeout(&self) -> Option<Duration> {
        Some(self.timeout)
    }

    fn within(self, timeout: Duration) -> Self {
        Get { timeout, ..self }
    }

    fn send(self) -> impl Future<Output = Result<Self::Answer, NodeError>> + Send {
        self.to.get(self.ids, self.timeout)
    }

    fn spare(&self) -> Option<Self> {
        Some(Get { ids: self.ids.clone(), ..*self })
    }

    fn send_afresh(
        self,
        first_began: Instant,
    ) -> Option<impl Future<Output = Result<Self::Answer, NodeError>> + Send> {
        let to = self.to.on_new_connection(first_began)?;
        Some(async move { to.get(self.ids, self.timeout).await })
    }
}

/// [`NodeReader::get_large`].
pub struct GetLarge<'a, N> {
    /// The replica within the layer.
    pub to: &'a N,
    /// Which object.
    pub id: ObjectId,
}

impl<N: NodeReader> Call for GetLarge<'_, N> {
    type Answer = Option<Box<dyn LargeReader>>;

    fn node_id(&self) -> &NodeId {
        self.to.node_id()
    }

    fn asked(&self) -> Asked {
        Asked::GetLarge { id: self.id }
    }

    fn timeout(&self) -> Option<Duration> {
        None
    }

    fn within(self, _: Duration) -> Self {
        self
    }

    fn send(self) -> impl Future<Output = Result<Self::Answer, NodeError>> + Send {
        self.to.get_large(self.id)
    }

    fn spare(&self) -> Option<Self> {
        Some(GetLarge { ..*self })
    }

    fn send_afresh(
        self,
        first_began: Instant,
    ) -> Option<impl Future<Output = Result<Self::Answer, NodeError>> + Send> {
        let to = self.to.on_new_connection(first_began)?;
        Some(async move { to.get_large(self.id).await })
    }
}
