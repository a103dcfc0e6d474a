//! Access token secrets: their form, their hash, and how they are known where they should not be.
//!
//! A secret is 256 random bits, so it is found by nobody who guesses, and its plain SHA-256 is kept
//! in its place: there is nothing to slow down, and a lookup by hash tells by its duration nothing
//! that would help to guess, since who guesses does not choose the hash.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::ids::TokenHash;

/// What secrets begin with, so that they are known when they turn up where they should not.
pub const SECRET_PREFIX: &str = "gst_";
/// Random bytes of a secret.
pub const SECRET_BYTES: usize = 32;
/// So many hexadecimal digits behind the prefix are taken for a secret, or a part of one.
const TELLING_DIGITS: usize = 16;

/// A secret, or what a client gives for one. It is never formatted: who must show it takes it out.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new one, of bytes that were drawn for it.
    pub fn of(drawn: [u8; SECRET_BYTES]) -> Self {
        Secret(format!("{SECRET_PREFIX}{}", hex::encode(drawn)))
    }

    /// What a client gave.
    pub fn given(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// What is kept of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.as_bytes()).into())
    }

    /// The secret itself, for the one who is to keep it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

/// Whether a secret, or enough of one, stands anywhere in a text.
pub fn has_secret(text: &str) -> bool {
    text.match_indices(SECRET_PREFIX).any(|(at, prefix)| {
        let rest = text[at + prefix.len()..].bytes();
        rest.take(TELLING_DIGITS).filter(u8::is_ascii_hexdigit).count() == TELLING_DIGITS
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_hash_and_shown_by_nothing() {
        let secret = Secret::of([0xab; SECRET_BYTES]);
        assert_eq!(secret.expose().len(), 68);
        assert_eq!(secret.hash(), Secret::given(secret.expose()).hash());
        assert_ne!(secret.hash(), Secret::given(secret.expose().to_uppercase()).hash());
        assert!(!format!("{secret:?}").contains("ab"), "{secret:?}");
    }

    #[test]
    fn secrets_are_found_in_texts_and_names_are_not_taken_for_them() {
        let secret = Secret::of([7; SECRET_BYTES]);
        for text in [secret.expose().to_owned(), format!("/a/{}/b", secret.expose())] {
            assert!(has_secret(&text), "{text}");
        }
        assert!(has_secret(&secret.expose()[..30]), "enough of one");
        for text in ["", "gst_", "gst_tools/project", "gst_0123456789abcde", "gst-0707070707070707"]
        {
            assert!(!has_secret(text), "{text}");
        }
    }
}
