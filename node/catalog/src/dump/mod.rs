//! Text form: the state as JSON lines, for backups, for people, and for other programs.
//!
//! A line is a record; `node/docs/catalog.md` says what each means. Answers are left out: they are
//! about clients of this cluster that still wait. A load gives a whole state or an error with its
//! line, so a text that is cut or wrong anywhere changes nothing.

#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Write};

use gitstratum_core::limits::CATALOG_RECORD_BYTES_MAX;
use serde::Deserialize;

use crate::state::{FORMAT, Record, RecordError, State, StateBuilder};

/// Why a text is no dump.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("line {line}: {source}")]
    Read {
        /// Counted from 1.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// A line is longer than any can be.
    #[error("line {line} has more than {CATALOG_RECORD_BYTES_MAX} bytes")]
    Long {
        /// Counted from 1.
        line: u64,
    },
    /// A line is no record.
    #[error("line {line}: {source}")]
    Syntax {
        /// Counted from 1.
        line: u64,
        /// The parser's words.
        source: serde_json::Error,
    },
    /// A record cannot stand there.
    #[error("line {line}: {source}")]
    Record {
        /// Counted from 1.
        line: u64,
        /// Why.
        source: RecordError,
    },
}

/// Writes a state as JSON lines. Equal states give equal texts, whatever their answers.
///
/// # Errors
/// What `to` gave.
pub fn dump(state: &State, mut to: impl Write) -> io::Result<()> {
    for record in state.records() {
        let record = match record {
            Record::Answer { .. } => continue,
            other => other,
        };
        serde_json::to_writer(&mut to, &record)?;
        to.write_all(b"\n")?;
    }
    to.flush()
}

/// Lines of the text that [`dump`] writes, behind so many of its records, and where the next ones
/// begin. They take about so many bytes, or are a single longer one.
pub fn lines(state: &State, skip: u64, bytes: usize) -> (String, Option<u64>) {
    let records = state.records().filter(|record| !matches!(record, Record::Answer { .. }));
    let mut records = records.skip(usize::try_from(skip).unwrap_or(usize::MAX));
    let (mut text, mut next) = (String::new(), skip);
    while text.len() < bytes {
        let Some(record) = records.next() else { return (text, None) };
        text.push_str(&serde_json::to_string(&record).expect("a record has keys that are text"));
        text.push('\n');
        next += 1;
    }
    (text, records.next().map(|_| next))
}

/// Refuses the head of a newer version's text for its format, whatever else it says.
fn check_format(line: u64, text: &[u8]) -> Result<(), LoadError> {
    #[derive(Deserialize)]
    struct Formatted {
        kind: String,
        format: u32,
    }
    match serde_json::from_slice(text) {
        Ok(Formatted { kind, format }) if kind == "head" && format > FORMAT => {
            Err(LoadError::Record { line, source: RecordError::Format(format) })
        }
        _ => Ok(()),
    }
}

/// Reads what [`dump`] wrote, or somebody edited. Empty lines are passed over.
///
/// # Errors
/// [`LoadError`], of the first line that is wrong.
pub fn load(mut from: impl BufRead) -> Result<State, LoadError> {
    let mut builder = StateBuilder::default();
    let mut line = 0;
    let mut text = Vec::new();
    loop {
        line += 1;
        text.clear();
        let mut limited = io::Read::take(&mut from, CATALOG_RECORD_BYTES_MAX as u64 + 1);
        let read = limited.read_until(b'\n', &mut text);
        if read.map_err(|source| LoadError::Read { line, source })? == 0 {
            break;
        }
        if text.len() > CATALOG_RECORD_BYTES_MAX {
            return Err(LoadError::Long { line });
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        check_format(line, &text)?;
        let record =
            serde_json::from_slice(&text).map_err(|source| LoadError::Syntax { line, source })?;
        builder.add(record).map_err(|source| LoadError::Record { line, source })?;
    }
    builder.finish().map_err(|source| LoadError::Record { line, source })
}
