//! Lines and digests are what replays are compared by.

use std::sync::{Arc, Mutex};

use super::{Call, Event, Outcome, Record, Recorder, Wanted, digest, first_difference};

fn record(at_us: u64, event: Event) -> Record {
    Record { at_us, actor: "c1".into(), event }
}

#[test]
fn a_line_names_time_actor_and_event() {
    let objects = vec![Wanted {
        id: "ab".into(),
        bytes: 7,
        content: None,
        replicas: vec!["n1".into()],
        write_quorum: 1,
        read_quorum: 1,
        earlier: Vec::new(),
    }];
    let line = record(5, Event::OpStarted { op: 3, call: Call::GetBatch, objects }).line();
    assert_eq!(
        line,
        "{\"at_us\":5,\"actor\":\"c1\",\"event\":\"op_started\",\"op\":3,\
         \"call\":\"get_batch\",\"objects\":[{\"id\":\"ab\",\"bytes\":7,\"content\":null,\
         \"replicas\":[\"n1\"],\"write_quorum\":1,\"read_quorum\":1,\"earlier\":[]}]}"
    );
}

#[test]
fn the_digest_changes_with_time_order_and_contents() {
    let one = record(1, Event::Ready);
    let outcomes = vec![Outcome::Acked { replicas: vec!["n1".into()] }];
    let two = record(1, Event::OpFinished { op: 1, outcomes, moved: Vec::new() });
    let base = digest(&[one.clone(), two.clone()]);
    assert_eq!(base, digest(&[one.clone(), two.clone()]));
    assert_ne!(base, digest(&[two.clone(), one.clone()]));
    assert_ne!(base, digest(&[Record { at_us: 2, ..one.clone() }, two]));
    assert_ne!(base, digest(&[one]));
}

#[test]
fn the_first_difference_is_found_even_at_an_end() {
    let find = |a: &str, b: &str| first_difference(a.lines(), b.lines());
    assert_eq!(find("a\nb", "a\nb"), None);
    assert_eq!(find("a\nb\nc", "a\nx\nc"), Some((2, "b".into(), "x".into())));
    assert_eq!(find("a", "a\nb"), Some((2, "(nothing)".into(), "b".into())));
}

#[tokio::test]
async fn records_outlive_the_recorder() {
    let records = Arc::new(Mutex::new(Vec::new()));
    Recorder::new(records.clone()).record("n1", Event::Ready);
    let records = records.lock().unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].actor, "n1");
}
