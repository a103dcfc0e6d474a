//! Format version: how a file, a chunk or a record that a newer version of the program wrote is
//! refused.
//!
//! All that is kept begins with the number of its format, and a reader looks at that number before
//! anything else. What it refuses stays as it was. `node/docs/versions.md` has each format with the
//! place of its number, and the rule by which formats change.

use std::fmt;

/// Something has a format that is newer than any that this program reads. It was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} has format {found}, and this program reads formats up to {newest}: start the version of \
     gitstratum that wrote it, or a newer one; nothing was changed"
)]
pub struct NewerFormat {
    /// The file, or what else it is.
    pub what: String,
    /// Its number, as it stands there.
    pub found: String,
    /// The newest that is known.
    pub newest: u32,
}

impl NewerFormat {
    /// That `what` has format `found`, where formats up to `newest` are known.
    pub fn new(what: impl Into<String>, found: impl fmt::Display, newest: u32) -> Self {
        NewerFormat { what: what.into(), found: found.to_string(), newest }
    }
}
