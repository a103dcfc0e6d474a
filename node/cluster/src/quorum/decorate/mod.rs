//! Decorators.
//!
//! Replicas with something around them that makes their trouble cheap for callers, or seen.
//!
//! What a decorator adds to a request is a [`Layer`], alone in its file; [`Layered`] puts it
//! around any replica, and is a replica itself. So they compose in any order; which order a
//! client takes, and why, is said where it does. A layer never reaches past what it stands
//! around: what it may do to a request is what [`Call`] lets it.

mod batching;
mod breaker;
mod call;
mod circuit;
mod deadline;
mod latencies;
mod layered;
mod metrics;
mod retry;
mod spans;

#[cfg(test)]
mod tests;

pub use batching::{Batched, Batches, Batching};
pub use breaker::{Breaker, Guarded};
pub use call::{Asked, Call, Get, GetLarge, Has, Put, PutLarge, StoreHints};
pub use circuit::{BreakerNumbers, BreakerOptions, BreakerState, Breakers};
pub use deadline::{Adaptive, Deadline};
pub use latencies::{AdaptiveOptions, Latencies};
pub use layered::{Layer, Layered};
pub use metrics::{Meter, Metered, Meters, ReplicaCounts, RequestCounts};
pub(crate) use retry::repeated;
pub use retry::{Retried, Retry};
pub use spans::{Spans, Traced};
