//! Tells the program which commit it was built from, where that is known: from
//! `GITSTRATUM_COMMIT`, or from git. Without either its version is the package's alone.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=GITSTRATUM_COMMIT");
    // The testbed's node says its version too, and its runs are not to differ from commit to commit.
    let is_program = std::env::var_os("CARGO_FEATURE_CLI").is_some();
    let commit = is_program.then(commit).flatten();
    let version = std::env::var("CARGO_PKG_VERSION").expect("cargo sets it");
    let version = commit.map_or_else(|| version.clone(), |commit| format!("{version} ({commit})"));
    println!("cargo::rustc-env=GITSTRATUM_VERSION={version}");
}

fn commit() -> Option<String> {
    if let Ok(commit) = std::env::var("GITSTRATUM_COMMIT") {
        return Some(commit).filter(|commit| !commit.is_empty());
    }
    // It is written at every commit and checkout.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"]);
    // One that is missing would have this run at every build.
    if let Some(log) = log.filter(|log| std::path::Path::new(log).exists()) {
        println!("cargo::rerun-if-changed={log}");
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
