//! Circuit breaker layer.
//!
//! The layer of a circuit breaker.
//!
//! Requests that a quorum can do without are refused while the circuit is open; whoever
//! cannot do without them says so through `bypassing_breaker`. Large objects and records of missed
//! writes pass in any case: the first cannot be sent again, the second are how a replica's
//! trouble is remembered. Large objects say nothing of slowness: they may take any time.

use std::sync::Arc;
use std::time::Duration;

use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{NodeError, NodeWriter};

use super::call::{Asked, Call};
use super::circuit::{Admitted, Breakers, Circuit};
use super::layered::{Layer, Layered};

/// Sends on what the circuit of a replica lets through.
#[derive(Clone)]
pub struct Breaker {
    circuit: Arc<Circuit>,
    insists: bool,
}

impl Breaker {
    /// The circuit that `breakers` has for a replica.
    pub fn of(node_id: &NodeId, breakers: &Breakers) -> Self {
        Breaker { circuit: breakers.of(node_id), insists: false }
    }

    async fn admit(&self, asked: Asked, timeout: Option<Duration>) -> Result<Admitted, NodeError> {
        let refusable = !self.insists && !matches!(asked, Asked::StoreHints { .. });
        let Some(timeout) = timeout.filter(|_| refusable) else {
            return Ok(self.circuit.admit_anyway());
        };
        let late = |_| NodeError::TimedOut { stage: "waiting for a trial", after: timeout };
        tokio::time::timeout(timeout, self.circuit.admit()).await.map_err(late)?
    }
}

impl Layer for Breaker {
    async fn run<C: Call>(&self, call: C) -> Result<C::Answer, NodeError> {
        let timeout = call.timeout();
        let admitted = self.admit(call.asked(), timeout).await?;
        let answer = call.send().await;
        admitted.end(&answer, timeout.is_some());
        answer
    }

    fn bypassing_breaker(&self) -> Option<Self> {
        Some(Breaker { insists: true, ..self.clone() })
    }
}

/// A replica behind its circuit breaker.
pub type Guarded<N> = Layered<Breaker, N>;

impl<N: NodeWriter> Guarded<N> {
    /// `inner` behind the circuit that `breakers` has for it.
    pub fn new(inner: N, breakers: &Breakers) -> Self {
        Layered::around(Breaker::of(inner.node_id(), breakers), inner)
    }
}
