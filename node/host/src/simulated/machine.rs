//! One simulated machine: kernel, disk and at most one process.

use std::future::Future;
use std::net::Ipv4Addr;

use super::{DiskProfile, Network};
use crate::{Disk, Host};

/// A machine. Cheap to clone. New machines are powered on and run no process.
#[derive(Clone, Debug)]
pub struct Machine {}

impl Machine {
    /// A machine on this network; `seed` draws whatever its kernel and disk draw.
    pub fn new(
        network: &Network,
        name: &str,
        address: Ipv4Addr,
        disk: DiskProfile,
        seed: u64,
    ) -> Self {
        todo!("{network:?} {name} {address} {disk:?} {seed}")
    }

    /// The machine's name.
    pub fn name(&self) -> &str {
        todo!()
    }

    /// Its present address.
    pub fn address(&self) -> Ipv4Addr {
        todo!()
    }

    /// Switches the machine on if need be and runs `main` as its process.
    ///
    /// # Panics
    /// When a process runs already.
    pub fn start<F, Fut>(&self, main: F)
    where
        F: FnOnce(Host) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let _ = main;
        todo!()
    }

    /// Kills the process; the kernel closes its sockets (FIN, or RST with unread data).
    /// Nothing happens when none runs.
    pub fn crash(&self) {
        todo!()
    }

    /// Cuts the power: process, stack and unsynced writes are gone without a packet.
    pub fn power_off(&self) {
        todo!()
    }

    /// Whether a process runs. A process whose `main` returned does not.
    pub fn is_running(&self) -> bool {
        todo!()
    }

    /// Changes the address of a machine that is powered off.
    ///
    /// # Panics
    /// When it is on, or when another machine has the address.
    pub fn set_address(&self, address: Ipv4Addr) {
        todo!("{address}")
    }

    /// The disk, to look at from outside.
    pub fn disk(&self) -> Disk {
        todo!()
    }
}
