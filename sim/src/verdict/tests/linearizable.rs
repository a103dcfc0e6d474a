//! What clients of the catalog were told: that the history which the search is given is the one of
//! the trace. The search itself is tested beside it.

use std::collections::BTreeMap;

use super::*;
use crate::trace::{CatalogCall, CatalogOutcome, Expected, RefUpdate, RefVerdict};

impl Trace {
    fn ask(&mut self, client: &str, op: u64, call: CatalogCall) -> &mut Self {
        self.add(client, Event::CatalogAsked { op, repository: "p".into(), call })
    }

    fn told(&mut self, client: &str, op: u64, outcome: CatalogOutcome) -> &mut Self {
        self.add(client, Event::CatalogAnswered { op, outcome })
    }

    fn created(&mut self) -> &mut Self {
        self.ask("r1", 1, CatalogCall::Create).told("r1", 1, CatalogOutcome::Created)
    }

    fn rule(&mut self) -> Vec<&'static str> {
        self.end().rules()
    }
}

fn update(expected: Expected, new: u64) -> CatalogCall {
    let updates = vec![RefUpdate { name: "b".into(), expected, new: Some(new) }];
    CatalogCall::Update { atomic: false, updates }
}

fn updated(verdict: RefVerdict) -> CatalogOutcome {
    CatalogOutcome::Updated { verdicts: vec![verdict] }
}

fn refs(value: Option<u64>) -> CatalogOutcome {
    let refs: BTreeMap<_, _> = value.into_iter().map(|value| ("b".to_owned(), value)).collect();
    CatalogOutcome::Refs { refs }
}

fn unknown() -> CatalogOutcome {
    CatalogOutcome::Unknown { error: "lost".into() }
}

const WRONG: [&str; 1] = ["I10 linearizable"];

#[test]
fn what_was_told_in_order_passes() {
    let mut trace = Trace::begin();
    trace.created().ask("r2", 2, CatalogCall::Create).told("r2", 2, CatalogOutcome::Existed);
    trace.ask("r1", 3, update(Expected::Absent, 7)).told("r1", 3, updated(RefVerdict::Applied));
    trace.ask("r2", 4, update(Expected::Absent, 8)).told("r2", 4, updated(RefVerdict::Moved));
    trace.ask("r2", 5, CatalogCall::Read).told("r2", 5, refs(Some(7)));
    assert_eq!(trace.rule(), Vec::<&str>::new());
}

#[test]
fn a_read_of_what_was_replaced_before_it_began_is_found() {
    let mut trace = Trace::begin();
    trace.created();
    trace.ask("r1", 3, update(Expected::Absent, 7)).told("r1", 3, updated(RefVerdict::Applied));
    trace.ask("r2", 5, CatalogCall::Read).told("r2", 5, refs(None));
    assert_eq!(trace.rule(), WRONG);
}

#[test]
fn an_update_of_unknown_end_may_show_later_and_one_that_was_not_done_never() {
    for (outcome, wrong) in [
        (unknown(), &[][..]),
        (CatalogOutcome::NotDone { error: "refused".into() }, &WRONG[..]),
        (updated(RefVerdict::Rejected("hidden".into())), &WRONG[..]),
    ] {
        let mut trace = Trace::begin();
        trace.created().ask("r1", 3, update(Expected::Absent, 7)).told("r1", 3, outcome);
        trace.ask("r2", 4, CatalogCall::Read).told("r2", 4, refs(None));
        trace.ask("r2", 5, CatalogCall::Read).told("r2", 5, refs(Some(7)));
        assert_eq!(trace.rule(), wrong);
    }
}

#[test]
fn a_read_that_failed_tells_nothing_and_one_of_no_repository_does() {
    for (outcome, wrong) in [(unknown(), &[][..]), (CatalogOutcome::NoRepository, &WRONG[..])] {
        let mut trace = Trace::begin();
        trace.created().ask("r2", 4, CatalogCall::Read).told("r2", 4, outcome);
        assert_eq!(trace.rule(), wrong);
    }
}
