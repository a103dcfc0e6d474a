//! Connections to peers: dial, identify, reuse, evict.
//!
//! One entry is one identified HTTP/2 connection to one peer. However many callers want a
//! peer that has none, one dial is made (single-flight); it runs in a task of its own, so
//! a caller that gives up cancels it for nobody. A failed dial answers all who waited, and
//! whoever asks again before its back-off has passed. Which peers to talk to, and when, is
//! left to others.

mod connection;
mod connections;
mod dial;
mod error;
mod life;
mod peer;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use rand::Rng;
use rand_chacha::ChaCha12Rng;
use tokio::time::Instant;

use crate::limits;
use crate::placement::{CurrentLayout, NodeId};
use crate::quorum::NodeError;

pub use connection::{Channel, Connection, End, Identity, Rpc, bounded};
pub use connections::{Connections, Lease, Want};
pub use dial::{Dialler, Keepalive, check_identity};
pub use error::{DialError, DialProblem, Stage};
pub use life::{Life, Watched};
use peer::Held;

type Dial = Shared<BoxFuture<'static, Result<Entry, NodeError>>>;

/// A pooled connection and which of the peer's successive connections it is.
#[derive(Clone)]
struct Entry {
    connection: Connection,
    generation: u64,
}

enum State {
    /// Nothing is known; the next caller dials.
    Empty,
    Dialling(Dial),
    Ready(Entry),
    /// The last dial failed; until then its error is the answer.
    BackingOff {
        until: Instant,
        error: NodeError,
    },
}

struct Peer {
    address: String,
    state: State,
    /// Counts connections, so that a late eviction spares the successor.
    generation: u64,
    /// Dials that failed since the last that succeeded.
    failures: u32,
}

/// What a pool did, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Dials begun.
    pub dials: u64,
    /// Of those, failed.
    pub dials_failed: u64,
    /// Connections thrown away because a request on them failed, or they had closed.
    pub evictions: u64,
}

struct Inner {
    dialler: Dialler,
    shared: Mutex<SharedState>,
}

struct SharedState {
    peers: BTreeMap<NodeId, Peer>,
    rng: ChaCha12Rng,
    stats: PoolStats,
}

/// A pool of connections to the members of a layout. Cheap to clone.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

impl Pool {
    /// A pool without connections to the members of `layout`. `rng` draws back-off jitter.
    pub fn new(dialler: Dialler, layout: &CurrentLayout, rng: ChaCha12Rng) -> Self {
        let layout = layout.get();
        let peers = layout.members.iter().map(|member| {
            let peer = Peer {
                address: member.address.clone(),
                state: State::Empty,
                generation: 0,
                failures: 0,
            };
            (member.node_id.clone(), peer)
        });
        let shared = SharedState { peers: peers.collect(), rng, stats: PoolStats::default() };
        Pool { inner: Arc::new(Inner { dialler, shared: Mutex::new(shared) }) }
    }

    /// The peer's connection, dialled if there is none.
    ///
    /// # Errors
    /// Why the dial failed, also for those who joined it or came during its back-off.
    async fn connection(&self, node_id: &NodeId) -> Result<Entry, NodeError> {
        let dial = {
            let mut shared = self.inner.lock();
            let SharedState { peers, stats, .. } = &mut *shared;
            let Some(peer) = peers.get_mut(node_id) else {
                return Err(NodeError::NotMember(node_id.clone()));
            };
            if let State::Ready(entry) = &peer.state
                && entry.connection.is_closed()
            {
                stats.evictions += 1;
                peer.state = State::Empty;
            }
            match &peer.state {
                State::Ready(entry) => return Ok(entry.clone()),
                State::Dialling(dial) => dial.clone(),
                State::BackingOff { until, error } if Instant::now() < *until => {
                    return Err(error.clone());
                }
                State::Empty | State::BackingOff { .. } => {
                    stats.dials += 1;
                    peer.generation += 1;
                    let dial =
                        self.inner.dial(node_id.clone(), peer.address.clone(), peer.generation);
                    peer.state = State::Dialling(dial.clone());
                    dial
                }
            }
        };
        dial.await
    }

    /// Throws a connection away after a request on it failed. A newer one stays.
    fn evict(&self, node_id: &NodeId, generation: u64) {
        let mut shared = self.inner.lock();
        let SharedState { peers, stats, .. } = &mut *shared;
        let Some(peer) = peers.get_mut(node_id) else { return };
        if let State::Ready(current) = &peer.state
            && current.generation == generation
        {
            stats.evictions += 1;
            peer.state = State::Empty;
        }
    }

    /// What the pool did so far.
    pub fn stats(&self) -> PoolStats {
        self.inner.lock().stats
    }
}

#[async_trait]
impl Connections for Pool {
    async fn lease(&self, peer: &NodeId, _want: Want) -> Result<Lease, NodeError> {
        let Entry { connection, generation } = self.connection(peer).await?;
        Ok(Lease::counted(connection, Instant::now(), Held { serial: generation }))
    }

    fn ended(&self, peer: &NodeId, lease: &Lease, outcome: Result<(), &NodeError>) {
        if let (Some(held), Err(NodeError::ConnectionLost { .. } | NodeError::TimedOut { .. })) =
            (lease.held(), outcome)
        {
            self.evict(peer, held.serial);
        }
    }

    fn may_repeat(&self, _peer: &NodeId) -> bool {
        true
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, SharedState> {
        self.shared.lock().expect("nothing panics while it holds the pool's lock")
    }

    /// Starts a dial in a task of its own and returns what all its callers wait for.
    fn dial(self: &Arc<Self>, node_id: NodeId, address: String, generation: u64) -> Dial {
        let inner = self.clone();
        let task = tokio::spawn(async move {
            let opened = inner.dialler.open(&address, Some(&node_id)).await;
            inner.settle(&node_id, generation, opened.map_err(NodeError::from))
        });
        async move {
            task.await.unwrap_or_else(|error| {
                Err(NodeError::Protocol { reason: format!("the dial did not finish: {error}") })
            })
        }
        .boxed()
        .shared()
    }

    fn settle(
        &self,
        node_id: &NodeId,
        generation: u64,
        opened: Result<Connection, NodeError>,
    ) -> Result<Entry, NodeError> {
        let mut shared = self.lock();
        let SharedState { peers, rng, stats } = &mut *shared;
        let peer = peers.get_mut(node_id).expect("peers are never removed");
        match opened {
            Ok(connection) => {
                let entry = Entry { connection, generation };
                peer.failures = 0;
                peer.state = State::Ready(entry.clone());
                Ok(entry)
            }
            Err(error) => {
                stats.dials_failed += 1;
                tracing::debug!(peer = %node_id, %error, "dial failed");
                let until = Instant::now() + backoff(peer.failures, rng);
                peer.failures = peer.failures.saturating_add(1);
                peer.state = State::BackingOff { until, error: error.clone() };
                Err(error)
            }
        }
    }
}

/// Doubles from `DIAL_BACKOFF_MIN` to `DIAL_BACKOFF_MAX`; the jitter takes up to half away,
/// so that the callers of a peer that comes back do not arrive together.
fn backoff(failures: u32, rng: &mut ChaCha12Rng) -> Duration {
    let full = limits::DIAL_BACKOFF_MIN
        .saturating_mul(1 << failures.min(16))
        .min(limits::DIAL_BACKOFF_MAX);
    full.mul_f64(rng.random_range(0.5..=1.0))
}
