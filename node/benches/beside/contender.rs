//! What is measured: a cluster of three servers, and callers that each have one ref.

use async_trait::async_trait;

use crate::Outcome;
use crate::process::Servers;

/// Servers of each cluster.
pub const SERVERS: usize = 3;

/// Where callers keep their refs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refs {
    /// Each in a repository of its own.
    Apart,
    /// All in one repository.
    Together,
}

/// A cluster of three servers.
#[async_trait]
pub trait Contender: Send + Sync {
    /// Its name in the table.
    fn name(&self) -> &'static str;

    /// Its processes.
    fn servers(&self) -> &Servers;

    /// The place of the server that leads, once one does.
    async fn leader(&self) -> Outcome<usize>;

    /// So many callers, whose refs are made here. `name` is used for no others.
    async fn callers(&self, name: &str, count: usize, refs: Refs) -> Outcome<Vec<Box<dyn Caller>>>;

    /// Ends a server as a crash would.
    fn kill(&mut self, server: usize) -> Outcome<()>;

    /// Starts a server that was killed; it may take its time to come back.
    fn start_again(&mut self, server: usize) -> Outcome<()>;
}

/// A caller with a ref of its own, which knows what the ref is.
#[async_trait]
pub trait Caller: Send {
    /// Asks this server from here on.
    fn turn_to(&mut self, server: usize);

    /// Has its ref be another object, if it still is the one that it was; on the disks of a majority
    /// when this returns.
    async fn update(&mut self) -> Outcome<()>;

    /// Reads its ref linearizably, and fails where that is not what the last update made it.
    async fn read(&mut self) -> Outcome<()>;
}

/// The id of an object that no other caller and no other update has.
pub fn object(caller: u64, update: u64) -> [u8; 20] {
    let mut id = [0x5a; 20];
    id[..8].copy_from_slice(&caller.to_be_bytes());
    id[8..16].copy_from_slice(&update.to_be_bytes());
    id
}
