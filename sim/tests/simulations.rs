//! Plain `cargo test` runs the seeded simulations too: the testbed is built in the
//! simulated world, in its own target directory, and run as a child process.
//!
//! A few seeds only; `ci/test` sweeps more.
#![cfg(not(madsim))]

use std::path::Path;
use std::process::Command;

/// Runs `cargo sim …` at the root of the workspace and returns what it printed.
///
/// # Panics
/// When it does not exit with 0, with all that it printed.
fn sim(arguments: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("sim/ is in the workspace");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .arg("sim")
        .args(arguments)
        .current_dir(root)
        // Flags from outside would replace the ones that choose the simulated world.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .expect("cargo runs, as it runs this test");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "`cargo sim {}`: {}\n{stdout}\n{}",
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr),
    );
    stdout
}

#[test]
fn every_scenario_passes() {
    let printed = sim(&["sweep", "scenarios", "--seeds", "0..2"]);
    let last = printed.lines().last().unwrap_or_default();
    assert!(last.starts_with("verdict=pass "), "no pass at the end of:\n{printed}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    sim(&["determinism", "scenarios", "--seeds", "0..1"]);
}

#[test]
fn every_broken_pool_is_caught() {
    sim(&["controls", "scenarios", "--seeds", "0..10"]);
}
