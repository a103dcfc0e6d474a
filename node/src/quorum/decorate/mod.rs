//! Replicas wrapped in what makes their trouble cheap for callers; each wrapper is a
//! replica itself, and they compose in any order.

mod adaptive;
mod breaker;
mod guarded;

#[cfg(test)]
mod tests;

pub use adaptive::{Adaptive, AdaptiveOptions, Latencies};
pub use breaker::{BreakerNumbers, BreakerOptions, BreakerState, Breakers};
pub use guarded::Guarded;
