//! Simulated wall clock.
//!
//! The time of day on each machine, which may be set ahead of the run's.
//!
//! Whoever asks for it has no handle to a machine, only the process that runs: so it is kept
//! by process, beside madsim's own state, on the thread that a world has to itself. A new
//! network begins with every clock right.

use std::collections::BTreeMap;
use std::time::Duration;

use madsim::task::NodeId;

#[allow(clippy::disallowed_macros, reason = "a world has its thread to itself")]
mod by_process {
    use super::{BTreeMap, Duration, NodeId};
    use std::cell::RefCell;

    thread_local! {
        /// Processes whose clocks are not right.
        pub(super) static AHEAD: RefCell<BTreeMap<NodeId, Duration>> =
            const { RefCell::new(BTreeMap::new()) };
    }
}

use by_process::AHEAD;

/// How far the clock of the process that runs is ahead of the run's.
pub(crate) fn time_of_day_ahead() -> Duration {
    AHEAD.with_borrow(|ahead| {
        // Outside a world there is no process, and no clock was set.
        let is_set = !ahead.is_empty();
        let by = is_set.then(|| ahead.get(&madsim::plugin::node()).copied());
        by.flatten().unwrap_or_default()
    })
}

/// Sets the clock that a process goes by.
pub(super) fn set_ahead(process: NodeId, by: Duration) {
    AHEAD.with_borrow_mut(|ahead| match by {
        Duration::ZERO => ahead.remove(&process),
        by => ahead.insert(process, by),
    });
}

/// Sets every clock right.
pub(super) fn set_all_right() {
    AHEAD.with_borrow_mut(BTreeMap::clear);
}
