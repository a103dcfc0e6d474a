//! The `gitstratum` program: parses, sets up logging, calls the library.

use std::process::ExitCode;

use gitstratum::cli;

fn main() -> ExitCode {
    let arguments = match cli::parse() {
        Ok(arguments) => arguments,
        Err(code) => return ExitCode::from(code),
    };
    let levels = cli::start_logging(&arguments);
    ExitCode::from(cli::exit_code(cli::run(arguments, levels)))
}
