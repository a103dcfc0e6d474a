//! What a command prints: results on standard output, everything else on standard error.
//!
//! Invariant: nothing in this program prints in another way, because the print macros panic
//! where the output has no reader or no room; `ci/lint` looks. A result that cannot be written
//! ends the command with exit code 1, without a word when its reader went away, as other tools
//! do. Notes and progress that nobody can read hold nothing up.

use std::fmt;
use std::io::{self, Write as _};

use serde::Serialize;

use super::Failure;

/// Prints a result, all of it, before this returns.
pub(super) fn show(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let shown = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    shown.map_err(unwritten)
}

/// Prints a result for programs.
pub(super) fn show_json(result: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(result).expect("what is shown has keys that are text");
    show(&(text + "\n"))
}

/// A line for whoever watches, on standard error.
pub(super) fn note(line: impl fmt::Display) {
    // One write, so that lines of several threads do not mix.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// What it means that standard output took something not.
pub(super) fn unwritten(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::NoReader,
        _ => Failure::operation("write to standard output")(error),
    }
}
