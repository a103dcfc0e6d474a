//! Host abstraction.
//!
//! What a machine gives a node: network, disk, processors, the time of day, the request
//! to stop, a supervisor, and what it takes of all that; and hyper's view of tasks and timers.
//!
//! This crate is the seam between the two worlds. In a normal build [`Net`] is tokio's
//! TCP and [`Disk`] a directory; under `--cfg madsim` both belong to a simulated machine
//! (`simulated::Machine`). The two halves have the same names and signatures, so nothing
//! above this crate can tell which it runs on, and `cfg(madsim)` appears nowhere else
//! under `node/`. Time, tasks and synchronisation are not here: they come from the
//! aliased `tokio`. Randomness is handed down by whoever starts the node.

mod clock;
mod compute;
mod dedicated;
#[cfg(not(madsim))]
mod descriptors;
pub mod disk;
mod give_way;
pub mod net;
mod process;
pub mod rt;
pub mod signal;
#[cfg(madsim)]
pub mod simulated;
pub mod supervisor;
pub mod tls;

pub use clock::unix_time_ms;
pub use compute::{compute, processors};
pub use dedicated::dedicated;
#[cfg(not(madsim))]
pub use descriptors::raise_descriptor_limit;
pub use disk::Disk;
pub use give_way::give_way;
pub use net::Net;
pub use process::{ProcessUse, process_use};

/// A machine, as a node sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its network.
    pub net: Net,
    /// Its disk.
    pub disk: Disk,
}
