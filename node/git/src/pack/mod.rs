//! Packs: reading, indexing and writing.
//!
//! A pack on the wire is a header of 12 bytes, entries, and a checksum. What is stored of it is its
//! *body*, the entries alone; every offset in this room is one in the body, where the first entry
//! has offset 0. All of it is synchronous and does no input or output: the caller brings bytes and
//! takes bytes, and asks again. Nothing here trusts a byte of what a client sent, and no input makes
//! it panic or hold more than `limits` say.
//!
//! The way of a push: [`scan::Splitter`] takes the stream apart, [`index::Indexer`] reads the
//! entries, resolves deltas and names every object, [`meta`] is what is kept of that beside the body.
//! The way of a fetch: [`write::PackWriter`] puts a pack together from entries of stored bodies,
//! and [`read`] makes single objects of them.

mod checksum;
mod deflate;
pub mod delta;
pub mod entry;
mod error;
pub mod file_index;
#[cfg(test)]
pub(crate) mod fixture;
pub mod index;
mod inflate;
pub mod meta;
pub mod read;
pub mod scan;
pub mod write;

pub use error::PackError;
