//! Trace recorder.
//!
//! Collects the records of a run.
//!
//! The records live outside the simulated world, so that a run that panics leaves what it
//! had seen until then.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::{Event, Record};

/// The records so far, shared by the run and whoever started it.
pub type Records = Arc<Mutex<Vec<Record>>>;

/// Takes records, each with the simulated time of the moment. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Recorder {
    began: Instant,
    records: Records,
}

impl Recorder {
    /// A recorder whose time begins now, adding to `records`.
    pub fn new(records: Records) -> Self {
        Recorder { began: Instant::now(), records }
    }

    /// Simulated microseconds since the recorder was made.
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).expect("a run is shorter than an age")
    }

    /// Adds a record.
    pub fn record(&self, actor: &str, event: Event) {
        let record = Record { at_us: self.now_us(), actor: actor.to_owned(), event };
        // A panic elsewhere does not make the records before it worthless.
        self.records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }
}
