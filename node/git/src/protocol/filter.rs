//! Object filters of partial clones, as their specifications are written.

use super::error::{ProtocolError, one_line};
use crate::service::Filter;

/// What clients are told of [`parse`]'s filters, as a capability.
pub(super) const CAPABILITY: &str = "filter";

/// Reads a specification: `blob:none`, `blob:limit=<n>[kmg]` or `tree:<depth>`.
///
/// # Errors
/// [`ProtocolError::Malformed`] for any other.
pub(super) fn parse(specification: &str) -> Result<Filter, ProtocolError> {
    let shown = one_line(specification);
    let invalid = || ProtocolError::Malformed(format!("invalid filter-spec '{shown}'"));
    match specification.split_once(':') {
        Some(("blob", "none")) => Ok(Filter::BlobNone),
        Some(("blob", limit)) => {
            let limit = limit.strip_prefix("limit=").and_then(bytes).ok_or_else(invalid)?;
            Ok(Filter::BlobLimit(limit))
        }
        Some(("tree", depth)) => Ok(Filter::TreeDepth(depth.parse().map_err(|_| invalid())?)),
        Some(("object" | "sparse" | "combine", _)) => {
            let reason = format!(
                "filter '{shown}' is not supported: blob:none, blob:limit=<n> and tree:<depth> are"
            );
            Err(ProtocolError::Malformed(reason))
        }
        _ => Err(invalid()),
    }
}

/// A number of bytes with git's suffixes.
fn bytes(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 10),
        b'm' | b'M' => (&text[..text.len() - 1], 20),
        b'g' | b'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}
