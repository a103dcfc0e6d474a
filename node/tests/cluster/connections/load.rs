//! A load of puts and gets at a modest rate, and what became of each call.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gitstratum_core::replica::NodeError;
use tokio::task::JoinHandle;

use super::super::support::wait_until;
use super::{Caller, object};

/// Calls of a quorum go under this name; others under that of the node.
pub const QUORUM: &str = "quorum";

/// Lanes of each kind; a lane has one call under way at a time.
const LANES: usize = 2;
/// Of a lane, between two calls.
const PACE: Duration = Duration::from_millis(20);

/// Why a call failed.
#[derive(Clone, Debug)]
pub enum Failure {
    /// A single node did not do it.
    Node(NodeError),
    /// There was no quorum.
    Quorum(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Node(error) => error.fmt(f),
            Failure::Quorum(words) => f.write_str(words),
        }
    }
}

/// One call that has ended.
#[derive(Clone, Debug)]
pub struct Call {
    to: &'static str,
    pub began: Instant,
    pub ended: Instant,
    pub failure: Option<Failure>,
}

impl Call {
    pub fn took(&self) -> Duration {
        self.ended - self.began
    }

    /// The error of a node, of a call that failed with one.
    pub fn error(&self) -> Option<&NodeError> {
        match &self.failure {
            Some(Failure::Node(error)) => Some(error),
            _ => None,
        }
    }
}

/// Lanes that call until they are stopped.
pub struct Load {
    calls: Arc<Mutex<Vec<Call>>>,
    lanes: Vec<JoinHandle<()>>,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.lanes.iter().for_each(JoinHandle::abort);
    }
}

impl Load {
    /// Begins to call each of these nodes by itself, and quorums; waits until everyone has
    /// answered a few times.
    pub fn start(caller: &Caller, nodes: &[&'static str]) -> Self {
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let mut lanes = Vec::new();
        for to in nodes.iter().copied().chain([QUORUM]) {
            for lane in 0..LANES {
                let name = format!("{to} lane {lane}");
                lanes.push(tokio::spawn(run(caller.clone(), to, name, calls.clone())));
            }
        }
        let load = Load { calls, lanes };
        for to in nodes.iter().copied().chain([QUORUM]) {
            wait_until("everyone answers", || load.succeeded(to) >= 5);
        }
        load
    }

    /// Calls to `to` that began at `since` or later, and have ended, by their ends.
    pub fn calls(&self, to: &str, since: Instant) -> Vec<Call> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|call| call.to == to && call.began >= since).cloned().collect()
    }

    /// Those of them that failed.
    pub fn failed(&self, to: &str, since: Instant) -> Vec<Call> {
        let mut calls = self.calls(to, since);
        calls.retain(|call| call.failure.is_some());
        calls
    }

    fn succeeded(&self, to: &str) -> usize {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|call| call.to == to && call.failure.is_none()).count()
    }

    /// Waits for the first success with `to` of a call that began at `since` or later, and
    /// says how long after `since` it was.
    pub fn first_success(&self, to: &str, since: Instant) -> Duration {
        let mut first = None;
        wait_until("it is used again", || {
            let calls = self.calls(to, since);
            first = calls.iter().find(|call| call.failure.is_none()).map(|call| call.ended - since);
            first.is_some()
        });
        first.expect("it was waited for")
    }

    /// Fails the test if any call to one of these has failed.
    pub fn assert_none_failed(&self, to: &[&str]) {
        // The lanes go on: nothing may panic while it holds what they write to.
        let calls = self.calls.lock().unwrap().clone();
        let mut calls = calls.iter().filter(|call| to.contains(&call.to));
        if let Some(call) = calls.find(|call| call.failure.is_some()) {
            panic!("a call to {} failed after {:?}: {:?}", call.to, call.took(), call.failure);
        }
    }
}

async fn run(caller: Caller, to: &'static str, name: String, calls: Arc<Mutex<Vec<Call>>>) {
    let note = |began, failure| {
        calls.lock().unwrap().push(Call { to, began, ended: Instant::now(), failure });
    };
    for number in 0.. {
        let object = object(&format!("{name}, number {number}"));
        let began = Instant::now();
        if to == QUORUM {
            let id = object.id();
            let put = caller.client.put(object).await;
            note(began, put.err().map(|error| Failure::Quorum(format!("put: {error}"))));
            let began = Instant::now();
            let got = caller.client.get(id).await;
            note(began, got.err().map(|error| Failure::Quorum(format!("get: {error}"))));
        } else {
            note(began, caller.put(to, object).await.err().map(Failure::Node));
        }
        tokio::time::sleep(PACE).await;
    }
}
