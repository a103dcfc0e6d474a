//! `run`: one scenario, one seed.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::{CommandError, find, log, output};
use crate::runner::{Run, run_checked, run_once};
use crate::{report, trace};

/// What `run` was asked for.
pub(super) struct Options {
    /// The scenario file or its name.
    pub(super) scenario: PathBuf,
    /// The seed.
    pub(super) seed: u64,
    /// Where the trace goes.
    pub(super) trace: Option<PathBuf>,
    /// Where the page goes.
    pub(super) report: Option<PathBuf>,
    /// What of the nodes' log is printed.
    pub(super) log: Option<String>,
    /// Whether to leave out the second run.
    pub(super) once: bool,
}

/// Runs, writes what was asked for, prints the verdict.
pub(super) fn run(options: &Options) -> Result<u8, CommandError> {
    let plan = find(&options.scenario)?;
    let seed = options.seed;
    if let Some(levels) = &options.log {
        log::start(levels);
    }
    let run = if options.once { run_once(&plan, seed) } else { run_checked(&plan, seed) };
    if let Some(path) = &options.trace {
        write(path, |file| trace::write_lines(&run.trace, file))?;
    }
    if let Some(path) = &options.report {
        let Run { trace, verdict, violations, digest } = &run;
        let page = report::page(trace, *verdict, violations, digest);
        write(path, |file| file.write_all(page.as_bytes()))?;
    }
    output::print_run(&plan, seed, &run)?;
    Ok(run.verdict.exit_code())
}

fn write(
    path: &Path,
    contents: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<(), CommandError> {
    let written = File::create(path).and_then(|file| {
        let mut file = BufWriter::new(file);
        contents(&mut file)?;
        // What is dropped unwritten would be told to nobody.
        file.flush()
    });
    written.map_err(|source| CommandError::Write { path: path.to_owned(), source })
}
