//! Reachability: commit ancestry, shallow boundaries, and the objects of a pack.
//!
//! All of it runs over one trait, [`Objects`], and knows nothing of packs or chunks. Nothing is
//! recursive, so that depth costs no stack; objects are kept as numbers and flags, so that a
//! million of them take about 40 MB; whoever drops the future ends the walk.
//!
//! - [`peel`] follows annotated tags.
//! - [`reaches`], [`merge_bases`] and [`is_ready`] ask about ancestry.
//! - [`deepen`] says what becomes of a shallow client's boundary.
//! - [`select`] names the objects of a pack.
//!
//! What these mean is what Git's own server does, `upload-pack.c`, `shallow.c`, `list-objects.c`
//! and `list-objects-filter.c`, and the tests compare them with it. Commits are visited in the
//! order of their generation, and of their time where that is not known. With generations
//! throughout, answers are exact whatever the clocks of those who committed said. Without them a
//! commit whose time is wrong can make a pack larger than it need be, never smaller.

mod ahead;
mod boundary;
mod deepen;
mod graph;
mod id_table;
mod name_hash;
mod objects;
mod pace;
mod paint;
mod reach;
mod select;
mod selection;
mod tips;
mod trees;

#[cfg(test)]
mod tests;

pub use deepen::deepen;
pub use objects::{CommitNode, Objects};
pub use reach::{is_ready, merge_bases, reaches};
pub use select::select;
pub use selection::{Selected, Selection};
pub use tips::peel;
