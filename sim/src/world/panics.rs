//! Panic injection.
//!
//! Panics in the code that writes to a replica, when a step asks for them.
//!
//! Half of them come before anything was sent, half after the replica took it: then it has
//! what the writer has to believe it lacks.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gitstratum_cluster::quorum::decorate::{Asked, Call, Layer, Layered};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{NodeError, NodeWriter};
use rand::Rng;
use rand_chacha::ChaCha12Rng;

use super::Run;
use crate::trace::{Event, Recorder};
use crate::workload::stream;

/// How many writes are still to panic, by client and node. Shared by all clients, outside the
/// simulated network. Cheap to clone.
#[derive(Clone, Default)]
pub struct Panics(Arc<Mutex<BTreeMap<(String, String), u32>>>);

impl Panics {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the next writes of each client to each node panic.
    pub(super) fn arm(&self, clients: &[String], nodes: &[String], times: u32) {
        let mut due = self.lock();
        for client in clients {
            for node in nodes {
                *due.entry((client.clone(), node.clone())).or_default() += times;
            }
        }
    }

    /// What makes of a client's replica one to which writes panic when that is due.
    pub(super) fn of(
        &self,
        run: &Run,
        client: &str,
    ) -> impl Fn(Arc<dyn NodeWriter>) -> Arc<dyn NodeWriter> + use<> {
        let shared = Arc::new(Shared {
            due: self.clone(),
            client: client.to_owned(),
            moments: Mutex::new(stream(run.seed, &format!("panics/{client}"))),
            recorder: run.recorder.clone(),
        });
        move |inner| Arc::new(Layered::around(Panicking { shared: shared.clone() }, inner))
    }
}

/// What the replicas of one client have in common.
struct Shared {
    due: Panics,
    client: String,
    moments: Mutex<ChaCha12Rng>,
    recorder: Recorder,
}

/// When a write panics.
enum Moment {
    Never,
    /// Before anything is sent.
    Before,
    /// After the replica has answered.
    After,
}

impl Shared {
    fn moment(&self, node_id: &NodeId) -> Moment {
        let mut due = self.due.lock();
        let left = due.get_mut(&(self.client.clone(), node_id.to_string()));
        match left {
            Some(left) if *left > 0 => {
                *left -= 1;
                let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
                if moments.random_bool(0.5) { Moment::Before } else { Moment::After }
            }
            _ => Moment::Never,
        }
    }

    /// Panics, past the hook that takes every panic for the code's.
    fn panic(&self, node_id: &NodeId, sent: bool) -> ! {
        let node = node_id.to_string();
        self.recorder.record(&self.client, Event::WritePanicked { node, sent });
        resume_unwind(Box::new("as the scenario has it"));
    }
}

/// Has writes panic when that is due.
#[derive(Clone)]
struct Panicking {
    shared: Arc<Shared>,
}

impl Layer for Panicking {
    async fn run<C: Call>(&self, call: C) -> Result<C::Answer, NodeError> {
        if !matches!(call.asked(), Asked::Put { .. } | Asked::PutLarge { .. }) {
            return call.send().await;
        }
        let node_id = call.node_id().clone();
        match self.shared.moment(&node_id) {
            Moment::Never => call.send().await,
            Moment::Before => self.shared.panic(&node_id, false),
            Moment::After => {
                // It is told to nobody.
                drop(call.send().await);
                self.shared.panic(&node_id, true)
            }
        }
    }
}
