//! Git clients: a push client and a clone client of the testbed's own.
//!
//! Invariant: nothing here is shared with the server, neither packs nor protocol; only ids are
//! computed by the code of the product. So what the server writes wrongly and would read back all
//! the same still shows. A push sends whole objects alone; a clone understands deltas. Histories
//! are drawn from the run's streams, and what came back is recorded, not judged.

mod delta;
mod histories;
mod http;
mod object;
mod pack;
mod pkt_line;
mod remote;
mod worker;

#[cfg(test)]
mod tests;

pub use histories::Histories;
pub use worker::{GitWorker, Outfit, SideDoor};
