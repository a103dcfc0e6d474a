//! Bounds of access control: guesses at secrets, and what the audit log says of a push.

use std::time::Duration;

/// Secrets that no access token has, which one address may send at once.
pub const WRONG_SECRETS_AT_ONCE: u64 = 20;
/// After these, one in so long a time.
pub const WRONG_SECRET_INTERVAL: Duration = Duration::from_secs(3);
/// Addresses of which it is remembered: some hundred bytes each.
pub const WRONG_SECRET_SOURCES_MAX: usize = 4096;
/// A node's knowledge of access tokens counts as recent for so long: by then a token that was revoked
/// opens nothing more at the port of nodes and commands.
pub const TOKENS_KNOWN_FOR_MAX: Duration = Duration::from_secs(2);
/// Updates of one push that the audit log lists; the others are counted.
pub const AUDITED_REFS_LISTED_MAX: usize = 16;

const _: () = assert!(WRONG_SECRET_INTERVAL.as_millis() > 0);
