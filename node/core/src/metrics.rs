//! Metrics: a node's registry, in the types of `prometheus-client`, and what can be read from it.
//!
//! A metric is declared once, with its name, help text and unit, in the room that counts it. What
//! happens on the way of a request is a [`Counter`]: an atomic add. What is found by looking, or
//! must be read together with other numbers to make sense, is a [`Reading`], taken when somebody
//! asks. Everyone who shows numbers reads the registry.
//!
//! Invariant: a registry is a value that a node owns. It lists counters and then readings, both in
//! the order in which they were registered. (`Family` of the library is not used: it has the order
//! of a hash map.)

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeMetric as _, MetricEncoder, NoLabelSet, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;

pub use prometheus_client::encoding::DescriptorEncoder as Encoder;
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::histogram::Histogram;
pub use prometheus_client::registry::{Registry, Unit};

#[cfg(test)]
mod tests;
mod timings;

pub use timings::Timings;

/// What all names begin with.
const PREFIX: &str = "gitstratum";

/// A registry without metrics. It puts `gitstratum_` before each name, and the unit and, for
/// counters, `_total` behind it.
pub fn registry() -> Registry {
    Registry::with_prefix(PREFIX)
}

/// All metrics of a registry as OpenMetrics text, which ends in `# EOF`.
pub fn open_metrics(registry: &Registry) -> String {
    let mut encoded = String::new();
    text::encode(&mut encoded, registry).expect("a string takes everything");
    encoded
}

/// A metric whose value is read from a `T`.
pub struct Reading<T> {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    value: Value<T>,
}

enum Value<T> {
    Counter(fn(&T) -> u64),
    Gauge(fn(&T) -> u64),
    Real(fn(&T) -> f64),
    RealCounter(fn(&T) -> f64),
}

impl<T> Reading<T> {
    /// Something that only grows while the process runs. `help` is a sentence without its dot.
    pub fn counter(name: &'static str, help: &'static str, value: fn(&T) -> u64) -> Self {
        Reading { name, help, unit: None, value: Value::Counter(value) }
    }

    /// Something that grows and shrinks.
    pub fn gauge(name: &'static str, help: &'static str, value: fn(&T) -> u64) -> Self {
        Reading { name, help, unit: None, value: Value::Gauge(value) }
    }

    /// The same, where it is no whole number.
    pub fn real(name: &'static str, help: &'static str, value: fn(&T) -> f64) -> Self {
        Reading { name, help, unit: None, value: Value::Real(value) }
    }

    /// Seconds that only become more while the process runs.
    pub fn seconds(name: &'static str, help: &'static str, value: fn(&T) -> f64) -> Self {
        Reading { name, help, unit: Some(Unit::Seconds), value: Value::RealCounter(value) }
    }

    /// In this unit.
    #[must_use]
    pub fn unit(self, unit: Unit) -> Self {
        Reading { unit: Some(unit), ..self }
    }

    fn encode(&self, of: &T, metric: &mut MetricEncoder<'_>) -> fmt::Result {
        const NO_EXEMPLAR: Option<&Exemplar<NoLabelSet, f64>> = None;
        match self.value {
            Value::Counter(value) => metric.encode_counter(&value(of), NO_EXEMPLAR),
            Value::RealCounter(value) => metric.encode_counter(&value(of), NO_EXEMPLAR),
            Value::Gauge(value) => metric.encode_gauge(&value(of)),
            Value::Real(value) => metric.encode_gauge(&value(of)),
        }
    }
}

/// Names and values of labels.
pub type Labels = Vec<(&'static str, String)>;

/// Encodes each of these readings of every `T`, which its labels tell from the others.
///
/// # Errors
/// Those of the encoder.
pub fn encode<T>(
    encoder: &mut DescriptorEncoder<'_>,
    readings: &[Reading<T>],
    of: &[(Labels, T)],
) -> fmt::Result {
    for reading in readings {
        let kind = match reading.value {
            Value::Counter(_) | Value::RealCounter(_) => MetricType::Counter,
            Value::Gauge(_) | Value::Real(_) => MetricType::Gauge,
        };
        let (help, unit) = (format!("{}.", reading.help), reading.unit.as_ref());
        let mut metric = encoder.encode_descriptor(reading.name, &help, unit, kind)?;
        for (labels, of) in of {
            match labels.is_empty() {
                true => reading.encode(of, &mut metric)?,
                false => reading.encode(of, &mut metric.encode_family(labels)?)?,
            }
        }
    }
    Ok(())
}

/// Upper bounds of durations, in seconds: two to three a decade, from a write that a fast disk syncs to
/// a clone of a large repository.
const DURATIONS: [f64; 18] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 60.0, 600.0,
];

/// A histogram of how long something takes, in seconds.
pub fn durations() -> Histogram {
    Histogram::new(DURATIONS)
}

/// A histogram of how many, or how much: from 1 to 2^20, in steps of four.
pub fn sizes() -> Histogram {
    Histogram::new((0..=10).map(|step| f64::from(1 << (2 * step))))
}

/// Encodes a histogram of durations of each of these, which its labels tell from the others. `help`
/// is a sentence without its dot.
///
/// # Errors
/// Those of the encoder.
pub fn encode_timings(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    of: &[(Labels, &Timings)],
) -> fmt::Result {
    let (help, unit) = (format!("{help}."), Some(&Unit::Seconds));
    let mut metric = encoder.encode_descriptor(name, &help, unit, MetricType::Histogram)?;
    for (labels, timings) in of {
        timings.encode(&mut metric.encode_family(labels)?)?;
    }
    Ok(())
}

/// What was asked, and how it ended.
type RequestLabels = [(&'static str, &'static str); 2];

/// Histograms of how long requests take, told apart by what was asked and how it ended. Cheap to
/// clone; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Durations {
    by_labels: Arc<Mutex<BTreeMap<RequestLabels, Histogram>>>,
}

impl Durations {
    /// Counts a request that took so long.
    pub fn observe(&self, request: &'static str, result: &'static str, took: Duration) {
        let labels = [("request", request), ("result", result)];
        let mut by_labels = self.by_labels.lock().expect("nothing panics while it looks");
        by_labels.entry(labels).or_insert_with(durations).observe(took.as_secs_f64());
    }

    /// Registers them. `help` is a sentence without its dot.
    pub fn register(&self, registry: &mut Registry, name: &'static str, help: &'static str) {
        let by_labels = self.by_labels.clone();
        register_encoded(registry, move |encoder| {
            let (help, kind) = (format!("{help}."), MetricType::Histogram);
            let unit = Some(&Unit::Seconds);
            let mut metric = encoder.encode_descriptor(name, &help, unit, kind)?;
            let by_labels = by_labels.lock().expect("nothing panics while it looks");
            for (labels, histogram) in by_labels.iter() {
                histogram.encode(metric.encode_family(labels)?)?;
            }
            Ok(())
        });
    }
}

/// Registers readings of what `read` returns, which is called once for all of them whenever
/// somebody asks.
pub fn register<T: 'static>(
    registry: &mut Registry,
    readings: Vec<Reading<T>>,
    read: impl Fn() -> T + Send + Sync + 'static,
) {
    register_encoded(registry, move |encoder| {
        encode(encoder, &readings, &[(Labels::new(), read())])
    });
}

/// Registers what `encode` tells the encoder whenever somebody asks.
pub fn register_encoded(
    registry: &mut Registry,
    encode: impl Fn(&mut DescriptorEncoder<'_>) -> fmt::Result + Send + Sync + 'static,
) {
    registry.register_collector(Box::new(Encoded(encode)));
}

struct Encoded<F>(F);

impl<F> fmt::Debug for Encoded<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded").finish_non_exhaustive()
    }
}

impl<F> Collector for Encoded<F>
where
    F: Fn(&mut DescriptorEncoder<'_>) -> fmt::Result + Send + Sync + 'static,
{
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        (self.0)(&mut encoder)
    }
}

/// A metric's value at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// The whole name, with its unit and suffix.
    pub name: String,
    /// What tells it from others of the name, in the order of the registry.
    pub labels: Vec<(String, String)>,
    /// As all of them in this format, a floating-point number: exact below 2^53.
    pub value: f64,
}

/// The values of all metrics of one node at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples(pub Vec<Sample>);

impl Samples {
    /// What a registry has now. The text format is all that the library gives to read, so
    /// nobody can read from a registry anything else than what a scraper would.
    pub fn of(registry: &Registry) -> Self {
        let encoded = open_metrics(registry);
        let lines = encoded.lines().filter(|line| !line.starts_with('#'));
        Samples(lines.map(|line| parse(line).expect("the text format")).collect())
    }

    /// The same without the buckets of histograms, which are for whoever computes quantiles of them:
    /// their counts and sums stay.
    #[must_use]
    pub fn without_buckets(mut self) -> Self {
        self.0.retain(|sample| sample.labels.iter().all(|(label, _)| label != "le"));
        self
    }

    /// What `register` registers has now; for tests and benchmarks, which have no node.
    pub fn registered_by(register: impl FnOnce(&mut Registry)) -> Self {
        let mut registry = registry();
        register(&mut registry);
        Samples::of(&registry)
    }

    /// The value of a metric without labels; 0 of one that the node does not have.
    pub fn get(&self, name: &str) -> f64 {
        let mut named = self.0.iter().filter(|sample| sample.name == name);
        named.find(|sample| sample.labels.is_empty()).map_or(0.0, |sample| sample.value)
    }

    /// The value of a metric that a peer labels, and nothing else; 0 where there is none.
    pub fn of_peer(&self, name: &str, peer: &str) -> f64 {
        let mut named = self.0.iter().filter(|sample| sample.name == name);
        let is_of = |labels: &[_]| matches!(labels, [(label, of)] if label == "peer" && of == peer);
        named.find(|sample| is_of(&sample.labels)).map_or(0.0, |sample| sample.value)
    }

    /// As [`Samples::get`], of a metric that is a whole number.
    pub fn count(&self, name: &str) -> u64 {
        self.get(name) as u64
    }
}

/// `name value` or `name{label="value",…} value`.
fn parse(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, mut rest)) = series.split_once('{') else {
        return Some(Sample { name: series.to_owned(), labels: Vec::new(), value });
    };
    let mut labels = Vec::new();
    while rest != "}" {
        let (label, quoted) = rest.trim_start_matches(',').split_once("=\"")?;
        let (value, behind) = unquote(quoted)?;
        labels.push((label.to_owned(), value));
        rest = behind;
    }
    Some(Sample { name: name.to_owned(), labels, value })
}

/// What stands before the closing quotation mark, and what behind it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let (mut value, mut characters) = (String::new(), text.chars());
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(match characters.next()? {
                'n' => '\n',
                escaped => escaped,
            }),
            character => value.push(character),
        }
    }
}
