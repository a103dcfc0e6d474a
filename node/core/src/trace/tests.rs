//! Tests of request ids, of Trace Context, and of what is done without anything that takes traces.

use std::collections::BTreeSet;

use super::*;

#[test]
fn a_run_gives_no_id_twice_and_two_runs_have_none_in_common() {
    let (one, other) = (RequestIds::of_run(0), RequestIds::of_run(7));
    let clone = one.clone();
    let drawn: Vec<RequestId> =
        (0..1000).flat_map(|_| [one.draw(), clone.draw(), other.draw()]).collect();
    assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), drawn.len());
    for id in &drawn {
        assert_eq!(RequestId::parse(&id.to_string()), Some(*id));
        assert_eq!(id.to_string().len(), 32);
    }
}

#[test]
fn a_share_of_requests_is_about_as_many_and_a_larger_share_has_them_too() {
    let ids = RequestIds::of_run(0x1234_5678_9abc_def0);
    let drawn: Vec<RequestId> = (0..100_000).map(|_| ids.draw()).collect();
    let within = |share| drawn.iter().filter(|id| id.is_within(share)).count();
    assert_eq!((within(0.0), within(1.0)), (0, drawn.len()));
    assert!((900..1_100).contains(&within(0.01)), "{}", within(0.01));
    assert!((49_000..51_000).contains(&within(0.5)), "{}", within(0.5));
    assert!(drawn.iter().all(|id| !id.is_within(0.01) || id.is_within(0.5)));
}

#[test]
fn trace_context_is_read_as_w3c_has_it() {
    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = RequestId::parse(ID).unwrap();
    let sampled = Context { request, span: NonZeroU64::new(0x00f0_67aa_0ba9_02b7) };
    let named = Context { request, span: None };
    for (text, expected) in [
        (format!("00-{ID}-00f067aa0ba902b7-01"), Some(sampled)),
        (format!("00-{ID}-00f067aa0ba902b7-00"), Some(named)),
        // Another flag, which is not ours to know, and a later version with something more.
        (format!("00-{ID}-00f067aa0ba902b7-02"), Some(named)),
        (format!("cc-{ID}-00f067aa0ba902b7-01-what-follows"), Some(sampled)),
        (format!("00-{ID}-00f067aa0ba902b7-01-what-follows"), None),
        (format!("ff-{ID}-00f067aa0ba902b7-01"), None),
        (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), None),
        (format!("00-{ID}-0000000000000000-01"), None),
        (format!("00-{}-00f067aa0ba902b7-01", ID.to_uppercase()), None),
        (format!("00-{ID}-00f067aa0ba902b7"), None),
        (format!("00-{ID}-00f067aa0ba902b7-1"), None),
        ("é".repeat(20), None),
        (String::new(), None),
    ] {
        assert_eq!(Context::from_traceparent(&text), expected, "{text}");
    }
    let text = sampled.to_traceparent().unwrap();
    assert_eq!(Context::from_traceparent(&text), Some(sampled));
    assert_eq!(named.to_traceparent(), None);
}

#[test]
fn without_anything_that_takes_traces_a_request_has_an_id_and_nothing_is_carried() {
    let (ids, came) = (RequestIds::of_run(1), RequestIds::of_run(2).draw());
    let context = Context { request: came, span: NonZeroU64::new(3) };
    for (came, expected) in [(Some(context), came), (None, RequestIds::of_run(1).draw())] {
        let request = Request::new(came, &ids);
        assert_eq!(request.id(), expected);
        let spans = request.begin(Span::none(), || unreachable!("no trace is taken"));
        let _within = spans.enter();
        assert_eq!(current(), None);
    }
    assert!(own(|| unreachable!("no trace is taken")).is_none());
    assert!(!believes_callers());
}
