//! Counters of the Git server.

use std::sync::{Arc, Mutex};

use gitstratum_core::limits;
use gitstratum_core::metrics::{self, Counter, Durations, Labels, Reading, Registry, Unit};
use gitstratum_core::seldom::Seldom;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::route::Endpoint;
use crate::protocol::{Service, Version};

/// Requests and connections of a server.
#[derive(Debug, Default)]
pub(super) struct Requests {
    counts: Mutex<Counts>,
    durations: Durations,
    /// By what they asked for, by the protocol's version, and by how they ended.
    by_protocol: [[[Counter; Outcome::ALL.len()]; Version::ALL.len()]; Asked::ALL.len()],
    /// Refusals for want of room, of which the log tells once in a while.
    refusals: Seldom,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    connections: u64,
    attempted: u64,
    succeeded: u64,
    rejected: u64,
    failed: u64,
    overloaded: u64,
    fetches: u64,
    pushes: u64,
    received_bytes: u64,
    sent_bytes: u64,
}

impl Counts {
    pub fn in_flight(&self) -> u64 {
        self.attempted - self.succeeded - self.rejected - self.failed
    }

    /// All of it as metrics.
    fn readings() -> Vec<Reading<Counts>> {
        type Metric = Reading<Counts>;
        vec![
            Metric::gauge(
                "git_connections",
                "Connections of Git clients that are open",
                |counts| counts.connections,
            ),
            Metric::gauge(
                "git_requests_in_flight",
                "Requests of Git clients in flight",
                Counts::in_flight,
            ),
            Metric::counter("git_requests_attempted", "Requests of Git clients", |counts| {
                counts.attempted
            }),
            Metric::counter(
                "git_requests_succeeded",
                "Requests of Git clients that were answered well",
                |counts| counts.succeeded,
            ),
            Metric::counter(
                "git_requests_rejected",
                "Requests of Git clients that asked for what is not there, is not allowed or makes \
                 no sense",
                |counts| counts.rejected,
            ),
            Metric::counter(
                "git_requests_failed",
                "Requests of Git clients that failed here, or whose client went away",
                |counts| counts.failed,
            ),
            Metric::counter(
                "git_requests_overloaded",
                "Requests of Git clients that failed because too many were in flight",
                |counts| counts.overloaded,
            ),
            Metric::counter("git_fetches", "Exchanges of fetches that began", |counts| {
                counts.fetches
            }),
            Metric::counter("git_pushes", "Exchanges of pushes that began", |counts| counts.pushes),
            Metric::counter("git_received", "Of bodies of Git clients' requests", |counts| {
                counts.received_bytes
            })
            .unit(Unit::Bytes),
            Metric::counter("git_sent", "Of bodies of answers to Git clients", |counts| {
                counts.sent_bytes
            })
            .unit(Unit::Bytes),
            Metric::gauge(
                "git_requests_max",
                "With so many requests of Git clients in flight, more are refused",
                |_| limits::GIT_REQUESTS_MAX as u64,
            ),
        ]
    }
}

impl Requests {
    /// Registers them; they are read at once, so that they add up.
    pub fn register(self: &Arc<Self>, registry: &mut Registry) {
        let requests = self.clone();
        metrics::register(registry, Counts::readings(), move || requests.read());
        let help = "From the headers of a Git client's request to the end of its answer";
        self.durations.register(registry, "git_request", help);
        let requests = self.clone();
        let help = "Requests of Git clients that were let in, by the version of Git's protocol that \
                    they asked for";
        let counted = [Reading::counter("git_requests_by_protocol", help, |count: &u64| *count)];
        metrics::register_encoded(registry, move |encoder| {
            metrics::encode(encoder, &counted, &requests.by_protocol())
        });
    }

    fn by_protocol(&self) -> Vec<(Labels, u64)> {
        let mut counts = Vec::new();
        for (asked, versions) in Asked::ALL.iter().zip(&self.by_protocol) {
            for (version, outcomes) in Version::ALL.iter().zip(versions) {
                for (outcome, count) in Outcome::ALL.iter().zip(outcomes) {
                    let labels = vec![
                        ("request", asked.name().to_owned()),
                        ("protocol", version.number().to_owned()),
                        ("result", outcome.name().to_owned()),
                    ];
                    counts.push((labels, count.get()));
                }
            }
        }
        counts
    }

    pub fn read(&self) -> Counts {
        *self.counts.lock().expect("nothing panics while it counts")
    }

    fn update(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().expect("nothing panics while it counts"));
    }

    /// Counts a connection while the value lives.
    pub fn connection(self: &Arc<Self>) -> OpenConnection {
        self.update(|counts| counts.connections += 1);
        OpenConnection(self.clone())
    }

    /// Counts a request that is refused because too many are in flight.
    pub fn refuse(&self) {
        self.update(|counts| {
            counts.attempted += 1;
            counts.failed += 1;
            counts.overloaded += 1;
        });
        if let Some(count) = self.refusals.count() {
            let limit = limits::GIT_REQUESTS_MAX;
            tracing::warn!(
                count,
                limit,
                "overloaded: Git requests are refused, as many are in flight"
            );
        }
    }

    /// Counts a request while the value lives, and then how it ended.
    pub fn begin(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> InFlight {
        self.update(|counts| counts.attempted += 1);
        InFlight {
            requests: self.clone(),
            outcome: Outcome::Failed,
            began: Instant::now(),
            asked: None,
            _permit: permit,
        }
    }

    /// Counts an exchange.
    pub fn exchange(&self, service: Service) {
        self.update(|counts| match service {
            Service::UploadPack => counts.fetches += 1,
            Service::ReceivePack => counts.pushes += 1,
        });
    }

    /// Counts what came.
    pub fn received(&self, bytes: usize) {
        self.update(|counts| counts.received_bytes += bytes as u64);
    }

    /// Counts what went.
    pub fn sent(&self, bytes: usize) {
        self.update(|counts| counts.sent_bytes += bytes as u64);
    }
}

/// A connection that is open.
pub(super) struct OpenConnection(Arc<Requests>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.update(|counts| counts.connections -= 1);
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was answered well.
    Succeeded,
    /// It was the client's fault.
    Rejected,
    /// It was not, or the client went away.
    Failed,
}

impl Outcome {
    const ALL: [Outcome; 3] = [Outcome::Succeeded, Outcome::Rejected, Outcome::Failed];

    fn name(self) -> &'static str {
        match self {
            Outcome::Succeeded => "succeeded",
            Outcome::Rejected => "rejected",
            Outcome::Failed => "failed",
        }
    }
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Refs,
    Fetch,
    Push,
}

impl Asked {
    const ALL: [Asked; 3] = [Asked::Refs, Asked::Fetch, Asked::Push];

    fn of(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::Advertisement(_) => Asked::Refs,
            Endpoint::Exchange(Service::UploadPack) => Asked::Fetch,
            Endpoint::Exchange(Service::ReceivePack) => Asked::Push,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Asked::Refs => "refs",
            Asked::Fetch => "fetch",
            Asked::Push => "push",
        }
    }
}

/// One request from its headers to the end of its answer. Dropped undecided (the client went away,
/// something panicked), it counts as failed.
pub(super) struct InFlight {
    requests: Arc<Requests>,
    pub outcome: Outcome,
    began: Instant,
    /// What for, and by which version, once that is known.
    asked: Option<(Asked, Version)>,
    _permit: OwnedSemaphorePermit,
}

impl InFlight {
    /// Says what it is for, and which version of the protocol its client asks for.
    pub fn asks(&mut self, endpoint: Endpoint, version: Version) {
        self.asked = Some((Asked::of(endpoint), version));
    }

    /// Where it is counted.
    pub fn requests(&self) -> &Arc<Requests> {
        &self.requests
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.requests.update(|counts| match self.outcome {
            Outcome::Succeeded => counts.succeeded += 1,
            Outcome::Rejected => counts.rejected += 1,
            Outcome::Failed => counts.failed += 1,
        });
        let Some((asked, version)) = self.asked else { return };
        let (name, result) = (asked.name(), self.outcome.name());
        self.requests.durations.observe(name, result, self.began.elapsed());
        let of = &self.requests.by_protocol[asked as usize][version as usize];
        of[self.outcome as usize].inc();
    }
}
