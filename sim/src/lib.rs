//! The testbed: GitStratum nodes on simulated machines.
//!
//! A scenario file says what happens; a seed decides everything it leaves open; the run
//! yields a trace, and the checkers judge the trace. Scenario and seed together replay a
//! run exactly (I9). The pure rooms (`scenario`, `explore`, `shrink`, `workload`, `trace`, `verdict`,
//! `report`, `chunks`) build in both worlds; what needs simulated machines only under
//! `--cfg madsim`, which is how `cargo sim` builds it.

#[cfg(madsim)]
pub mod broken;
pub mod chunks;
#[cfg(madsim)]
pub mod commands;
pub mod explore;
pub mod linearizable;
pub mod report;
#[cfg(madsim)]
pub mod runner;
pub mod scenario;
pub mod shrink;
pub mod trace;
pub mod verdict;
pub mod workload;
#[cfg(madsim)]
pub mod world;
