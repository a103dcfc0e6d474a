//! The ring: what an hour is made of, and what it forgets.

use gitstratum_core::metrics::{self, Counter, Durations, Labels, Reading};

use super::*;

/// A node that counts pushes and errors, and its history.
struct Node {
    pushes: Durations,
    failed: Counter,
    history: History,
}

impl Node {
    fn new() -> Self {
        let mut registry = metrics::registry();
        let (pushes, failed) = (Durations::default(), Counter::default());
        pushes.register(&mut registry, "git_request", "How long requests took");
        registry.register("git_requests_failed", "Failed", failed.clone());
        metrics::register_encoded(&mut registry, |encoder| {
            let dials = [Reading::counter("pool_dials_failed", "Failed", |count: &u64| *count)];
            let labels: Labels =
                vec![("peer", "n2".to_owned()), ("stage", "other_node".to_owned())];
            metrics::encode(encoder, &dials, &[(labels, 0)])
        });
        Node { pushes, failed, history: History::new(Arc::new(registry)) }
    }

    fn push(&self, took_ms: u64, result: &'static str) {
        self.pushes.observe("push", result, Duration::from_millis(took_ms));
    }

    /// A minute goes by, as the ring knows it.
    fn minute(&self) {
        self.history.sample();
        let mut ring = self.history.ring.lock().unwrap();
        for tick in &mut ring.ticks {
            tick.at -= HISTORY_INTERVAL;
        }
    }

    fn pushes(&self) -> Asked {
        self.history.last_hour().asked.into_iter().find(|asked| asked.what == PUSHES).unwrap()
    }
}

#[tokio::test]
async fn an_hour_has_what_happened_in_it_minute_by_minute_and_nothing_older() {
    let node = Node::new();
    assert_eq!(node.pushes().count, 0);
    node.push(3, "succeeded");
    node.failed.inc();
    node.minute();
    node.push(4, "succeeded");
    node.push(900, "failed");
    let asked = node.pushes();
    assert_eq!((asked.count, asked.failed, &asked.minutes[..]), (3, 1, &[1, 2][..]));
    let hour = node.history.last_hour();
    let [error] = &hour.errors[..] else { panic!("{:?}", hour.errors) };
    assert_eq!((error.class, error.count), ("Git requests failed", 1));
    assert_eq!(error.last_ago.as_secs(), 60, "it was in the minute that began then");

    // As many minutes later as there are samples, nothing of that is left.
    for _ in 0..HISTORY_SAMPLES {
        node.minute();
    }
    let hour = node.history.last_hour();
    assert_eq!(hour.covers.as_secs(), 60 * HISTORY_SAMPLES as u64);
    assert!(hour.errors.is_empty(), "{:?}", hour.errors);
    let asked = node.pushes();
    assert_eq!((asked.count, asked.minutes.len()), (0, HISTORY_SAMPLES));
    assert_eq!((asked.median, asked.p99), (None, None), "of nothing there is no quantile");
}

#[tokio::test]
async fn quantiles_are_those_of_the_hour_and_of_what_did_not_fail() {
    let node = Node::new();
    // Before the hour.
    (0..1000).for_each(|_| node.push(9_000, "succeeded"));
    for _ in 0..=HISTORY_SAMPLES {
        node.minute();
    }
    (0..98).for_each(|_| node.push(3, "succeeded"));
    (0..2).for_each(|_| node.push(800, "succeeded"));
    (0..50).for_each(|_| node.push(50_000, "failed"));
    let asked = node.pushes();
    let (median, p99) = (asked.median.unwrap(), asked.p99.unwrap());
    assert!((0.0025..0.005).contains(&median), "{median}");
    assert!((0.5..=1.0).contains(&p99), "{p99}");
}

#[test]
fn a_quantile_is_spread_over_its_bucket_and_never_beyond_the_last_bound() {
    let buckets = [(0.1, 0.0), (0.2, 10.0), (f64::INFINITY, 12.0)];
    for (share, expected) in [(0.5, 0.16), (0.8, 0.196), (0.99, 0.2)] {
        let found = quantile(&buckets, share).unwrap();
        assert!((found - expected).abs() < 1e-9, "{share}: {found}");
    }
    assert_eq!(quantile(&[(0.1, 0.0), (f64::INFINITY, 0.0)], 0.5), None);
}

#[tokio::test]
async fn names_beyond_the_bound_are_left_out_and_labels_that_mean_no_harm_too() {
    let mut ring = Ring::default();
    let dial = |peer: usize| Sample {
        name: "gitstratum_pool_dials_failed_total".to_owned(),
        labels: vec![("peer".to_owned(), format!("n{peer}"))],
        value: 1.0,
    };
    let tick =
        ring.placed(Instant::now(), Samples((0..2 * HISTORY_SERIES_MAX).map(dial).collect()));
    assert_eq!((tick.values.len(), ring.places.len()), (HISTORY_SERIES_MAX, HISTORY_SERIES_MAX));

    let handshake = |outcome: &str| vec![("outcome".to_owned(), outcome.to_owned())];
    let name = "gitstratum_server_handshakes_total";
    assert!(!is_kept(name, &handshake("done")) && is_kept(name, &handshake("expired")));
    assert!(!is_kept("gitstratum_store_puts_total", &[]));
}
