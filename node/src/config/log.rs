//! The `[log]` part of a configuration: what a node says of what it does.

use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;

/// What a node logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Levels, also of single modules, as `--log-level` has them; which goes before this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub levels: Option<String>,
    /// Whether warnings and errors that repeat themselves many times a second are counted after the
    /// first few.
    pub hold_back_repeats: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig { levels: None, hold_back_repeats: true }
    }
}

impl LogConfig {
    /// The first field that is wrong, and why.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        match &self.levels {
            Some(levels) => check_levels(levels).map_err(|problem| ("log.levels", problem)),
            None => Ok(()),
        }
    }
}

/// Checks the words of a filter. A misspelt level would pass for the name of a module of which
/// everything is wanted, and nothing else: so a word alone is a level, and what is a module says its
/// level. Spans and their fields, which have commas too, are left to whoever parses the filter.
///
/// # Errors
/// Which word is wrong, and what would be right.
pub fn check_levels(text: &str) -> Result<(), String> {
    if text.contains('[') {
        return Ok(());
    }
    for part in text.split(',').map(str::trim) {
        let level = part.rsplit_once('=').map_or(part, |(module, level)| match module {
            "" => "",
            _ => level,
        });
        if level.is_empty() || level.parse::<LevelFilter>().is_err() {
            return Err(format!(
                "{part:?} is no level (error, warn, info, debug, trace or off) and no \
                 MODULE=LEVEL, such as gitstratum_cluster::repair=debug"
            ));
        }
    }
    Ok(())
}
