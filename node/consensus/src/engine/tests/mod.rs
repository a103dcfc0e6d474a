//! Groups whose members are all in one process, each with a disk of its own.

mod agreement;
mod conformance;
mod ledger;
#[cfg(madsim)]
mod restore;
