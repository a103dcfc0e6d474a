//! Tracing layer.
//!
//! The layer of tracing: requests are spans of the trace, at the level "debug": who was asked
//! for what, and how it ended.

use gitstratum_core::replica::NodeError;
use tracing::{Instrument, Span, debug_span};

use super::call::{Asked, Call};
use super::layered::{Layer, Layered};

/// Runs each request within a span, and says there why it failed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spans;

impl Layer for Spans {
    async fn run<C: Call>(&self, call: C) -> Result<C::Answer, NodeError> {
        let span = span(&call);
        let said = span.clone();
        let answer = call.send().instrument(span).await;
        if let Err(error) = &answer {
            said.in_scope(|| tracing::debug!(%error, "failed"));
        }
        answer
    }
}

fn span(call: &impl Call) -> Span {
    let node = call.node_id();
    match call.asked() {
        Asked::Put { objects } => debug_span!("put", %node, objects),
        Asked::PutLarge { id } => debug_span!("put_large", %node, %id),
        Asked::Has { objects } => debug_span!("has", %node, objects),
        Asked::StoreHints { objects } => debug_span!("store_hints", %node, objects),
        Asked::Get { objects } => debug_span!("get", %node, objects),
        Asked::GetLarge { id } => debug_span!("get_large", %node, %id),
    }
}

/// A replica whose requests are spans.
pub type Traced<N> = Layered<Spans, N>;

impl<N> Traced<N> {
    /// `inner`, traced.
    pub fn new(inner: N) -> Self {
        Layered::around(Spans, inner)
    }
}
