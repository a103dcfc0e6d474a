//! Arguments that scripts rely on.

use std::path::Path;

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
fn a_sweep_takes_no_path_or_several() {
    let paths = |arguments: &[&str]| {
        let begin = ["gitstratum-sim", "sweep", "--seeds", "0..5"];
        let arguments = Arguments::try_parse_from(begin.iter().chain(arguments));
        let Command::Sweep { many, .. } = arguments.expect("accepted").command else {
            panic!("a sweep was asked for");
        };
        many.paths
    };
    assert_eq!(paths(&[]), [Path::new("scenarios")]);
    assert_eq!(paths(&["a", "b.toml"]), [Path::new("a"), Path::new("b.toml")]);
}

#[test]
fn the_verdict_line_is_the_contract_s() {
    assert_eq!(
        verdict_line(Verdict::Stuck, "x", "7", "ab"),
        "verdict=stuck scenario=x seed=7 digest=ab"
    );
}
