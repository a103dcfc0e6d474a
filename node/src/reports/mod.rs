//! Reports: what is read out of nodes' statuses, for whoever shows them.
//!
//! Commands print it and the status page has it, so both say the same of a cluster. How it is laid out
//! is left to them.

mod features;
mod lacking;
mod readable;
mod trouble;

pub(crate) use features::features_off;
pub(crate) use lacking::{Lacking, known_to_lack, under_way};
pub(crate) use readable::time;
pub(crate) use trouble::{is_overloaded, troubles};
