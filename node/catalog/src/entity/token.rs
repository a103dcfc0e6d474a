//! An access token: the hash of its secret, and what its holder may do.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::names::RepositoryName;

/// An access token, as it is listed: its hash is kept apart.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// What its owner calls it.
    #[n(0)]
    pub description: String,
    /// What it allows.
    #[n(1)]
    pub access: Access,
    /// In which repositories: the one of this name and those beneath it, all where it is empty.
    #[n(2)]
    pub prefix: String,
    /// When it was created, in unix milliseconds.
    #[n(3)]
    pub created_at_ms: u64,
    /// From when on it allows nothing; never, where there is none.
    #[n(4)]
    pub expires_at_ms: Option<u64>,
}

impl Token {
    /// Whether it allows this now, in that repository.
    pub fn allows(&self, access: Access, repository: &RepositoryName, now_ms: u64) -> bool {
        self.access >= access
            && self.expires_at_ms.is_none_or(|expires| now_ms < expires)
            && repository.is_within(&self.prefix)
    }
}

/// What a token allows; each allows what those before it do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Clone and fetch.
    #[n(0)]
    Read,
    /// Push, too.
    #[n(1)]
    Write,
    /// Create, rename, configure and delete, too.
    #[n(2)]
    Admin,
}
