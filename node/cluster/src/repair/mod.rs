//! Repair.
//!
//! What a node knows of the health of its cluster, and does for it: hints of writes that
//! others missed, whether its peers answer, and anti-entropy.
//!
//! Invariant: nothing that was acknowledged to a reporter is lost by a crash or at a bound: it
//! is a hint, or its range of ids is marked dirty; both are listed by `status`.

mod budget;
mod catching_up;
mod control;
pub mod hints;
mod peers;
pub mod reconcile;
mod throttling;

pub use budget::{Budget, BudgetNumbers};
pub use catching_up::CatchingUp;
pub use control::Control;
pub use hints::{DirtyRanges, HintError, HintLog, HintOptions};
pub use peers::{PeerTable, probe};
pub use throttling::{ClientLatency, LatencyMeter};
