//! Groups whose members are all in one process, each with a disk of its own; and parts of a member.

mod agreement;
mod conformance;
mod ledger;
#[cfg(madsim)]
mod restore;
mod rounds;
