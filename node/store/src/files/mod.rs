//! The data directory: names of files, and the one that says whose data this is.

pub(crate) mod identity;
pub(crate) mod names;
