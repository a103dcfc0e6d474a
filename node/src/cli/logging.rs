//! The log on standard error: its form, its filter, and colours on a terminal alone.

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use super::arguments::{Arguments, LogFormat};

/// Sends the log to standard error in the form and at the level asked for.
pub fn start_logging(arguments: &Arguments) {
    let filter = EnvFilter::new(&arguments.log_level);
    let uncoloured = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal() && !uncoloured)
        // It would be told on standard error, by a macro that panics where that is the trouble.
        .log_internal_errors(false);
    match arguments.log_format {
        LogFormat::Human => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

/// Reads a filter. A misspelt level would pass for the name of a module of which everything is
/// wanted, and nothing else: so a word alone is a level, and what is a module says its level.
pub(super) fn log_filter(text: &str) -> Result<String, String> {
    let wrong = |part: &str| {
        Err(format!(
            "{part:?} is no level (error, warn, info, debug, trace or off) and no MODULE=LEVEL, \
             such as gitstratum_cluster::repair=debug"
        ))
    };
    // Spans and their fields, which have commas too, are left to the parser.
    if !text.contains('[') {
        for part in text.split(',').map(str::trim) {
            let level = part.rsplit_once('=').map_or(part, |(module, level)| match module {
                "" => "",
                _ => level,
            });
            if level.is_empty() || level.parse::<LevelFilter>().is_err() {
                return wrong(part);
            }
        }
    }
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
