//! Test doubles of replicas, for the tests and benchmarks of other packages.
//!
//! A [`ScriptedReplica`] keeps objects in memory, and answers, waits and fails as it is told; it
//! notes what it was asked. A [`ScriptedCluster`] is several of them under one layout. A test that
//! needs another answer to one kind of request alone puts a layer around such a replica. No program
//! depends on this package.

mod cluster;
mod parts;
mod replica;

pub use cluster::ScriptedCluster;
pub use replica::{Asked, Behaviour, Request, ScriptedReplica};
