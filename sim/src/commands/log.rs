//! What nodes log in a run, at the simulated time.

use std::fmt;

use madsim::time::TimeHandle;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// Seconds since the run began.
struct SimulatedTime;

impl FormatTime for SimulatedTime {
    fn format_time(&self, to: &mut Writer<'_>) -> fmt::Result {
        // Some lines come before the first moment of the run, or after its last.
        let elapsed = TimeHandle::try_current().map(|time| time.elapsed()).unwrap_or_default();
        write!(to, "{:>12.6}", elapsed.as_secs_f64())
    }
}

/// Writes what is logged at these levels to standard error, until the process ends. To be called
/// once.
pub(super) fn start(levels: &str) {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(levels))
        .with_timer(SimulatedTime)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .init();
}

/// Reads levels such as `info` or `warn,gitstratum_cluster=debug`.
pub(super) fn levels(text: &str) -> Result<String, String> {
    let read = EnvFilter::try_new(text);
    read.map(|_| text.to_owned()).map_err(|error| error.to_string())
}
