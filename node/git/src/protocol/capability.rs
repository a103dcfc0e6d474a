//! Capabilities.
//!
//! The words by which the two sides agree on what they may say: `name`, or `name=value`, with
//! spaces between them.

use gitstratum_core::object::HashAlgorithm;

use super::error::{ProtocolError, one_line};

/// What a client says that it can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Capabilities {
    words: Vec<String>,
}

impl Capabilities {
    /// Reads a list.
    pub fn parse(list: &[u8]) -> Self {
        let list = String::from_utf8_lossy(list);
        Capabilities { words: list.split_ascii_whitespace().map(str::to_owned).collect() }
    }

    /// Whether one of this name, without a value, is among them.
    pub fn has(&self, name: &str) -> bool {
        self.words.iter().any(|word| word == name)
    }

    /// The value of one.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// Makes sure that the client speaks of objects of this hash, where it says of which it does:
    /// git does not say so when it fetches, and ids are of the length that they are.
    ///
    /// # Errors
    /// [`ProtocolError::Malformed`].
    pub fn check_object_format(&self, algorithm: HashAlgorithm) -> Result<(), ProtocolError> {
        match self.value("object-format") {
            Some(named) => check_object_format(named, algorithm),
            None => Ok(()),
        }
    }

    /// Notes in the log who asks.
    pub fn log(&self) {
        let (agent, session) = (self.value("agent"), self.value("session-id"));
        tracing::debug!(agent, session, "the client's capabilities");
    }
}

/// Makes sure that a client which says that its hash is `named` speaks of the repository's objects.
///
/// # Errors
/// [`ProtocolError::Malformed`].
pub(super) fn check_object_format(
    named: &str,
    algorithm: HashAlgorithm,
) -> Result<(), ProtocolError> {
    if named == algorithm.as_str() {
        return Ok(());
    }
    let (server, client) = (algorithm.as_str(), one_line(named));
    let reason = format!("mismatched object format: server {server}; client {client}");
    Err(ProtocolError::Malformed(reason))
}
