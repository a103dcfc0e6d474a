//! What Git clients ask of nodes, and what they are told. Objects have their ids, in hexadecimal.

use std::collections::BTreeMap;

use serde::Serialize;

use super::RefVerdict;

/// The machine that clones everything when the faults are over; it takes no part in the run.
pub const CLONER: &str = "cloner";

/// For which of its two services a repository's refs are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// `git-upload-pack`.
    Fetch,
    /// `git-receive-pack`, which makes the repository if there is none.
    Push,
}

/// What a Git client asks about a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "asks", rename_all = "snake_case")]
pub enum GitCall {
    /// For all its refs.
    Refs {
        /// What for.
        service: Service,
    },
    /// To take objects and update refs.
    Push {
        /// All refs or none.
        atomic: bool,
        /// Each of another ref.
        updates: Vec<GitUpdate>,
        /// Objects in the pack.
        objects: Vec<String>,
        /// How the request is sent.
        delivery: Delivery,
    },
    /// For objects with all that they reach.
    Fetch {
        /// The objects.
        wants: Vec<String>,
        /// What the client has, with all that it reaches.
        haves: Vec<String>,
        /// So many commits from each object; all if nothing.
        #[serde(skip_serializing_if = "Option::is_none")]
        depth: Option<u32>,
    },
}

/// How the request of a push is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// As it should be.
    Whole,
    /// Without an object that a new one names and the repository does not have.
    Incomplete,
    /// The client goes away before it has sent all.
    CutOff,
    /// The client goes away when it has sent all.
    Unheard,
}

/// The update of one ref.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GitUpdate {
    /// The ref.
    pub name: String,
    /// What it has to be; absent if nothing.
    pub old: Option<String>,
    /// What it is to be; deleted if nothing.
    pub new: Option<String>,
}

/// An object that a client made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GitObject {
    /// Its id.
    pub id: String,
    /// The commits that it follows, if it is a commit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<String>,
    /// All other objects that it names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// What a Git client was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum GitOutcome {
    /// All refs but HEAD, with their values.
    Refs {
        /// By name.
        refs: BTreeMap<String, String>,
    },
    /// The push was carried out.
    Pushed {
        /// What became of each update, in their order.
        verdicts: Vec<RefVerdict>,
    },
    /// A sound pack.
    Fetched {
        /// The ids of its objects, by what they contain.
        objects: Vec<String>,
        /// Commits whose parents were left out.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        shallow: Vec<String>,
    },
    /// The answer is no sound pack, though it came to its end.
    Damaged {
        /// What is wrong.
        error: String,
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
    /// Nobody answered in the time allowed; what was done is not known.
    TimedOut,
}

/// What a store holds of a pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldPack {
    /// Its id, in hexadecimal.
    pub pack: String,
    /// The number of the repository that it was pushed to.
    pub repository: u64,
    /// How many chunks.
    pub chunks: u64,
}
