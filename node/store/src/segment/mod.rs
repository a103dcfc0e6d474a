//! Segments: appending to one, scanning one, and its index in memory or in a file.

pub(crate) mod append;
pub(crate) mod scan;
pub(crate) mod sealed;
pub(crate) mod unsealed;
