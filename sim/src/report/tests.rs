//! A page stands alone and shows what matters.

use super::page;
use crate::trace::{Call, CatalogSetting, Event, Outcome, Record, Setting, Stop, Wanted};
use crate::verdict::{judge, verdict};

fn trace() -> Vec<Record> {
    let setting = Setting {
        scenario: "a <b>".into(),
        seed: 7,
        nodes: vec!["n1".into()],
        replicas: 1,
        write_quorum: 1,
        read_quorum: 1,
        request_timeout_us: 1,
        recover_within_us: 1,
        put_share_min: 0.0,
        puts_acked_min: 0,
        failed_in_reach_max: None,
        dials_per_10s_max: None,
        connections_max: None,
        compactions_min: None,
        deletions_min: None,
        converge_within_us: None,
        compares: true,
        finds_rot: false,
        catalog: CatalogSetting::default(),
        git: None,
    };
    let wanted = Wanted {
        id: "ab".into(),
        bytes: 1,
        content: None,
        replicas: vec!["n1".into()],
        write_quorum: 1,
        read_quorum: 1,
        earlier: Vec::new(),
    };
    let failed = Outcome::PutFailed { replicas: vec![], error: "refused".into() };
    let events = [
        ("world", Event::Setting(setting)),
        ("n1", Event::Started { address: "a".into() }),
        ("n1", Event::Ready),
        ("c1", Event::OpStarted { op: 1, call: Call::Put, objects: vec![wanted] }),
        ("n1", Event::Stopped { by: Stop::Crash }),
        ("c1", Event::OpFinished { op: 1, outcomes: vec![failed], moved: Vec::new() }),
        ("world", Event::Panicked { message: "x < y".into() }),
    ];
    let record = |(at_us, (actor, event)): (u64, (&str, Event))| Record {
        at_us: at_us * 1_000_000,
        actor: actor.to_owned(),
        event,
    };
    (0..).zip(events).map(record).collect()
}

#[test]
fn a_page_shows_verdict_machines_and_violations_and_loads_nothing() {
    let trace = trace();
    let violations = judge(&trace);
    let page = page(&trace, verdict(&trace, &violations), &violations, "d1d1");
    for needed in ["a &lt;b&gt;, seed 7", ">fail<", "d1d1", "n1 stopped: Crash", "x &lt; y"] {
        assert!(page.contains(needed), "{needed} in {page}");
    }
    assert_eq!(page.matches("<svg").count(), 3);
    for foreign in ["<script", "src=", "<link", "href="] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(!page.contains("NaN") && !page.contains("inf"), "every number is one");
}
