//! Restoring: what a backup has of another catalog becomes part of this one, in steps that each fit a
//! command.
//!
//! A repository is begun, given its packs and refs, and gets its name with the last step.

use minicbor::{Decode, Encode};

use crate::entity::{Pack, Ref, Repository, Token};
use crate::ids::{RepositoryId, TokenHash, TokenId};

/// A repository that is to be restored.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BeginRestore {
    /// What it was, with the name that it is to have. Whether it was deleted is said at the end.
    #[n(0)]
    pub repository: Repository,
    /// The cluster that it was backed up from.
    #[n(1)]
    pub cluster: String,
    /// Its number there.
    #[n(2)]
    pub number: RepositoryId,
    /// The position of that cluster's catalog.
    #[n(3)]
    pub position: u64,
    /// Whether it is to have the same number here: refused where that may have been given before.
    #[n(4)]
    pub keeps_number: bool,
}

/// Packs and refs of a repository that is being restored. Those that it has already stay.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RestoreRecords {
    /// Which, by its number here.
    #[n(0)]
    pub repository: RepositoryId,
    /// Packs, however long ago they were begun.
    #[n(1)]
    pub packs: Vec<Pack>,
    /// Refs with their logs.
    #[n(2)]
    pub refs: Vec<RestoredRef>,
}

/// A ref as a backup has it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RestoredRef {
    /// Its full name.
    #[n(0)]
    pub name: String,
    /// Where it points, and its last updates.
    #[n(1)]
    pub value: Ref,
}

/// Repositories of which everything is there.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct EndRestore {
    /// Which.
    #[n(0)]
    pub repositories: Vec<EndedRestore>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct EndedRestore {
    /// Its number here.
    #[n(0)]
    pub repository: RepositoryId,
    /// It was deleted, and that can be undone for so long; it gets no name then.
    #[n(1)]
    pub deleted_for_ms: Option<u64>,
}

/// An access token of a backup. Nothing, where there is one of the same secret.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RestoreToken {
    /// Its number there, which it keeps unless that may have been given before.
    #[n(0)]
    pub id: TokenId,
    /// The hash of its secret.
    #[n(1)]
    pub hash: TokenHash,
    /// All else.
    #[n(2)]
    pub token: Token,
}
