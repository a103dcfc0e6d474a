//! Time series of a node's own numbers: an hour of them, sampled once a minute into a ring.
//!
//! Counters and buckets of histograms count from the start of the process, so the difference of two
//! samples is what happened between them.
//!
//! Invariant: it has at most `limits::HISTORY_SAMPLES` samples of at most
//! `limits::HISTORY_SERIES_MAX` numbers, whatever names and labels the registry comes to have.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gitstratum_core::limits::{HISTORY_INTERVAL, HISTORY_SAMPLES, HISTORY_SERIES_MAX};
use gitstratum_core::metrics::{Registry, Sample, Samples};
use tokio::time::Instant;

/// A number of which the last hour is known: its name, and its labels.
type Series = (String, Vec<(String, String)>);

/// Histograms of which quantiles are told.
const HISTOGRAMS: [&str; 2] =
    ["gitstratum_git_request_seconds", "gitstratum_server_request_seconds"];
/// What is asked at the nodes' port for clients, as its histogram's label has it.
const WRITES: [&str; 3] = ["Put", "PutBatch", "PutLarge"];
const READS: [&str; 3] = ["Get", "GetBatch", "GetLarge"];

/// Names of the two that are looked for first.
pub(crate) const PUSHES: &str = "Push requests";
pub(crate) const FETCHES: &str = "Fetch requests";

/// What clients ask for: its name for people, and which requests of which histogram it is.
const ASKED: [(&str, &str, &[&str]); 5] = [
    (PUSHES, HISTOGRAMS[0], &["push"]),
    (FETCHES, HISTOGRAMS[0], &["fetch"]),
    ("Ref listings", HISTOGRAMS[0], &["refs"]),
    ("Object writes", HISTOGRAMS[1], &WRITES),
    ("Object reads", HISTOGRAMS[1], &READS),
];

/// Counters of what went wrong: what they count, in words, and the alert that they belong to. What a
/// label adds is told apart.
const ERRORS: [(&str, &str, &str); 14] = [
    ("gitstratum_git_requests_failed_total", "Git requests failed", "GitStratumGitFails"),
    (
        "gitstratum_git_requests_overloaded_total",
        "Git requests refused: too many in flight",
        "GitStratumOverloaded",
    ),
    ("gitstratum_git_requests_rejected_total", "Git requests rejected: the client's mistake", ""),
    ("gitstratum_git_tokens_wrong_total", "Wrong access tokens", "GitStratumWrongTokens"),
    (
        "gitstratum_git_tokens_limited_total",
        "Slowed down after wrong tokens",
        "GitStratumWrongTokens",
    ),
    ("gitstratum_server_requests_failed_total", "Requests at the nodes' port failed", ""),
    (
        "gitstratum_server_requests_refused_total",
        "Requests at the nodes' port refused: too many in flight",
        "GitStratumOverloaded",
    ),
    ("gitstratum_server_requests_denied_total", "Requests at the nodes' port not let in", ""),
    ("gitstratum_server_bounds_reached_total", "A bound of the nodes' port was reached", ""),
    ("gitstratum_server_handshakes_total", "TLS handshakes with nodes and commands failed", ""),
    (
        "gitstratum_pool_dials_failed_total",
        "Connections to a peer failed",
        "GitStratumPeerUnreachable",
    ),
    (
        "gitstratum_pool_retries_refused_total",
        "Second attempts not allowed",
        "GitStratumPeerUnreachable",
    ),
    (
        "gitstratum_reconcile_rounds_failed_total",
        "Comparisons with a peer failed",
        "GitStratumRepairFails",
    ),
    ("gitstratum_reconcile_objects_failed_total", "Objects not repaired", "GitStratumRepairFails"),
];

/// Values of labels that are no errors.
const FINE: [&str; 2] = ["done", "connection_idle"];

/// What happened in the last hour, or since the node started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hour {
    /// How long that is.
    pub(crate) covers: Duration,
    /// What was asked, kind by kind.
    pub(crate) asked: Vec<Asked>,
    /// What went wrong, the most frequent first; nothing that did not happen.
    pub(crate) errors: Vec<ErrorClass>,
}

/// Requests of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// Which.
    pub(crate) what: &'static str,
    /// All of them.
    pub(crate) count: u64,
    /// Of those, the ones that failed.
    pub(crate) failed: u64,
    /// In seconds, about: half of those that did not fail took no longer.
    pub(crate) median: Option<f64>,
    /// And 99 of 100.
    pub(crate) p99: Option<f64>,
    /// How many in each minute, the last one last.
    pub(crate) minutes: Vec<u64>,
}

/// Errors of one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ErrorClass {
    /// Which.
    pub(crate) class: &'static str,
    /// What its labels add; empty where it has none.
    pub(crate) detail: String,
    /// The alert that tells of it; empty where there is none.
    pub(crate) alert: &'static str,
    /// How often.
    pub(crate) count: u64,
    /// How long ago the last one was at most.
    pub(crate) last_ago: Duration,
    /// How many in each minute, the last one last.
    pub(crate) minutes: Vec<u64>,
}

/// Values at one moment, by the place of their series.
struct Tick {
    at: Instant,
    values: Vec<f64>,
}

#[derive(Default)]
struct Ring {
    places: BTreeMap<Series, usize>,
    ticks: VecDeque<Tick>,
}

impl Ring {
    /// Gives a sample's numbers their places.
    fn placed(&mut self, at: Instant, samples: Samples) -> Tick {
        let mut values = vec![0.0; self.places.len()];
        for Sample { name, labels, value } in samples.0 {
            if !is_kept(&name, &labels) {
                continue;
            }
            let series = (name, labels);
            match self.places.get(&series) {
                Some(&place) => values[place] = value,
                None if self.places.len() < HISTORY_SERIES_MAX => {
                    self.places.insert(series, values.len());
                    values.push(value);
                }
                None => {}
            }
        }
        Tick { at, values }
    }

    fn push(&mut self, tick: Tick) {
        if self.ticks.len() == HISTORY_SAMPLES {
            self.ticks.pop_front();
        }
        self.ticks.push_back(tick);
    }
}

/// Whether a number's last hour is told.
fn is_kept(name: &str, labels: &[(String, String)]) -> bool {
    if ERRORS.iter().any(|(counter, ..)| *counter == name) {
        return !labels.iter().any(|(_, value)| FINE.contains(&value.as_str()));
    }
    let histogram = name.strip_suffix("_bucket").or_else(|| name.strip_suffix("_count"));
    let request = labels.iter().find(|(label, _)| label == "request");
    ASKED.iter().any(|(_, of, requests)| {
        histogram == Some(of) && request.is_some_and(|(_, it)| requests.contains(&it.as_str()))
    })
}

/// The last hour of a node's numbers.
pub(crate) struct History {
    registry: Arc<Registry>,
    ring: Mutex<Ring>,
}

impl History {
    /// Begins with what the registry has now.
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        let history = History { registry, ring: Mutex::default() };
        history.sample();
        history
    }

    /// Samples until it is dropped.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            tokio::time::sleep(HISTORY_INTERVAL).await;
            self.sample();
        }
    }

    fn sample(&self) {
        let samples = Samples::of(&self.registry);
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let tick = ring.placed(Instant::now(), samples);
        ring.push(tick);
    }

    /// What happened between the oldest sample and now.
    pub(crate) fn last_hour(&self) -> Hour {
        let samples = Samples::of(&self.registry);
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let now = ring.placed(Instant::now(), samples);
        Window { ring: &ring, now: &now }.hour()
    }
}

/// A ring's samples, and one of now.
struct Window<'r> {
    ring: &'r Ring,
    now: &'r Tick,
}

impl Window<'_> {
    fn hour(&self) -> Hour {
        let since = self.ring.ticks.front().map_or(self.now.at, |tick| tick.at);
        let mut errors: Vec<ErrorClass> = ERRORS.iter().flat_map(|of| self.errors(of)).collect();
        errors.sort_by_key(|class| std::cmp::Reverse(class.count));
        Hour {
            covers: self.now.at.duration_since(since),
            asked: ASKED.iter().map(|of| self.asked(of)).collect(),
            errors,
        }
    }

    /// How much series grew between each two samples, the last one being that of now.
    fn minutes(&self, places: &[usize]) -> Vec<u64> {
        // What was not there yet was 0.
        let sum = |tick: &Tick| places.iter().filter_map(|&at| tick.values.get(at)).sum::<f64>();
        let sums = self.ring.ticks.iter().chain([self.now]).map(sum);
        let sums: Vec<f64> = sums.collect();
        sums.windows(2).map(|pair| (pair[1] - pair[0]).max(0.0) as u64).collect()
    }

    /// How much one grew since the oldest sample.
    fn growth(&self, place: usize) -> f64 {
        let of = |tick: &Tick| tick.values.get(place).copied().unwrap_or(0.0);
        of(self.now) - self.ring.ticks.front().map_or(0.0, of)
    }

    /// How long ago the last minute began in which something happened.
    fn last_ago(&self, minutes: &[u64]) -> Duration {
        let last = minutes.iter().rposition(|count| *count > 0);
        let began = last.and_then(|at| self.ring.ticks.get(at)).map_or(self.now.at, |tick| tick.at);
        self.now.at.duration_since(began)
    }

    fn asked(&self, (what, histogram, requests): &(&'static str, &str, &[&str])) -> Asked {
        let (mut all, mut failed, mut by_bound) = (Vec::new(), Vec::new(), BTreeMap::new());
        for ((name, labels), &place) in &self.ring.places {
            let of = |wanted: &str| {
                let found = labels.iter().find(|(label, _)| label == wanted);
                found.map_or("", |(_, value)| value.as_str())
            };
            if !name.starts_with(histogram) || !requests.contains(&of("request")) {
                continue;
            }
            let has_failed = of("result") == "failed";
            if name.ends_with("_count") {
                all.push(place);
                if has_failed {
                    failed.push(place);
                }
            } else if !has_failed && let Ok(bound) = of("le").parse::<f64>() {
                // Not negative, so their bits are in the order of the numbers.
                *by_bound.entry(bound.to_bits()).or_insert(0.0) += self.growth(place);
            }
        }
        let buckets: Vec<(f64, f64)> =
            by_bound.into_iter().map(|(bound, count)| (f64::from_bits(bound), count)).collect();
        let minutes = self.minutes(&all);
        Asked {
            what,
            count: minutes.iter().sum(),
            failed: self.minutes(&failed).iter().sum(),
            median: quantile(&buckets, 0.5),
            p99: quantile(&buckets, 0.99),
            minutes,
        }
    }

    fn errors(&self, of: &(&str, &'static str, &'static str)) -> Vec<ErrorClass> {
        let (name, class, alert) = *of;
        let series = self.ring.places.iter().filter(|((counter, _), _)| counter == name);
        let classes = series.filter_map(|((_, labels), &place)| {
            let minutes = self.minutes(&[place]);
            let count = minutes.iter().sum();
            let values = labels.iter().map(|(_, value)| value.replace('_', " "));
            let values: Vec<_> = values.filter(|value| !value.is_empty()).collect();
            let (detail, last_ago) = (values.join(": "), self.last_ago(&minutes));
            (count > 0).then_some(ErrorClass { class, detail, alert, count, last_ago, minutes })
        });
        classes.collect()
    }
}

/// An estimate out of cumulative counts below bounds, as `histogram_quantile` of Prometheus has it: as
/// if values were spread evenly in their bucket. What is above all bounds counts as the highest of them.
fn quantile(buckets: &[(f64, f64)], share: f64) -> Option<f64> {
    let total = buckets.last().map(|(_, count)| *count).filter(|total| *total > 0.0)?;
    let rank = share * total;
    let at = buckets.iter().position(|(_, count)| *count >= rank)?;
    let (bound, count) = buckets[at];
    let (below, count_below) = if at == 0 { (0.0, 0.0) } else { buckets[at - 1] };
    if bound.is_infinite() {
        return Some(below);
    }
    Some(below + (bound - below) * (rank - count_below) / (count - count_below).max(1.0))
}

#[cfg(test)]
mod tests;
