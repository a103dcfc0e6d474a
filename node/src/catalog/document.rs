//! Small documents of a data directory, in TOML: each has one format so far, which they do not name.
//!
//! A later one begins with `format = 2`, and is told by that from one that is damaged.

use std::io;

use gitstratum_core::format::NewerFormat;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The format that documents have which name none.
const FORMAT: u32 = 1;

/// Reads a document. Whoever asks says which one it is.
///
/// # Errors
/// `InvalidData` for one that is damaged, or that a newer version wrote.
pub(super) fn parse<T: DeserializeOwned>(contents: &[u8]) -> io::Result<T> {
    #[derive(Deserialize)]
    struct Formatted {
        format: Option<u32>,
    }
    let text = str::from_utf8(contents).map_err(|error| invalid(error.to_string()))?;
    let damaged = |error: toml::de::Error| invalid(error.to_string());
    let Formatted { format } = toml::from_str(text).map_err(damaged)?;
    match format {
        Some(newer) if newer > FORMAT => Err(invalid(NewerFormat::new("it", newer, FORMAT))),
        _ => toml::from_str(text).map_err(damaged),
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::identity::Identity;
    use crate::catalog::joining::Joining;

    fn refused<T: DeserializeOwned>(text: &str) -> String {
        parse::<T>(text.as_bytes()).err().expect("it is refused").to_string()
    }

    #[test]
    fn what_a_newer_version_wrote_is_told_from_damage() {
        let newer = "format = 2\nanything = []\n";
        for said in [refused::<Identity>(newer), refused::<Joining>(newer)] {
            let expected = "it has format 2, and this program reads formats up to 1: start the version of \
                            gitstratum that wrote it";
            assert!(said.starts_with(expected), "{said}");
        }
        let said = refused::<Identity>("directory = \"no\"\n");
        assert!(said.starts_with("TOML parse error at line 1"), "{said}");
    }
}
