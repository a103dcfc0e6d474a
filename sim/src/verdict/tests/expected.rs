//! Runs in which less was done than their scenario expects.

use super::*;

#[test]
fn too_little_done_is_not_what_was_expected() {
    let mut trace = Trace::begin();
    trace.set(|setting| (setting.put_share_min, setting.puts_acked_min) = (0.9, 2));
    trace.stop("n1").stop("n2").put("b", put_failed(&[]));
    trace.put("a", acked(&["n3", "n2"])).inspect("a", &["n2", "n3"], found()).end();
    assert_eq!(trace.rules(), ["expect.puts_acked_min", "expect.put_share_min"]);
}

#[test]
fn a_run_in_which_nothing_was_deleted_or_compacted_is_not_what_was_expected() {
    let mut trace = Trace::begin();
    trace.set(|setting| (setting.compactions_min, setting.deletions_min) = (Some(3), Some(2)));
    trace.put("a", acked(ALL)).add("n1", Event::Deleted { deletion: 0, objects: 1 });
    trace.add("n1", Event::Compacted { replaced: 2 }).inspect("a", ALL, found()).end();
    assert_eq!(trace.rules(), ["expect.compactions_min", "expect.deletions_min"]);
    trace.add("n2", Event::Deleted { deletion: 1, objects: 1 });
    trace.add("n2", Event::Compacted { replaced: 1 });
    assert_eq!(trace.rules(), Vec::<&str>::new());
}

#[test]
fn a_step_that_found_nothing_to_damage_is_not_what_was_expected() {
    let mut trace = Trace::begin();
    trace.put("a", acked(ALL)).inspect("a", ALL, found()).end();
    assert_eq!(trace.rules(), Vec::<&str>::new());
    trace.add("n1", Event::FaultMissed { wanted: "a sealed segment".into() });
    assert_eq!(trace.rules(), ["step"]);
}
