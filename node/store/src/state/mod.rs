//! The state of an open store: what reading, writing and upkeep share.

pub(crate) mod intake;
pub(crate) mod large_names;
pub(crate) mod leftovers;
pub(crate) mod manifest;
pub(crate) mod order;
pub(crate) mod quarantine;
pub(crate) mod scrub;
pub(crate) mod shared;
pub(crate) mod view;
