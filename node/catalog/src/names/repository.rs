//! Names of repositories: paths such as `team/project`.
//!
//! Invariant: a name can stand in a URL, a shell command and a file system's path without quoting,
//! and never means anything else there: hence few characters, no part that begins with a dash, and
//! no `.git` or `.lock` at the end of a part, which clients and tools add and take away.

use std::sync::Arc;

use gitstratum_core::limits::{
    REPOSITORY_NAME_BYTES_MAX, REPOSITORY_NAME_PART_BYTES_MAX, REPOSITORY_NAME_PARTS_MAX,
};
use minicbor::{Decode, Encode};

use super::checked_name;

/// The name of a repository; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(Arc<str>);

checked_name!(RepositoryName, RepositoryNameError);

/// Why a repository cannot have a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Encode, Decode)]
#[cbor(flat)]
pub enum RepositoryNameError {
    /// No name.
    #[n(0)]
    #[error("it is empty")]
    Empty,
    /// Longer than a name may be.
    #[n(1)]
    #[error("it has {bytes} bytes, over the limit of {REPOSITORY_NAME_BYTES_MAX}")]
    Long {
        /// How long it is.
        #[n(0)]
        bytes: u64,
    },
    /// More parts than a name may have.
    #[n(2)]
    #[error("it has {parts} parts, over the limit of {REPOSITORY_NAME_PARTS_MAX}")]
    Deep {
        /// How many it has.
        #[n(0)]
        parts: u64,
    },
    /// Two slashes in a row, or one at an end.
    #[n(3)]
    #[error("it has an empty part: single slashes stand between parts, and none at an end")]
    EmptyPart,
    /// A part is longer than it may be.
    #[n(4)]
    #[error(
        "part {part:?} has {} bytes, over the limit of {REPOSITORY_NAME_PART_BYTES_MAX}",
        part.len()
    )]
    LongPart {
        /// The part.
        #[n(0)]
        part: String,
    },
    /// A part that file systems and URLs take for another place.
    #[n(5)]
    #[error("part {part:?} means another place in a path")]
    Dots {
        /// The part.
        #[n(0)]
        part: String,
    },
    /// A part that clients add to, or that git takes for a lock.
    #[n(6)]
    #[error("part {part:?} ends in {suffix:?}: leave that out, since clients and git add it")]
    Suffix {
        /// The part.
        #[n(0)]
        part: String,
        /// How it ends.
        #[n(1)]
        suffix: String,
    },
    /// A part that programs take for an option.
    #[n(7)]
    #[error("part {part:?} begins with a dash, so that programs would take it for an option")]
    Dash {
        /// The part.
        #[n(0)]
        part: String,
    },
    /// A character that would have to be quoted somewhere.
    #[n(8)]
    #[error(
        "{character:?} is not allowed; letters of ASCII, digits, '-', '_', '.', '+' and '@' are"
    )]
    Character {
        /// The first such character.
        #[n(0)]
        character: char,
    },
}

impl RepositoryName {
    /// Reads a name.
    ///
    /// # Errors
    /// [`RepositoryNameError`], the first that applies.
    pub fn parse(text: &str) -> Result<Self, RepositoryNameError> {
        check(text)?;
        Ok(RepositoryName(text.into()))
    }

    /// The groups that the repository is in, outermost first: `a` and `a/b` of `a/b/c`.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(at, _)| &self.0[..at])
    }

    /// Whether it is `prefix`, or lies beneath it; everything lies beneath the empty one. Whole
    /// parts count: `team` covers `team/project` and not `teamwork`.
    pub fn is_within(&self, prefix: &str) -> bool {
        match self.0.strip_prefix(prefix) {
            Some(rest) => rest.is_empty() || prefix.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }
}

impl std::borrow::Borrow<str> for RepositoryName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Checks a prefix as [`RepositoryName::is_within`] takes it: empty, or a name.
///
/// # Errors
/// [`RepositoryNameError`].
pub fn check_prefix(prefix: &str) -> Result<(), RepositoryNameError> {
    if prefix.is_empty() { Ok(()) } else { check(prefix) }
}

fn check(text: &str) -> Result<(), RepositoryNameError> {
    if text.is_empty() {
        return Err(RepositoryNameError::Empty);
    }
    if text.len() > REPOSITORY_NAME_BYTES_MAX {
        return Err(RepositoryNameError::Long { bytes: text.len() as u64 });
    }
    let parts = text.split('/').count();
    if parts > REPOSITORY_NAME_PARTS_MAX {
        return Err(RepositoryNameError::Deep { parts: parts as u64 });
    }
    text.split('/').try_for_each(check_part)
}

fn check_part(part: &str) -> Result<(), RepositoryNameError> {
    let named = || part.to_owned();
    if part.is_empty() {
        return Err(RepositoryNameError::EmptyPart);
    }
    if part.len() > REPOSITORY_NAME_PART_BYTES_MAX {
        return Err(RepositoryNameError::LongPart { part: named() });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '@');
    if let Some(character) = part.chars().find(|&c| !allowed(c)) {
        return Err(RepositoryNameError::Character { character });
    }
    if part == "." || part == ".." {
        return Err(RepositoryNameError::Dots { part: named() });
    }
    for suffix in [".git", ".lock"] {
        // Some file systems do not tell letters of either case apart.
        if part.to_ascii_lowercase().ends_with(suffix) {
            return Err(RepositoryNameError::Suffix { part: named(), suffix: suffix.to_owned() });
        }
    }
    if part.starts_with('-') {
        return Err(RepositoryNameError::Dash { part: named() });
    }
    Ok(())
}
