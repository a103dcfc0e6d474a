//! Circuit breaker.
//!
//! The circuit of each replica: closed, open, half-open with one trial.
//!
//! Invariant: while half-open, one request at a time is on trial; the others wait for what
//! comes of it. What opens a circuit is the share of recent requests that failed for a
//! reason of the node, or were slow.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use gitstratum_core::metrics::{self, Labels, Reading, Registry};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::NodeError;
use tokio::sync::Notify;
use tokio::time::Instant;

/// When circuits open, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerOptions {
    /// Requests that are looked back on.
    pub window: usize,
    /// Fewer tell nothing.
    pub requests_min: usize,
    /// Share of bad ones that opens the circuit.
    pub bad_share: f64,
    /// A request that took longer is bad, whatever came of it.
    pub slow_after: Duration,
    /// The first time that the circuit stays open; doubled up to `open_max` by every trial
    /// that fails.
    pub open_min: Duration,
    /// The longest time.
    pub open_max: Duration,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        BreakerOptions {
            window: 32,
            requests_min: 16,
            bad_share: 0.5,
            slow_after: Duration::from_secs(4),
            open_min: Duration::from_millis(250),
            open_max: Duration::from_secs(2),
        }
    }
}

/// What a circuit lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// Nothing.
    Open,
    /// One request at a time.
    HalfOpen,
}

impl BreakerState {
    /// All of them.
    pub const ALL: [BreakerState; 3] =
        [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen];

    /// One word, for metrics.
    pub fn name(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half_open",
        }
    }
}

/// A circuit, as it can be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerNumbers {
    /// Whose.
    pub node_id: NodeId,
    /// What it lets through now.
    pub state: BreakerState,
    /// How often it opened.
    pub opened: u64,
    /// How often it went half-open.
    pub half_opened: u64,
    /// How often it closed again.
    pub closed: u64,
    /// Requests that it refused.
    pub refused: u64,
}

enum State {
    /// The latest requests, `true` for bad ones.
    Closed(VecDeque<bool>),
    Open {
        until: Instant,
        lasted: Duration,
    },
    HalfOpen {
        on_trial: bool,
        lasted: Duration,
    },
}

/// The circuit of one replica.
pub(super) struct Circuit {
    options: BreakerOptions,
    state: Mutex<(State, BreakerNumbers)>,
    /// A trial ended.
    tried: Notify,
}

impl Circuit {
    fn new(node_id: NodeId, options: BreakerOptions) -> Self {
        let numbers = BreakerNumbers {
            node_id,
            state: BreakerState::Closed,
            opened: 0,
            half_opened: 0,
            closed: 0,
            refused: 0,
        };
        let state = Mutex::new((State::Closed(VecDeque::new()), numbers));
        Circuit { options, state, tried: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, (State, BreakerNumbers)> {
        self.state.lock().expect("nothing panics while it holds a circuit")
    }

    fn numbers(&self) -> BreakerNumbers {
        let guard = self.lock();
        let (state, numbers) = &*guard;
        let state = match state {
            State::Closed(_) => BreakerState::Closed,
            State::Open { until, .. } if Instant::now() < *until => BreakerState::Open,
            State::Open { .. } | State::HalfOpen { .. } => BreakerState::HalfOpen,
        };
        BreakerNumbers { state, ..numbers.clone() }
    }

    /// Lets a request through, at once or after the trial that is under way.
    ///
    /// # Errors
    /// [`NodeError::CircuitOpen`].
    pub(super) async fn admit(self: &Arc<Self>) -> Result<Admitted, NodeError> {
        loop {
            let mut tried = std::pin::pin!(self.tried.notified());
            // Registered before looking, so that no trial ends in between.
            tried.as_mut().enable();
            if let Some(admitted) = self.admit_now()? {
                return Ok(admitted);
            }
            tried.await;
        }
    }

    /// `None` while another request is on trial.
    fn admit_now(self: &Arc<Self>) -> Result<Option<Admitted>, NodeError> {
        let now = Instant::now();
        let mut guard = self.lock();
        let (state, numbers) = &mut *guard;
        let lasted = match state {
            State::Closed(_) => return Ok(Some(self.admitted(false))),
            State::HalfOpen { on_trial: true, .. } => return Ok(None),
            State::Open { until, .. } if now < *until => {
                numbers.refused += 1;
                return Err(NodeError::CircuitOpen { trial_in: *until - now });
            }
            State::Open { lasted, .. } => {
                numbers.half_opened += 1;
                *lasted
            }
            State::HalfOpen { lasted, .. } => *lasted,
        };
        *state = State::HalfOpen { on_trial: true, lasted };
        Ok(Some(self.admitted(true)))
    }

    /// Lets a request through whatever the state is: a quorum needs it.
    pub(super) fn admit_anyway(self: &Arc<Self>) -> Admitted {
        self.admitted(false)
    }

    fn admitted(self: &Arc<Self>, trial: bool) -> Admitted {
        Admitted { circuit: self.clone(), trial, began: Instant::now() }
    }

    fn ended(&self, trial: bool, bad: Option<bool>) {
        let now = Instant::now();
        let mut guard = self.lock();
        let (state, numbers) = &mut *guard;
        let BreakerOptions { window, requests_min, bad_share, open_min, open_max, .. } =
            self.options;
        match (&mut *state, bad) {
            (State::Closed(recent), Some(bad)) => {
                recent.push_back(bad);
                if recent.len() > window {
                    recent.pop_front();
                }
                let bad = recent.iter().filter(|bad| **bad).count();
                let enough = recent.len() >= requests_min;
                if enough && bad as f64 >= bad_share * recent.len() as f64 {
                    numbers.opened += 1;
                    *state = State::Open { until: now + open_min, lasted: open_min };
                }
            }
            // Whoever got through and did well is as good a trial as any.
            (State::HalfOpen { .. } | State::Open { .. }, Some(false)) => {
                numbers.closed += 1;
                *state = State::Closed(VecDeque::new());
            }
            (State::HalfOpen { lasted, .. }, Some(true)) if trial => {
                numbers.opened += 1;
                let lasted = (*lasted * 2).min(open_max);
                *state = State::Open { until: now + lasted, lasted };
            }
            // A trial that was given up, or failed of something that says nothing.
            (State::HalfOpen { on_trial, .. }, None) if trial => *on_trial = false,
            _ => {}
        }
        drop(guard);
        self.tried.notify_waiters();
    }
}

/// A request that was let through. Dropped without an outcome, it says nothing.
pub(super) struct Admitted {
    circuit: Arc<Circuit>,
    trial: bool,
    began: Instant,
}

impl Admitted {
    /// The request ended; `judges` is false for those that say nothing of slowness, such as
    /// streams of any length.
    pub(super) fn end<T>(mut self, outcome: &Result<T, NodeError>, judges: bool) {
        let slow = judges && self.began.elapsed() > self.circuit.options.slow_after;
        let bad = match outcome {
            Ok(_) => Some(slow),
            Err(error) => blames_the_node(error).then_some(true),
        };
        self.settle(bad);
        self.trial = false;
    }

    fn settle(&self, bad: Option<bool>) {
        if self.trial || bad.is_some() {
            self.circuit.ended(self.trial, bad);
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if self.trial {
            self.settle(None);
        }
    }
}

/// Whether the error says that the node is in trouble, and not the request or its caller.
fn blames_the_node(error: &NodeError) -> bool {
    matches!(
        error,
        NodeError::Dial(_)
            | NodeError::TimedOut { .. }
            | NodeError::ConnectionLost { .. }
            | NodeError::Overloaded { .. }
            | NodeError::ShuttingDown
            | NodeError::Protocol { .. }
    )
}

/// The circuits of all replicas. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub struct Breakers {
    options: BreakerOptions,
    circuits: Arc<Mutex<BTreeMap<NodeId, Arc<Circuit>>>>,
}

impl Breakers {
    /// Closed circuits that behave like this.
    pub fn new(options: BreakerOptions) -> Self {
        Breakers { options, circuits: Arc::default() }
    }

    /// Every circuit that was used so far, by node id.
    pub fn list(&self) -> Vec<BreakerNumbers> {
        let circuits = self.circuits.lock().expect("nothing panics while it lists");
        circuits.values().map(|circuit| circuit.numbers()).collect()
    }

    /// Registers them, by peer.
    pub fn register(&self, registry: &mut Registry) {
        let breakers = self.clone();
        let help = "1 for the state that the peer's circuit breaker is in: closed lets requests \
                    through, open none that can be done without, half_open one at a time";
        let state = [Reading::gauge("breaker_state", help, |is_so: &bool| u64::from(*is_so))];
        let counted = [
            Reading::counter(
                "breaker_opened",
                "How often the peer's circuit breaker opened",
                |numbers: &BreakerNumbers| numbers.opened,
            ),
            Reading::counter(
                "breaker_refused",
                "Requests that the peer's circuit breaker refused",
                |numbers: &BreakerNumbers| numbers.refused,
            ),
        ];
        metrics::register_encoded(registry, move |encoder| {
            let (mut states, mut numbers) = (Vec::new(), Vec::new());
            for circuit in breakers.list() {
                let labels: Labels = vec![("peer", circuit.node_id.to_string())];
                states.extend(BreakerState::ALL.map(|state| {
                    let named = [&labels[..], &[("state", state.name().to_owned())]].concat();
                    (named, state == circuit.state)
                }));
                numbers.push((labels, circuit));
            }
            metrics::encode(encoder, &state, &states)?;
            metrics::encode(encoder, &counted, &numbers)
        });
    }

    pub(super) fn of(&self, node_id: &NodeId) -> Arc<Circuit> {
        let mut circuits = self.circuits.lock().expect("nothing panics while it lists");
        let new = || Arc::new(Circuit::new(node_id.clone(), self.options.clone()));
        circuits.entry(node_id.clone()).or_insert_with(new).clone()
    }
}
