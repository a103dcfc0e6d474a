//! Names of refs, by the rules of git's `check-ref-format`.
//!
//! Git's rules (`check_refname_format` in `refs.c`): parts between single slashes; no part begins
//! with a dot or ends in `.lock`; no `..`, no `@{`; no space, no control character and none of
//! `~ ^ : ? * [ \`; no dot at the end. Here a name is `HEAD` or begins with `refs/`, as every ref
//! of a repository that is served does, and is UTF-8.

use std::sync::Arc;

use gitstratum_core::limits::REF_NAME_BYTES_MAX;
use minicbor::{Decode, Encode};

use super::checked_name;

/// The full name of a ref, such as `refs/heads/main`; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(Arc<str>);

checked_name!(RefName, RefNameError);

/// Why a ref cannot have a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Encode, Decode)]
#[cbor(flat)]
pub enum RefNameError {
    /// Longer than a name may be.
    #[n(0)]
    #[error("it has {bytes} bytes, over the limit of {REF_NAME_BYTES_MAX}")]
    Long {
        /// How long it is.
        #[n(0)]
        bytes: u64,
    },
    /// Neither `HEAD` nor under `refs/`.
    #[n(1)]
    #[error("it is neither \"HEAD\" nor begins with \"refs/\"")]
    OutsideRefs,
    /// Two slashes in a row, or one at the end.
    #[n(2)]
    #[error("it has an empty part: single slashes stand between parts, and none at the end")]
    EmptyPart,
    /// A part that begins with a dot.
    #[n(3)]
    #[error("a part begins with \".\"")]
    LeadingDot,
    /// It reads like a range of revisions.
    #[n(4)]
    #[error("it has \"..\" in it")]
    DoubleDot,
    /// A character that git keeps for other uses.
    #[n(5)]
    #[error("{character:?} is not allowed in it")]
    Character {
        /// The first such character.
        #[n(0)]
        character: char,
    },
    /// A dot at the very end.
    #[n(6)]
    #[error("it ends with \".\"")]
    TrailingDot,
    /// A part that git takes for a lock.
    #[n(7)]
    #[error("a part ends with \".lock\"")]
    Lock,
    /// It reads like an entry of a reflog.
    #[n(8)]
    #[error("it has \"@{{\" in it")]
    AtBrace,
}

impl RefName {
    /// Reads a full name.
    ///
    /// # Errors
    /// [`RefNameError`], the first that applies.
    pub fn parse(text: &str) -> Result<Self, RefNameError> {
        check(text)?;
        Ok(RefName(text.into()))
    }

    /// The ref that says which branch is the default one, or which commit.
    pub fn head() -> Self {
        RefName(HEAD.into())
    }

    /// Whether this is `HEAD`.
    pub fn is_head(&self) -> bool {
        &*self.0 == HEAD
    }

    /// The names that would have to be directories, outermost first: `refs` and `refs/heads` of
    /// `refs/heads/main`.
    pub fn directories(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(at, _)| &self.0[..at])
    }

    /// Whether it is `prefix` or lies beneath it, by whole parts.
    pub fn is_within(&self, prefix: &str) -> bool {
        let rest = self.0.strip_prefix(prefix.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl std::borrow::Borrow<str> for RefName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

const HEAD: &str = "HEAD";

fn check(text: &str) -> Result<(), RefNameError> {
    if text.len() > REF_NAME_BYTES_MAX {
        return Err(RefNameError::Long { bytes: text.len() as u64 });
    }
    if text == HEAD {
        return Ok(());
    }
    if !text.starts_with("refs/") {
        return Err(RefNameError::OutsideRefs);
    }
    let forbidden = |c: &char| {
        c.is_ascii_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\')
    };
    if let Some(character) = text.chars().find(forbidden) {
        return Err(RefNameError::Character { character });
    }
    if text.contains("..") {
        return Err(RefNameError::DoubleDot);
    }
    if text.contains("@{") {
        return Err(RefNameError::AtBrace);
    }
    for part in text.split('/') {
        if part.is_empty() {
            return Err(RefNameError::EmptyPart);
        }
        if part.starts_with('.') {
            return Err(RefNameError::LeadingDot);
        }
        if part.ends_with(".lock") {
            return Err(RefNameError::Lock);
        }
    }
    if text.ends_with('.') {
        return Err(RefNameError::TrailingDot);
    }
    Ok(())
}
