//! Request metadata.
//!
//! What goes with requests and answers as metadata: the layout version with all of them, with
//! those of repair that they are, and with those that are part of another request which one that
//! is.
//!
//! It costs a header and saves a question: whoever is behind hears of it from the first
//! that is not, whichever way the request goes.

use gitstratum_core::placement::CurrentLayout;
use gitstratum_core::trace::{self, Context, RequestId};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The version that the sender goes by, in decimal.
const LAYOUT: HeaderName = HeaderName::from_static("gitstratum-layout");

/// That a request is part of repair: nobody waits for it.
const BACKGROUND: HeaderName = HeaderName::from_static("gitstratum-background");

/// Which request this one is part of, where no trace is taken of it.
const REQUEST: HeaderName = HeaderName::from_static("gitstratum-request");

/// The same where one is, as W3C's Trace Context has it.
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

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

/// States which request the one that is being made is part of, if it is: in one header, whether or
/// not a trace is taken.
pub fn state_context(headers: &mut HeaderMap) {
    let Some(context) = trace::current() else { return };
    let (name, value) = match context.to_traceparent() {
        Some(parent) => (TRACE_PARENT, parent),
        None => (REQUEST, context.request.to_string()),
    };
    let value = HeaderValue::try_from(value).expect("hexadecimal digits");
    headers.insert(name, value);
}

/// Which request the one that came with this metadata is part of, if it says so.
pub fn context_of(headers: &HeaderMap) -> Option<Context> {
    let text = |name: &HeaderName| headers.get(name)?.to_str().ok();
    match text(&TRACE_PARENT) {
        Some(parent) => Context::from_traceparent(parent),
        None => Some(Context { request: RequestId::parse(text(&REQUEST)?)?, span: None }),
    }
}
