//! Server metrics: requests by their end, and the bounds that were reached.
//!
//! Invariant (I4): attempted = succeeded + failed + in flight at every instant.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gitstratum_core::limits;
use gitstratum_core::metrics::{self, Counter, Durations, Labels, Reading, Registry};
use gitstratum_core::seldom::Seldom;
use gitstratum_core::trace::RequestIds;

use super::admission::Denials;
use super::handshakes::Handshakes;

/// What a server bounds: each is counted where it refuses or ends something, and told to the log
/// once in a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A connection was closed as it came: its address, or all clients, had as many as they may.
    Connections,
    /// A connection was closed as it came: as many TLS handshakes were under way.
    Handshakes,
    /// A request was refused: as many were in flight.
    Requests,
    /// A stream that tells how the node is was refused: as many were open.
    Watches,
    /// A large object was refused: as many were being received.
    LargeObjects,
    /// A request was refused: as many bytes of requests were being received.
    ReceivedBytes,
    /// A request was refused: a message of it has more elements than any may have.
    Elements,
    /// A request was given up: its client did not send the rest of it.
    RequestStalled,
    /// An answer was given up: its client did not read it.
    AnswerUnread,
    /// An answer was given up: as many bytes of answers were waiting to be read.
    AnswerBytes,
    /// A connection was closed on which nothing was ever asked.
    ConnectionSilent,
    /// A connection was closed on which nothing was asked any more.
    ConnectionIdle,
    /// A connection was closed because the node stopped and its client neither sent nor read.
    Stopping,
}

impl Bound {
    /// All of them, in the order in which they are declared.
    pub const ALL: [Bound; 13] = [
        Bound::Connections,
        Bound::Handshakes,
        Bound::Requests,
        Bound::Watches,
        Bound::LargeObjects,
        Bound::ReceivedBytes,
        Bound::Elements,
        Bound::RequestStalled,
        Bound::AnswerUnread,
        Bound::AnswerBytes,
        Bound::ConnectionSilent,
        Bound::ConnectionIdle,
        Bound::Stopping,
    ];

    /// What it is called in metrics and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Bound::Connections => "connections",
            Bound::Handshakes => "handshakes",
            Bound::Requests => "requests",
            Bound::Watches => "watches",
            Bound::LargeObjects => "large_objects",
            Bound::ReceivedBytes => "received_bytes",
            Bound::Elements => "elements",
            Bound::RequestStalled => "request_stalled",
            Bound::AnswerUnread => "answer_unread",
            Bound::AnswerBytes => "answer_bytes",
            Bound::ConnectionSilent => "connection_silent",
            Bound::ConnectionIdle => "connection_idle",
            Bound::Stopping => "stopping",
        }
    }

    /// What the log says of it.
    fn words(self) -> &'static str {
        match self {
            Bound::Connections => "overloaded: connections are closed as they come",
            Bound::Handshakes => "overloaded: connections are closed before TLS begins",
            Bound::Requests => "overloaded: requests are refused, as many are in flight",
            Bound::Watches => "overloaded: streams of health are refused, as many are open",
            Bound::LargeObjects => "overloaded: large objects are refused, as many are received",
            Bound::ReceivedBytes => {
                "overloaded: requests are refused, as many bytes of them are being received"
            }
            Bound::Elements => "requests are refused that have too many elements",
            Bound::RequestStalled => "requests are given up whose clients do not send them",
            Bound::AnswerUnread => "answers are given up that nobody reads",
            Bound::AnswerBytes => {
                "overloaded: answers are given up, as many bytes of them wait to be read"
            }
            Bound::ConnectionSilent => "connections are closed on which nothing was asked",
            Bound::ConnectionIdle => "connections are closed on which nothing is asked any more",
            Bound::Stopping => "connections are closed whose clients neither send nor read",
        }
    }

    /// Whether somebody who does no harm meets it.
    fn is_harmless(self) -> bool {
        matches!(self, Bound::ConnectionIdle | Bound::Stopping)
    }
}

/// Requests of a server, and what its bounds did.
#[derive(Debug, Default)]
pub struct Requests {
    counts: Mutex<Counts>,
    bounds: [Reached; Bound::ALL.len()],
    durations: Durations,
    pub(super) handshakes: Handshakes,
    pub(super) denials: Denials,
    /// Of requests that come without one.
    pub(super) ids: RequestIds,
}

impl Requests {
    /// Those of a server whose requests get these ids.
    pub fn named_by(ids: RequestIds) -> Self {
        Requests { ids, ..Requests::default() }
    }
}

#[derive(Debug, Default)]
struct Reached {
    count: Counter,
    logged: Seldom,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) connections: u64,
    pub(super) attempted: u64,
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) refused: u64,
}

impl Counts {
    pub(super) fn in_flight(&self) -> u64 {
        self.attempted - self.succeeded - self.failed
    }

    /// All of it as metrics.
    fn readings() -> Vec<Reading<Counts>> {
        type Metric = Reading<Counts>;
        vec![
            Metric::gauge("server_connections", "Connections that are open", |counts| {
                counts.connections
            }),
            Metric::gauge("server_requests_in_flight", "Requests in flight", Counts::in_flight),
            Metric::counter("server_requests_attempted", "Requests that came", |counts| {
                counts.attempted
            }),
            Metric::counter(
                "server_requests_succeeded",
                "Requests that were answered well",
                |counts| counts.succeeded,
            ),
            Metric::counter("server_requests_failed", "Requests that failed", |counts| {
                counts.failed
            }),
            Metric::counter(
                "server_requests_refused",
                "Requests that failed because too many were in flight",
                |counts| counts.refused,
            ),
            Metric::gauge(
                "server_requests_max",
                "With so many requests in flight, more of clients are refused",
                |_| limits::SERVER_REQUESTS_OF_CLIENTS_MAX as u64,
            ),
        ]
    }
}

impl Requests {
    /// Counts how long a request took that ended so.
    pub(super) fn took(&self, method: &'static str, succeeded: bool, duration: Duration) {
        let result = if succeeded { "succeeded" } else { "failed" };
        self.durations.observe(method, result, duration);
    }

    /// Registers them; they are read at once, so that they add up.
    pub fn register(self: &Arc<Self>, registry: &mut Registry) {
        let requests = self.clone();
        metrics::register(registry, Counts::readings(), move || requests.read());
        let help = "From the headers of a request to the end of its answer";
        self.durations.register(registry, "server_request", help);
        let requests = self.clone();
        let help = "What a bound of the server refused or ended";
        let reached = [Reading::counter("server_bounds_reached", help, |count: &u64| *count)];
        metrics::register_encoded(registry, move |encoder| {
            let counts = Bound::ALL.map(|bound| {
                let labels: Labels = vec![("bound", bound.name().to_owned())];
                (labels, requests.bounds[bound as usize].count.get())
            });
            metrics::encode(encoder, &reached, &counts)
        });
        Handshakes::register(registry, self.clone(), |requests| &requests.handshakes);
        Denials::register(registry, self.clone(), |requests| &requests.denials);
    }

    pub(super) fn read(&self) -> Counts {
        *self.counts.lock().expect("nothing panics while it counts")
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().expect("nothing panics while it counts"));
    }

    /// Counts a request that is refused before it is looked at.
    pub(super) fn refused(&self) {
        self.update(|counts| {
            counts.attempted += 1;
            counts.failed += 1;
            counts.refused += 1;
        });
    }

    /// Counts that this bound was reached by a client at `address`, and says so now and then.
    pub(super) fn reached(&self, bound: Bound, address: IpAddr) {
        let reached = &self.bounds[bound as usize];
        reached.count.inc();
        match reached.logged.count() {
            Some(count) if bound.is_harmless() => {
                tracing::debug!(bound = bound.name(), count, %address, "{}", bound.words());
            }
            Some(count) => {
                tracing::warn!(bound = bound.name(), count, %address, "{}", bound.words());
            }
            None => {}
        }
    }
}
