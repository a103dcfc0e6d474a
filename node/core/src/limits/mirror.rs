//! Bounds of a mirror: what a remote repository may bring, and how long it is waited for.

use std::time::Duration;

use super::{GIT_KEEPALIVE_INTERVAL, REF_NAME_BYTES_MAX};

/// A connection to a remote, TLS included, takes no longer than this.
pub const MIRROR_CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// A remote that says nothing for so long is given up. Git's server has a keepalive every five
/// seconds while it packs.
pub const MIRROR_STALL_TIMEOUT: Duration = Duration::from_secs(120);
/// Redirects that are followed, one after another.
pub const MIRROR_REDIRECTS_MAX: usize = 10;
/// Bytes of the names of a remote's refs.
pub const MIRROR_REF_NAMES_BYTES_MAX: usize = 256 << 20;
/// Objects that a remote is told are there, beside the old values of refs that change. More of them
/// would make a smaller pack now and then, and a longer request always.
pub const MIRROR_HAVES_MAX: usize = 16 << 10;
/// Bytes of an answer that refuses, of which the first are shown.
pub const MIRROR_REFUSAL_BYTES_MAX: usize = 64 << 10;
/// Between a round that failed and the next one; doubled each time, up to the other.
pub const MIRROR_AGAIN_AFTER_MIN: Duration = Duration::from_secs(10);
/// Or the interval of rounds, where that is longer.
pub const MIRROR_AGAIN_AFTER_MAX: Duration = Duration::from_secs(3600);

const _: () = assert!(MIRROR_STALL_TIMEOUT.as_millis() > 4 * GIT_KEEPALIVE_INTERVAL.as_millis());
const _: () = assert!(MIRROR_REF_NAMES_BYTES_MAX > REF_NAME_BYTES_MAX);
