//! The state of an open store: what reading, writing and upkeep share. Each value has its methods
//! and says what it protects; [`shared::Shared`] only holds them.

pub(crate) mod counters;
pub(crate) mod health;
pub(crate) mod intake;
pub(crate) mod large_names;
pub(crate) mod large_puts;
pub(crate) mod manifest;
pub(crate) mod naming;
pub(crate) mod quarantine;
pub(crate) mod queue;
pub(crate) mod scrub;
pub(crate) mod shared;
pub(crate) mod view;
