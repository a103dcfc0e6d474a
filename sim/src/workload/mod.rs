//! Workload generator.
//!
//! Operations drawn from seeded streams, and the workers that carry them out.
//!
//! Invariant: every draw comes from a stream named after its purpose, so that a new draw
//! for one purpose shifts no other. The contents of an object follow from the run's seed
//! and the object's key alone. A failed operation is data, never a panic. This room
//! judges nothing: it records what it asked for and what came back.

pub mod bulk;
mod claims;
pub mod git;
mod ledger;
mod objects;
mod quiet;
mod refs;
mod streams;
mod worker;

#[cfg(test)]
mod tests;

pub use claims::Claims;
pub use ledger::{Known, Ledger};
pub use objects::{Blueprint, ContentHash, SIZE_QUANTILES};
pub use quiet::Quiet;
pub use refs::RefWorker;
pub use streams::{draw_duration, stream};
pub use worker::{Worker, read_object, writer_sample};
