//! How a node or client comes by newer layouts, and how a node keeps the one in force.
//!
//! What a layout says, and which may follow which, is `placement`'s; its file form is
//! `config`'s.

mod apply;
mod follow;
mod keeper;

#[cfg(test)]
mod tests;

pub use apply::apply;
pub use follow::{ask_members, follow};
pub use keeper::{KeepError, LayoutKeeper};
