//! The read path: finding an object's record, reading it, and listing ids.

pub(crate) mod inventory;
pub(crate) mod lookup;
