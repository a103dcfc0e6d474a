//! Large objects: each in a file of its own, written and read in parts.

pub(crate) mod object;
