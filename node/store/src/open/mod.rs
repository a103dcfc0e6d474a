//! Opening and recovery: what is on the disk becomes the state of a store, and what should be
//! there and is not becomes known damage.

pub(crate) mod clean;
pub(crate) mod ledgers;
pub(crate) mod load;
pub(crate) mod missing;
pub(crate) mod recover;
