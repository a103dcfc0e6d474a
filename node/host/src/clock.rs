//! Wall clock.
//!
//! The time of day, for what must be told across a restart.
//!
//! Nothing is ordered or timed out by it: it may jump, and it differs between machines. In a
//! simulated run it is the machine's own, which a test may set.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970; 0 on a machine that believes it is earlier.
#[expect(clippy::disallowed_methods, reason = "this is the clock of the host")]
pub fn unix_time_ms() -> u64 {
    let now = SystemTime::now();
    #[cfg(madsim)]
    let now = now + crate::simulated::time_of_day_ahead();
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
