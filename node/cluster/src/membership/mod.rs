//! Cluster membership.
//!
//! How a node or client comes by newer layouts, how a node keeps the one in force, and which
//! cluster it belongs to.
//!
//! What a layout says, and which may follow which, is `placement`'s; its file form is
//! `config`'s.

mod apply;
pub mod cluster;
mod follow;
mod keeper;

#[cfg(test)]
mod tests;

pub use apply::apply;
pub use cluster::ClusterError;
pub use follow::{ask_members, ask_members_until, follow};
pub use keeper::{FILE as LAYOUT_FILE, KeepError, LayoutKeeper, kept_layout};
