//! Background maintenance: compaction, scrub, snapshots, and when they run.

pub(crate) mod compact;
pub(crate) mod maintain;
pub(crate) mod pace;
pub(crate) mod scrub;
pub(crate) mod snapshot;
