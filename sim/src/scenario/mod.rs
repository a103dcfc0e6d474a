//! Scenario language.
//!
//! A scenario file, read and checked into a plan, and written back.
//!
//! Invariant: a [`Plan`] that was read is runnable as it stands. Every name in it exists, every
//! range is the right way round, every step makes sense where it is; whatever is wrong is
//! refused here with the file's line and the field's name. Written as TOML and read again it is
//! the same plan. What the ranges of a plan become in a run is decided by the run's seed, not
//! here.

mod action;
mod catalog;
mod check;
mod control;
mod files;
mod git;
mod layouts;
mod plan;
mod read;
mod steps;
mod units;
mod variants;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;

pub use action::{Action, Direction, DiskOperations, Speech, StoreFile, Stray};
pub use catalog::{CatalogPlan, FOLLOWER, LEADER};
pub use control::{Control, Weakens};
pub use files::{load_all, load_named};
pub use git::GitPlan;
pub use layouts::{LayoutChange, first_layout};
pub use plan::{
    ClusterPlan, DiskPlan, Expectations, FirewallPlan, NetworkPlan, Plan, PowerLoss, RepairPlan,
    StorePlan, WorkloadPlan,
};
pub use steps::{Step, When};
pub use units::{MillisRange, Time, TimeRange};

/// Why a scenario file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioError {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1, where one can be named.
    pub line: Option<usize>,
    /// The field and what is wrong with it.
    pub problem: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.problem)
    }
}

impl std::error::Error for ScenarioError {}

/// Whether a field can be left out when it is written.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
