//! Simulated machines: what the testbed builds a world of.
//!
//! A machine is two madsim nodes: its kernel (the TCP stack, which has the address) and
//! its process. Killing the process leaves a kernel that closes sockets as an operating
//! system would; cutting the power stops the kernel first, so nothing is said to anyone.
//!
//! Read from the outside in: [`Machine`] runs a process over a kernel; the kernel's task
//! drives a stack (smoltcp); what the stack says goes to the wire of the [`Network`], which
//! brings it to whichever machine has the address when it arrives.

mod clock;
mod device;
mod firewall;
pub(crate) mod kernel;
mod machine;
mod names;
mod network;
mod packet;
mod sockets;
mod stack;
#[cfg(test)]
mod tests;
mod time_of_day;
pub(crate) mod wire;

pub use crate::disk::simulated::DiskProfile;
pub use firewall::{Firewall, Stray};
pub use machine::Machine;
pub use network::{Link, Network, WireStats};
pub(crate) use time_of_day::time_of_day_ahead;
