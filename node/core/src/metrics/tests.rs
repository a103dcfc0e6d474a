//! What is registered is read back: names, labels and values.

use std::time::Duration;

use super::*;

fn sample(name: &str, labels: &[(&str, &str)], value: f64) -> Sample {
    let labels = labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
    Sample { name: name.to_owned(), labels: labels.collect(), value }
}

#[test]
fn what_was_registered_is_read_in_its_order() {
    let mut registry = registry();
    let puts: Counter = Counter::default();
    registry.register("puts", "Objects put", puts.clone());
    let readings = vec![
        Reading::gauge("store", "What it holds", |of: &(u64, f64)| of.0).unit(Unit::Bytes),
        Reading::real("age", "Since when", |of: &(u64, f64)| of.1).unit(Unit::Seconds),
    ];
    register(&mut registry, readings, || (7, 0.25));
    puts.inc_by(3);
    let read = Samples::of(&registry);
    let expected = [
        sample("gitstratum_puts_total", &[], 3.0),
        sample("gitstratum_store_bytes", &[], 7.0),
        sample("gitstratum_age_seconds", &[], 0.25),
    ];
    assert_eq!(read.0, expected);
    assert_eq!((read.count("gitstratum_puts_total"), read.count("no such metric")), (3, 0));
}

#[test]
fn durations_are_counted_below_each_bound_by_their_labels() {
    let mut registry = registry();
    let requests = Durations::default();
    requests.register(&mut registry, "request", "How long requests took");
    let flush = durations();
    registry.register_with_unit("flush", "How long flushes took", Unit::Seconds, flush.clone());
    requests.observe("Put", "failed", Duration::from_millis(3));
    requests.observe("Put", "failed", Duration::from_secs(4));
    requests.observe("Get", "succeeded", Duration::from_millis(200));
    flush.observe(0.0005);
    let read = Samples::of(&registry);
    assert_eq!(read.clone().without_buckets().0.len(), 2 * 3, "a count and a sum of each");
    let read = read.0;
    let of = |name: &str, labels: &[(&str, &str)]| {
        let mut named = read.iter().filter(|sample| sample.name == name);
        let same = |sample: &&Sample| {
            let mut pairs = labels.iter();
            sample.labels.len() == labels.len()
                && pairs.all(|(name, value)| {
                    sample.labels.contains(&((*name).to_owned(), (*value).to_owned()))
                })
        };
        named.find(same).map(|sample| sample.value)
    };
    let (put, failed) = (("request", "Put"), ("result", "failed"));
    assert_eq!(of("gitstratum_request_seconds_count", &[put, failed]), Some(2.0));
    assert_eq!(of("gitstratum_request_seconds_sum", &[put, failed]), Some(4.003));
    let below = |bound| of("gitstratum_request_seconds_bucket", &[put, failed, ("le", bound)]);
    assert_eq!((below("0.0025"), below("0.005"), below("5.0")), (Some(0.0), Some(1.0), Some(2.0)));
    assert_eq!(
        of("gitstratum_request_seconds_count", &[("request", "Get"), ("result", "succeeded")]),
        Some(1.0)
    );
    assert_eq!(of("gitstratum_flush_seconds_bucket", &[("le", "0.0005")]), Some(1.0));
}

#[test]
fn timings_are_a_histogram_with_its_count_and_its_sum() {
    let timings = Timings::default();
    for took in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(3)] {
        timings.observe(took);
    }
    timings.observe(Duration::from_secs(601));
    assert_eq!(timings.sum(), Duration::from_millis(601_004));
    let mut registry = registry();
    register_encoded(&mut registry, move |encoder| {
        let peer = vec![("peer", "n2".to_owned())];
        encode_timings(encoder, "request", "How long requests took", &[(peer, &timings)])
    });
    let text = open_metrics(&registry);
    assert!(text.contains("# TYPE gitstratum_request_seconds histogram\n"), "{text}");
    for (series, value) in [
        ("count{peer=\"n2\"}", "4"),
        ("sum{peer=\"n2\"}", "601.004"),
        ("bucket{le=\"0.0001\",peer=\"n2\"}", "1"),
        // A bound belongs to what is below it.
        ("bucket{le=\"0.001\",peer=\"n2\"}", "2"),
        ("bucket{le=\"0.005\",peer=\"n2\"}", "3"),
        ("bucket{le=\"600.0\",peer=\"n2\"}", "3"),
        ("bucket{le=\"+Inf\",peer=\"n2\"}", "4"),
    ] {
        let line = format!("\ngitstratum_request_seconds_{series} {value}\n");
        assert!(text.contains(&line), "{line} in {text}");
    }
}

#[test]
fn labels_tell_readings_of_one_name_apart_whatever_is_in_them() {
    let odd = "a\"} b{c=\"1\\,\nd";
    let mut registry = registry();
    register_encoded(&mut registry, move |encoder| {
        let readings = [Reading::counter("dials", "Dials begun", |dials| *dials)];
        let of = [
            (vec![("peer", "n2".to_owned())], 5),
            (vec![("peer", odd.to_owned()), ("stage", String::new())], 6),
            (vec![], 7),
        ];
        encode(encoder, &readings, &of)
    });
    let read = Samples::of(&registry);
    let expected = [
        sample("gitstratum_dials_total", &[("peer", "n2")], 5.0),
        sample("gitstratum_dials_total", &[("peer", odd), ("stage", "")], 6.0),
        sample("gitstratum_dials_total", &[], 7.0),
    ];
    assert_eq!(read.0, expected);
    assert_eq!(read.count("gitstratum_dials_total"), 7);
}
