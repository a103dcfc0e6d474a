//! Operations: everything but pushes.

use std::sync::Arc;

use gitstratum_core::object::HashAlgorithm;
use gitstratum_core::placement::Layout;
use minicbor::{Decode, Encode};

use super::{BeginRestore, EndRestore, Push, RestoreRecords, RestoreToken};
use crate::codec::cbor;
use crate::entity::{Access, NodeState, Program, RepositoryLimits};
use crate::ids::{DirectoryId, RepositoryId, TokenHash, TokenId};

/// What a command does.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(flat)]
pub enum Operation {
    /// Makes a repository.
    #[n(0)]
    CreateRepository(#[n(0)] CreateRepository),
    /// Gives a repository another name.
    #[n(1)]
    RenameRepository {
        /// Which.
        #[n(0)]
        repository: RepositoryId,
        /// The name that it is to have.
        #[n(1)]
        name: String,
    },
    /// Changes a repository's settings.
    #[n(2)]
    ConfigureRepository(#[n(0)] ConfigureRepository),
    /// Takes a repository's name away, and keeps all else for a time.
    #[n(3)]
    DeleteRepository {
        /// Which.
        #[n(0)]
        repository: RepositoryId,
        /// How long it can be undone.
        #[n(1)]
        keep_for_ms: u64,
    },
    /// Undoes a deletion.
    #[n(4)]
    UndeleteRepository {
        /// Which.
        #[n(0)]
        repository: RepositoryId,
        /// The name that it is to have; the one that it had where there is none.
        #[n(1)]
        name: Option<String>,
    },
    /// Drops a deleted repository whose time is over, or as much of it as one command may. To be
    /// repeated until the reply says that it is finished.
    #[n(5)]
    PurgeRepository {
        /// Which.
        #[n(0)]
        repository: RepositoryId,
    },
    /// Updates refs of a repository.
    #[n(6)]
    Push(#[n(0)] Push),
    /// Brings a layout into force.
    #[n(7)]
    ApplyLayout(#[n(0)] ApplyLayout),
    /// Makes a data directory a member, or takes note of the new address or program of one that is.
    #[n(8)]
    JoinNode(#[n(0)] JoinNode),
    /// Gives a node another part.
    #[n(9)]
    SetNodeState {
        /// Which.
        #[n(0)]
        node: String,
        /// The part.
        #[n(1)]
        state: NodeState,
    },
    /// Makes an access token.
    #[n(10)]
    CreateToken(#[n(0)] CreateToken),
    /// Ends an access token.
    #[n(11)]
    RevokeToken {
        /// Which.
        #[n(0)]
        token: TokenId,
    },
    /// Takes note of a layout that nodes go by already: from before there was a catalog, or because
    /// they were told one by one. What came into force cannot be refused, so nothing is asked of it
    /// but that it is a layout of this cluster, and newer.
    #[n(12)]
    AdoptLayout(#[cbor(n(0), with = "cbor::layout")] Arc<Layout>),
    /// Begins anew with one node: the first command of a group that one member founds from what it
    /// had, or from a dump.
    #[n(13)]
    Refound(#[n(0)] Refound),
    /// Makes a repository that begins as another one is: its settings, its refs and its packs, of
    /// which no byte is copied.
    #[n(14)]
    ForkRepository {
        /// Of which.
        #[n(0)]
        repository: RepositoryId,
        /// The name of the new one.
        #[n(1)]
        name: String,
    },
    /// Changes nothing: the clock goes on to the command's time, as with every command. For whoever
    /// waits for that in a cluster that nobody asks anything of.
    #[n(15)]
    AdvanceClock,
    /// Makes a repository that a backup has, without a name yet.
    #[n(16)]
    BeginRestore(#[n(0)] BeginRestore),
    /// Gives a repository that is being restored some of its packs and refs.
    #[n(17)]
    RestoreRecords(#[n(0)] RestoreRecords),
    /// Gives restored repositories their names: all of them, or none.
    #[n(18)]
    EndRestore(#[n(0)] EndRestore),
    /// Makes an access token that a backup has.
    #[n(19)]
    RestoreToken(#[n(0)] RestoreToken),
}

/// A node that begins anew, alone.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Refound {
    /// The node's id.
    #[n(0)]
    pub node: String,
    /// Its data directory's own id, which may be another than before.
    #[n(1)]
    pub directory: DirectoryId,
    /// `HOST:PORT`.
    #[n(2)]
    pub address: String,
    /// What becomes of the others: they were removed for good, or were never heard of, so that
    /// copies of their stores may come back under their ids.
    #[n(3)]
    pub forgets_others: bool,
}

/// A repository that is to be made.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CreateRepository {
    /// Its name.
    #[n(0)]
    pub name: String,
    /// The hash of its objects, for good.
    #[cbor(n(1), with = "cbor::algorithm")]
    pub object_format: HashAlgorithm,
    /// Where `HEAD` points at first, such as `refs/heads/main`.
    #[n(2)]
    pub default_branch: String,
    /// What it says of itself.
    #[n(3)]
    pub description: String,
    /// Its own bounds.
    #[n(4)]
    pub limits: RepositoryLimits,
    /// Prefixes of the refs that it hides.
    #[n(5)]
    pub hidden_refs: Vec<String>,
}

/// Settings of a repository that are to change; what is `None` stays.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ConfigureRepository {
    /// Which.
    #[n(0)]
    pub repository: RepositoryId,
    /// Where `HEAD` is to point.
    #[n(1)]
    pub default_branch: Option<String>,
    /// What it is to say of itself.
    #[n(2)]
    pub description: Option<String>,
    /// All of its own bounds.
    #[n(3)]
    pub limits: Option<RepositoryLimits>,
    /// All prefixes of the refs that it hides.
    #[n(4)]
    pub hidden_refs: Option<Vec<String>>,
    /// Whether it is to be readable without an access token.
    #[n(5)]
    pub public: Option<bool>,
}

/// A layout that is to come into force: the next version, or the first that this catalog knows.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct ApplyLayout {
    /// The layout.
    #[cbor(n(0), with = "cbor::layout")]
    pub layout: Arc<Layout>,
    /// That objects may end with fewer than W live replicas is known and accepted: machines were
    /// lost for good.
    #[n(1)]
    pub accept_loss: bool,
}

/// A data directory that is to be a member.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct JoinNode {
    /// The node's id.
    #[n(0)]
    pub node: String,
    /// Its data directory's own id.
    #[n(1)]
    pub directory: DirectoryId,
    /// `HOST:PORT`.
    #[n(2)]
    pub address: String,
    /// The program that it runs. Version 0.1 states none, and skips what others state.
    #[n(3)]
    pub program: Option<Program>,
}

/// An access token that is to be made.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CreateToken {
    /// The hash of its secret.
    #[n(0)]
    pub hash: TokenHash,
    /// What its owner calls it.
    #[n(1)]
    pub description: String,
    /// What it allows.
    #[n(2)]
    pub access: Access,
    /// In which repositories: the one of this name and those beneath it, all where it is empty.
    #[n(3)]
    pub prefix: String,
    /// From when on it allows nothing, in unix milliseconds.
    #[n(4)]
    pub expires_at_ms: Option<u64>,
}
