//! The program's subscriber: the log on standard error, what of it is held back, and what takes traces.
//!
//! The log has its form, its filter, and colours on a terminal alone. Traces are taken only once a
//! node's configuration says so.

mod repeats;

use std::any::TypeId;
use std::fmt;
use std::io::{IsTerminal, stderr};

use gitstratum_core::log_lines::HeldBack;
use tokio::task::JoinHandle;
use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt as log, registry, reload};

use super::arguments::{Arguments, LogFormat};
use crate::config::{LogConfig, check_levels};
use crate::traces::Traces;
use repeats::{Repeats, Sampled};

/// What is logged where nobody says anything else. The consensus engine warns of each message that
/// one who is away did not get.
const LEVELS_DEFAULT: &str = "warn,gitstratum=info,audit=info,openraft=error";

/// The levels of the log, which may change while the program runs, and what takes traces.
pub struct Levels {
    /// A flag or the environment said them: what a configuration says does not count.
    given: bool,
    replace: Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>,
    pub(super) traces: Traces,
    repeats: Repeats,
}

impl fmt::Debug for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Levels").field("given", &self.given).finish_non_exhaustive()
    }
}

impl Levels {
    /// From now on what the configuration says, or the default if it says nothing; a flag and the
    /// environment go before its levels.
    ///
    /// # Errors
    /// What is wrong with the filter. The one before stays.
    pub(super) fn follow(&self, config: &LogConfig) -> Result<(), String> {
        self.repeats.switch(config.hold_back_repeats);
        if self.given {
            return Ok(());
        }
        let levels = config.levels.as_deref().unwrap_or(LEVELS_DEFAULT);
        let filter = EnvFilter::try_new(levels);
        filter.map_err(|error| error.to_string()).and_then(&self.replace)
    }
}

/// Says what of the log was held back, in time, and the rest when it is dropped.
pub(super) struct Telling {
    repeats: Repeats,
    task: JoinHandle<()>,
}

impl Levels {
    /// Says what is held back of the log, as long as the program wants.
    pub(super) fn tell_repeats(&self) -> Telling {
        let repeats = self.repeats.clone();
        Telling { task: tokio::spawn(repeats.clone().tell()), repeats }
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.task.abort();
        self.repeats.tell_all();
    }
}

/// Gives out, to whoever asks the subscriber, how many lines were held back.
struct Counted(HeldBack);

impl<S: Subscriber> Layer<S> for Counted {
    // SAFETY: what is given out is `self` or what it has, each under its own type id, and lives as
    // long as `self`.
    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        if id == TypeId::of::<Self>() {
            return Some(std::ptr::from_ref(self).cast());
        }
        (id == TypeId::of::<HeldBack>()).then(|| std::ptr::from_ref(&self.0).cast())
    }
}

/// Sends the log to standard error in the form and at the level asked for.
pub fn start_logging(arguments: &Arguments) -> Levels {
    let levels = arguments.log_level.as_deref();
    let filter = EnvFilter::new(levels.unwrap_or(LEVELS_DEFAULT));
    let uncoloured = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let (filter, handle) = reload::Layer::new(filter);
    let lines = log::layer()
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal() && !uncoloured)
        // It would be told on standard error, by a macro that panics where that is the trouble.
        .log_internal_errors(false);
    let repeats = Repeats::default();
    let repeated = repeats.clone();
    let lines = match arguments.log_format {
        LogFormat::Human => {
            lines.map_event_format(|format| Sampled { format, repeats: repeated }).boxed()
        }
        LogFormat::Json => {
            lines.json().map_event_format(|format| Sampled { format, repeats: repeated }).boxed()
        }
    };
    let traces = Traces::default();
    // It takes part in nothing, and is there to be found.
    let counted = Counted(HeldBack(repeats.held_back().clone())).with_filter(LevelFilter::OFF);
    registry().with(traces.layer()).with(counted).with(lines.with_filter(filter)).init();
    let replace = move |filter| handle.reload(filter).map_err(|error| error.to_string());
    Levels { given: levels.is_some(), replace: Box::new(replace), traces, repeats }
}

/// Reads a filter.
pub(super) fn log_filter(text: &str) -> Result<String, String> {
    check_levels(text)?;
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::log_filter;

    #[test]
    fn a_filter_is_levels_and_modules_with_levels() {
        for text in ["info", "WARN", "off", "warn,gitstratum=info", "h2=trace, error", "[put]=info"]
        {
            assert_eq!(log_filter(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_misspelt_level_is_not_taken_for_a_module() {
        for (text, part) in [
            ("infoo", "infoo"),
            ("", "\"\""),
            ("warn,", "\"\""),
            ("warn,gitstratum", "gitstratum"),
            ("gitstratum=loud", "gitstratum=loud"),
            ("gitstratum=", "gitstratum="),
            ("=info", "=info"),
            ("[put", ""),
        ] {
            let refused = log_filter(text).expect_err(text);
            assert!(refused.contains(part), "{text}: {refused}");
        }
    }
}
