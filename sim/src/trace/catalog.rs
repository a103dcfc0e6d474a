//! What clients ask of the catalog, and what they are told. Values of refs are numbers here.

use std::collections::BTreeMap;

use serde::Serialize;

/// What is asked about a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "asks", rename_all = "snake_case")]
pub enum CatalogCall {
    /// To make it.
    Create,
    /// To update refs.
    Update {
        /// All of them or none.
        atomic: bool,
        /// Each of another ref.
        updates: Vec<RefUpdate>,
    },
    /// For all its refs.
    Read,
}

/// The update of one ref.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefUpdate {
    /// The ref.
    pub name: String,
    /// What it has to be.
    pub expected: Expected,
    /// What it is to be; deleted if nothing.
    pub new: Option<u64>,
}

/// What a ref has to be before an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// Whatever it is.
    Any,
    /// Nothing.
    Absent,
    /// This.
    Value(u64),
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CatalogOutcome {
    /// The repository was made.
    Created,
    /// It was there already.
    Existed,
    /// The command was carried out.
    Updated {
        /// What became of each update, in their order.
        verdicts: Vec<RefVerdict>,
    },
    /// All refs, with their values.
    Refs {
        /// By name.
        refs: BTreeMap<String, u64>,
    },
    /// There is no such repository.
    NoRepository,
    /// Nothing was done, and never will be.
    NotDone {
        /// In the words of whoever said so.
        error: String,
    },
    /// It is not known what was done, or may be done yet.
    Unknown {
        /// Why.
        error: String,
    },
}

/// What became of the update of one ref.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefVerdict {
    /// The ref is as the update says.
    Applied,
    /// It was not what was expected, or another ref of the same atomic update was not.
    Moved,
    /// It was refused for another reason.
    Rejected(String),
}
