//! Process faults.
//!
//! What a scenario does to processes without ending them, to the clocks they go by, and their
//! end in good order.

use std::time::Duration;

use tokio::time::sleep;

use super::Cluster;
use crate::trace::{Event, Stop};

/// How often a process that was asked to stop is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// What keeps a process from the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    Paused,
    Throttled,
}

impl Cluster {
    /// Stops a node's process where it is; nothing happens when none runs.
    pub fn pause(&self, name: &str) {
        if self.is_running(name) {
            self.nodes[name].pause();
            self.changes().held.insert(name.to_owned(), Hold::Paused);
            self.recorder.record(name, Event::Paused);
        }
    }

    /// Gives a node's process one millisecond of the processor in so many; nothing happens
    /// when none runs.
    pub fn throttle(&self, name: &str, factor: u32) {
        if self.is_running(name) {
            self.nodes[name].throttle(factor);
            self.changes().held.insert(name.to_owned(), Hold::Throttled);
            self.recorder.record(name, Event::Throttled { factor });
        }
    }

    /// Gives a node's process the processor back.
    pub fn resume(&self, name: &str) {
        if self.changes().held.remove(name).is_some() {
            self.nodes[name].resume();
            self.recorder.record(name, Event::Resumed);
        }
    }

    /// Sets a machine's time of day so far ahead of the others'.
    pub fn set_clock(&self, name: &str, ahead: Duration) {
        let was = self.changes().ahead.insert(name.to_owned(), ahead).unwrap_or_default();
        if was != ahead {
            self.nodes[name].set_clock(ahead);
            let ahead_ms = u64::try_from(ahead.as_millis()).expect("far below an age");
            self.recorder.record(name, Event::ClockSet { ahead_ms });
        }
    }

    /// Asks a node's process to stop, waits until it has, and starts another after
    /// `down_for`. One that was paused goes on, to be able to.
    pub async fn restart(&self, name: &str, down_for: Duration) {
        if self.is_running(name) {
            self.stop(name, Stop::Terminate);
        }
        while self.is_running(name) {
            sleep(LOOK_INTERVAL).await;
        }
        sleep(down_for).await;
        self.start(name);
    }
}
