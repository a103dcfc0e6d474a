//! The write path: group commit, sealing of full segments, and deletion.

pub(crate) mod commit;
pub(crate) mod delete;
pub(crate) mod put;
pub(crate) mod room;
pub(crate) mod seal;
