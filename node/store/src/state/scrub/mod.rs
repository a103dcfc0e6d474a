//! The state of scrub: what it was told, how far it is, and what is remembered over restarts.

pub(crate) mod memory;
pub(crate) mod numbers;
pub(crate) mod orders;
