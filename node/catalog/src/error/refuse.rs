//! Refusals that several commands make.

use gitstratum_core::limits::NAME_BYTES_MAX;

use super::CatalogError;
use crate::names::RefName;

impl CatalogError {
    /// That a ref is in the way.
    pub(crate) fn conflict(existing: &RefName) -> Self {
        let name = existing.as_str();
        let end = name.floor_char_boundary(NAME_BYTES_MAX);
        CatalogError::RefConflict { existing: name[..end].to_owned() }
    }

    /// That there would be more of something than there may be.
    pub(crate) fn over(what: &str, given: u64, max: u64) -> Self {
        CatalogError::Limit { what: what.to_owned(), given, max }
    }
}

/// Refuses what is longer, or more, than it may be.
pub(crate) fn within(what: &str, given: usize, max: usize) -> Result<(), CatalogError> {
    if given > max {
        return Err(CatalogError::over(what, given as u64, max as u64));
    }
    Ok(())
}
