//! Connection leases.
//!
//! What the rest of a node or client sees of a pool: connections on lease.
//!
//! A caller leases a connection for one request, says how the request ended, and drops the
//! lease. How connections come about, how long they live and which of them is given out is
//! the pool's business; [`super::Pool`] is the production one.

use async_trait::async_trait;
use gitstratum_core::limits;
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::NodeError;
use tokio::time::Instant;

use super::connection::{Connection, Rpc};
use super::numbers::PoolNumbers;
use super::peer::Held;

/// What a request needs of its connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Want {
    /// Object data that the request sends, counted against what may be in flight.
    pub bytes: usize,
    /// A connection that was opened after this moment: a second attempt must not meet the
    /// dead one of the first, nor another of its age.
    pub opened_after: Option<Instant>,
    /// Wait until a peer that is backed off from is dialled again, rather than hear at once
    /// why it was not reached: a second attempt asks for an answer, not for the last one's.
    pub patient: bool,
}

/// Connections to the members of the layout in force.
#[async_trait]
pub trait Connections: Send + Sync {
    /// A connection to `peer` for one request. Waits for a dial or for room where that is
    /// called for; safe to drop while it waits.
    ///
    /// # Errors
    /// Why there is none; [`NodeError::Limited`] when a bound is reached.
    async fn lease(&self, peer: &NodeId, want: Want) -> Result<Lease, NodeError>;

    /// Says how the request of a lease ended, while the lease is still held. Not said when
    /// the request was dropped before its end.
    fn ended(&self, peer: &NodeId, lease: &Lease, outcome: Result<(), &NodeError>);

    /// Whether a request that failed because of its connection may be sent once more. Each
    /// yes is taken from a budget, so that an outage is not amplified.
    fn may_retry(&self, peer: &NodeId) -> bool;

    /// What there is and what happened so far; nothing from those who do not count.
    fn numbers(&self) -> PoolNumbers {
        PoolNumbers::default()
    }
}

/// A connection for one request. Dropping it gives its place to the next.
pub struct Lease {
    connection: Connection,
    /// When the lease began.
    began: Instant,
    held: Option<Held>,
}

impl Lease {
    /// A lease that nobody counts.
    pub fn uncounted(connection: Connection) -> Self {
        Lease { connection, began: Instant::now(), held: None }
    }

    pub(super) fn counted(connection: Connection, began: Instant, held: Held) -> Self {
        Lease { connection, began, held: Some(held) }
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// When the lease began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// A client whose requests go over the connection. The lease is to be kept until the
    /// request has ended.
    pub fn rpc(&self) -> Rpc {
        self.connection.rpc()
    }

    pub(super) fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }
}

/// Whether the connection shows no life: of the time that the lease's request has waited,
/// nothing was heard for the latter half, and for long enough to tell.
pub(super) fn silent(lease: &Lease, now: Instant) -> bool {
    let waited = now.saturating_duration_since(lease.began);
    let unheard = now.saturating_duration_since(lease.connection.life().last_heard());
    unheard >= limits::CONNECTION_SILENCE_MIN.max(waited / 2)
}
