//! Replicas wrapped in what makes their trouble cheap for callers; each wrapper is a
//! replica itself, and they compose in any order.

mod adaptive;
mod breaker;
mod guarded;
mod metered;
mod shared;
mod traced;

#[cfg(test)]
mod tests;

pub use adaptive::{Adaptive, AdaptiveOptions, Latencies};
pub use breaker::{BreakerNumbers, BreakerOptions, BreakerState, Breakers};
pub use guarded::Guarded;
pub use metered::{Metered, Meters, ReplicaCounts, RequestCounts};
pub use traced::Traced;
