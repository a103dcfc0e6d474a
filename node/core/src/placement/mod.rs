//! Placement.
//!
//! Who belongs to the cluster, and which of them hold an object.
//!
//! Invariant: pure functions of the layout; every machine that has the same layout
//! computes the same replicas in the same order. Nothing here does I/O.

mod arcs;
mod change;
mod cluster_id;
mod current;
mod document;
mod layout;
mod places;
mod ring;
mod succession;

#[cfg(test)]
mod tests;

pub use arcs::Arcs;
pub use cluster_id::{ClusterId, OtherCluster};
pub use current::CurrentLayout;
pub use document::{
    ClusterTable, MemberTable, ZONE_DEFAULT, layout_from_toml, layout_of, layout_to_toml, tables_of,
};
pub use layout::{Layout, LayoutError, Member, MemberState, NodeId, check_address};
pub use places::{Placement, ReadSet, Sharing, Versions};
pub use ring::Ring;
pub use succession::{LayoutRefused, check_step, succession};
