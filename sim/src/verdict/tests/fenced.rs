//! Nodes that left the layout, and puts that count them all the same.

use super::*;

impl Trace {
    fn take(&mut self, node: &str, version: u64, active: &[&str]) -> &mut Self {
        self.add(node, Event::LayoutTaken { version, active: text(active) })
    }
}

#[test]
fn a_node_that_knows_that_it_left_must_not_store() {
    let with = |counted: &[&str]| {
        let mut trace = Trace::begin();
        trace.put("a", acked(ALL));
        trace.take("n3", 2, &["n1", "n2"]).put("b", acked(counted));
        trace.inspect("a", &["n1", "n2"], found()).inspect("b", &["n1", "n2"], found()).end();
        (trace.rules(), trace.verdict())
    };
    assert_eq!(with(&["n1", "n2"]), (vec![], Verdict::Pass));
    assert_eq!(with(ALL), (vec!["I8 fenced"], Verdict::Fail));
}

#[test]
fn a_put_that_failed_must_not_be_stored_there_either() {
    let mut trace = Trace::begin();
    trace.take("n3", 2, &["n1", "n2"]).put("a", put_failed(&["n3"]));
    trace.end();
    assert!(trace.rules().contains(&"I8 fenced"));
}

#[test]
fn what_began_before_the_node_knew_may_be_counted() {
    let mut trace = Trace::begin();
    trace.take("n1", 2, &["n1", "n2"]);
    trace.put("a", acked(ALL)).take("n3", 2, &["n1", "n2"]);
    trace.inspect("a", &["n1", "n2"], found()).end();
    assert_eq!(trace.rules(), Vec::<&str>::new());
}

#[test]
fn callers_catch_up_though_the_node_that_left_was_told_by_nobody() {
    let with = |seconds| {
        let mut trace = Trace::begin();
        trace.take("n1", 2, &["n1", "n2"]).wait(seconds).put("a", acked(ALL));
        trace.inspect("a", &["n1", "n2"], found()).end();
        (trace.rules(), trace.verdict())
    };
    assert_eq!(with(4), (vec![], Verdict::Pass));
    assert_eq!(with(6), (vec!["I8 fenced"], Verdict::Stuck));
}

#[test]
fn a_node_that_was_taken_back_stores_again() {
    let mut trace = Trace::begin();
    trace.take("n3", 2, &["n1", "n2"]).take("n1", 3, ALL).wait(10).put("a", acked(ALL));
    trace.inspect("a", ALL, found()).end();
    assert_eq!(trace.rules(), Vec::<&str>::new());
}
