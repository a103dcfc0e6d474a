//! The `gitstratum` program: parses, sets up logging, calls the library.

use std::process::ExitCode;

use clap::Parser;
use gitstratum::cli::{self, Arguments};

fn main() -> ExitCode {
    // clap prints its own errors and leaves with 2, the code of wrong usage.
    let arguments = Arguments::parse();
    cli::start_logging(&arguments);
    match cli::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("gitstratum: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
