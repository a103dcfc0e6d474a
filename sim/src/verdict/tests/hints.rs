//! What clients and nodes say of writes that were missed must agree.

use super::*;

#[test]
fn missed_writes_that_no_node_knows_of_are_not_truthful() {
    let with = |recorded, again| {
        let mut trace = Trace::begin();
        let sample = WriterSample {
            drained: true,
            attempted: 1,
            succeeded: 1,
            replica_failures: 1 + again,
            missed_recorded: 1,
            missed_already_recorded: again,
            ..Default::default()
        };
        trace.put("a", acked(&["n1", "n2"])).wait(3).sample(sample);
        let hints = HintSample { recorded, delivered: recorded, ..Default::default() };
        trace.add("n1", Event::Hints(hints));
        trace.inspect("a", ALL, found()).end();
        trace.rules()
    };
    assert_eq!(with(1, 0), Vec::<&str>::new());
    assert_eq!(with(1, 1), Vec::<&str>::new(), "reported twice, it is one record");
    assert_eq!(with(0, 1), ["I4 truthful"]);
}

#[test]
fn hints_of_which_nobody_knows_what_became_are_not_truthful() {
    let with = |hints: HintSample| {
        let mut trace = Trace::begin();
        trace.add("n1", Event::Hints(hints)).end();
        trace.rules()
    };
    let good = HintSample {
        recorded: 6,
        pending: 1,
        delivered: 3,
        deleted: 1,
        replaced: 1,
        ..Default::default()
    };
    assert_eq!(with(good), Vec::<&str>::new());
    assert_eq!(with(HintSample { delivered: 2, ..good }), ["I4 truthful"], "one was dropped");
    let ranged = HintSample { pending: 0, moved_to_ranges: 1, dirty_ranges: 1, ..good };
    assert_eq!(with(ranged), Vec::<&str>::new());
}

#[test]
fn what_was_recorded_before_a_disk_was_replaced_may_be_gone_with_it_and_nothing_later() {
    let with = |before, after, found| {
        let sample = |drained, recorded| WriterSample {
            drained,
            replica_failures: recorded,
            missed_recorded: recorded,
            ..Default::default()
        };
        let mut trace = Trace::begin();
        trace.sample(sample(false, before)).add("n1", Event::DiskReplaced);
        trace.sample(sample(false, before)).wait(3).sample(sample(true, before + after));
        let hints = HintSample { recorded: found, delivered: found, ..Default::default() };
        trace.add("n1", Event::Hints(hints)).end();
        trace.rules()
    };
    assert_eq!(with(3, 0, 0), Vec::<&str>::new());
    assert_eq!(with(3, 2, 2), Vec::<&str>::new());
    assert_eq!(with(3, 2, 1), ["I4 truthful"]);
}
