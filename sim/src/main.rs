//! The testbed's command line: parses, and calls the library.
//!
//! Built outside the simulated world there is nothing to command, and it says so.

use std::process::ExitCode;

#[cfg(madsim)]
fn main() -> ExitCode {
    gitstratum_sim::commands::main()
}

#[cfg(not(madsim))]
fn main() -> ExitCode {
    use std::io::Write as _;

    // Whoever does not read it sees the exit code.
    let _ = writeln!(
        std::io::stderr(),
        "gitstratum-sim: built without the simulated world; use `cargo sim`, which builds it \
         with --cfg madsim"
    );
    ExitCode::from(2)
}
