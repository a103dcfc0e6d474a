//! Arguments that scripts rely on.

use clap::{CommandFactory, Parser};

use super::{Arguments, Command, output::verdict_line, seeds};
use crate::verdict::Verdict;

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn seeds_are_a_half_open_range() {
    assert_eq!(seeds("0..500"), Ok(0..500));
    for wrong in ["5", "5..5", "6..5", "a..b", "1..", "-1..3", "0..=3"] {
        assert!(seeds(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_path_may_be_left_out_of_a_sweep() {
    let arguments = Arguments::try_parse_from(["gitstratum-sim", "sweep", "--seeds", "0..5"]);
    let Command::Sweep { path, .. } = arguments.expect("accepted").command else {
        panic!("a sweep was asked for");
    };
    assert_eq!(path.to_str(), Some("scenarios"));
}

#[test]
fn the_verdict_line_is_the_contract_s() {
    assert_eq!(
        verdict_line(Verdict::Stuck, "x", "7", "ab"),
        "verdict=stuck scenario=x seed=7 digest=ab"
    );
}
