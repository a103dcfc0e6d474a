//! Request metadata.
//!
//! What goes with requests and answers as metadata: the layout version with all of them, and
//! with those of repair that they are.
//!
//! It costs a header and saves a question: whoever is behind hears of it from the first
//! that is not, whichever way the request goes.

use gitstratum_core::placement::CurrentLayout;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The version that the sender goes by, in decimal.
const LAYOUT: HeaderName = HeaderName::from_static("gitstratum-layout");

/// That a request is part of repair: nobody waits for it.
const BACKGROUND: HeaderName = HeaderName::from_static("gitstratum-background");

/// Whether a request is part of repair.
pub fn is_background(headers: &HeaderMap) -> bool {
    headers.contains_key(BACKGROUND)
}

/// The version that a message came with. A text that is no number says nothing.
pub fn version_of(headers: &HeaderMap) -> Option<u64> {
    headers.get(LAYOUT)?.to_str().ok()?.parse().ok()
}

/// Marks a request as part of repair.
pub fn mark_background(headers: &mut HeaderMap) {
    headers.insert(BACKGROUND, HeaderValue::from_static("1"));
}

/// States the version in force.
pub fn stamp(headers: &mut HeaderMap, layout: &CurrentLayout) {
    headers.insert(LAYOUT, HeaderValue::from(layout.version()));
}

/// Takes note of the version that a message came with.
pub fn hear(headers: &HeaderMap, layout: &CurrentLayout) {
    if let Some(version) = version_of(headers) {
        layout.heard_of(version);
    }
}
