//! Simulated machines: what the testbed builds a world of.
//!
//! A machine is two madsim nodes: its kernel (the TCP stack, which has the address) and
//! its process. Killing the process leaves a kernel that closes sockets as an operating
//! system would; cutting the power stops the kernel first, so nothing is said to anyone.

mod machine;
mod network;

pub use crate::disk::simulated::DiskProfile;
pub use machine::Machine;
pub use network::{Link, Network, WireStats};
