//! Why the catalog did not do what a command says.
//!
//! Invariant: a command that is refused changed nothing, apart from the updates of a push that is
//! not atomic, each of which is refused or done by itself. Every refusal has what it takes to act
//! on it; [`CatalogError::advice`] says in which way.

mod advice;
mod lacking;
mod refuse;

use gitstratum_core::object::{HashAlgorithm, ObjectId};
use gitstratum_core::placement::NodeId;
use minicbor::{Decode, Encode};

use crate::codec::cbor;
use crate::entity::{NodeState, RefTarget};
use crate::ids::{PackId, RaftId, RepositoryId, TokenId};
use crate::names::{RefName, RefNameError, RepositoryName, RepositoryNameError};

pub use advice::Advice;
pub use lacking::{Lacking, lacking};
pub(crate) use refuse::within;

/// Why a command, or one update of a push, was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Encode, Decode)]
#[cbor(flat)]
pub enum CatalogError {
    /// The command is for another group of repositories.
    #[n(0)]
    #[error("the command is for group {given}, and this is group {ours}")]
    WrongGroup {
        /// The command's.
        #[n(0)]
        given: u32,
        /// The state's.
        #[n(1)]
        ours: u32,
    },
    /// A client sent an earlier command again, after a later one.
    #[n(1)]
    #[error(
        "command {given} of this client is older than its last one, {last}, and its answer is not \
         kept: a client has one command under way at a time"
    )]
    OldRequest {
        /// The number that was given.
        #[n(0)]
        given: u64,
        /// The last one of the client.
        #[n(1)]
        last: u64,
    },
    /// Something is longer, or more, than it may be.
    #[n(2)]
    #[error("{what}: {given} is over the limit of {max}")]
    Limit {
        /// What it is, such as "refs of the repository".
        #[n(0)]
        what: String,
        /// How much there would be.
        #[n(1)]
        given: u64,
        /// How much there may be.
        #[n(2)]
        max: u64,
    },
    /// A name that no repository can have.
    #[n(3)]
    #[error("{name:?} cannot be the name of a repository: {reason}")]
    RepositoryName {
        /// The name.
        #[n(0)]
        name: String,
        /// Why.
        #[n(1)]
        reason: RepositoryNameError,
    },
    /// Another repository has the name.
    #[n(4)]
    #[error("repository {repository} has the name {name} already")]
    RepositoryExists {
        /// The name.
        #[n(0)]
        name: RepositoryName,
        /// Who has it.
        #[n(1)]
        repository: RepositoryId,
    },
    /// The name is beneath a repository's, or above one's.
    #[n(5)]
    #[error(
        "{name} and {existing}, which is there already, cannot both be repositories: a path is a \
         repository or a group of repositories, and not both"
    )]
    RepositoryConflict {
        /// The name.
        #[n(0)]
        name: RepositoryName,
        /// The one that is there.
        #[n(1)]
        existing: RepositoryName,
    },
    /// There is no such repository, or none any more.
    #[n(6)]
    #[error("there is no repository {repository}")]
    NoRepository {
        /// Which.
        #[n(0)]
        repository: RepositoryId,
    },
    /// The repository was deleted.
    #[n(7)]
    #[error("repository {repository} was deleted; that can be undone until {until_ms}")]
    RepositoryDeleted {
        /// Which.
        #[n(0)]
        repository: RepositoryId,
        /// Until when that can be undone, in unix milliseconds.
        #[n(1)]
        until_ms: u64,
    },
    /// The repository is not deleted.
    #[n(8)]
    #[error("repository {repository} is not deleted")]
    RepositoryNotDeleted {
        /// Which.
        #[n(0)]
        repository: RepositoryId,
    },
    /// A deleted repository's time is not over.
    #[n(9)]
    #[error("repository {repository} is kept until {until_ms}, and it is {now_ms}")]
    PurgeTooEarly {
        /// Which.
        #[n(0)]
        repository: RepositoryId,
        /// From when on it can be purged, in unix milliseconds.
        #[n(1)]
        until_ms: u64,
        /// The catalog's clock.
        #[n(2)]
        now_ms: u64,
    },
    /// A deleted repository's time is over.
    #[n(10)]
    #[error("repository {repository} was kept until {until_ms}: its deletion cannot be undone")]
    UndeleteTooLate {
        /// Which.
        #[n(0)]
        repository: RepositoryId,
        /// Until when it could have been undone, in unix milliseconds.
        #[n(1)]
        until_ms: u64,
    },
    /// A name that no ref can have.
    #[n(11)]
    #[error("{name:?} cannot be the name of a ref: {reason}")]
    RefName {
        /// The name.
        #[n(0)]
        name: String,
        /// Why.
        #[n(1)]
        reason: RefNameError,
    },
    /// One push updates a ref twice.
    #[n(12)]
    #[error("the push updates it more than once")]
    RefTwice,
    /// The ref is not what the update expects.
    #[n(13)]
    #[error("it is {}, and not {expected} as the update expects", actual.as_ref().map_or("absent".to_owned(), RefTarget::to_string))]
    RefMoved {
        /// What the update expects.
        #[n(0)]
        expected: String,
        /// What it is.
        #[n(1)]
        actual: Option<RefTarget>,
    },
    /// The name is beneath a ref's, or above one's.
    #[n(14)]
    #[error("it and {existing}, which is there already, cannot both be refs")]
    RefConflict {
        /// The one that is there, or how a long one begins: a reply with thousands of them has to
        /// stay within its bound.
        #[n(0)]
        existing: String,
    },
    /// The ref is hidden.
    #[n(15)]
    #[error("it is hidden by {prefix:?}")]
    RefHidden {
        /// The prefix that hides it.
        #[n(0)]
        prefix: String,
    },
    /// Another ref than `HEAD` was to be symbolic.
    #[n(16)]
    #[error("only HEAD can be a symbolic ref")]
    SymbolicRef,
    /// `HEAD` was to point to what cannot be a branch.
    #[n(17)]
    #[error("HEAD points to refs under \"refs/\", and not to {target}")]
    SymbolicTarget {
        /// Where it was to point.
        #[n(0)]
        target: RefName,
    },
    /// `HEAD` was to be deleted.
    #[n(18)]
    #[error("HEAD cannot be deleted: point it elsewhere")]
    HeadDeleted,
    /// The object's id is of the other hash.
    #[n(19)]
    #[error("{id} is no id of {}, which the repository's objects have", object_format.as_str())]
    ObjectFormat {
        /// The id.
        #[cbor(n(0), with = "cbor::oid")]
        id: ObjectId,
        /// The repository's.
        #[cbor(n(1), with = "cbor::algorithm")]
        object_format: HashAlgorithm,
    },
    /// The id that stands for no object.
    #[n(20)]
    #[error("an id of zeros is no object: a ref is deleted by saying so")]
    NullId,
    /// Another update of the same atomic push was refused.
    #[n(21)]
    #[error("another update of this atomic push was refused")]
    AtomicAborted,
    /// Objects were dropped since it was proved that the push is complete.
    #[n(22)]
    #[error(
        "repository {repository} is at generation {generation}, and what the push needs was \
         looked for in generation {given}: look again"
    )]
    Generation {
        /// Which repository.
        #[n(0)]
        repository: RepositoryId,
        /// The generation that the push goes by.
        #[n(1)]
        given: u64,
        /// The repository's.
        #[n(2)]
        generation: u64,
    },
    /// A push without updates.
    #[n(23)]
    #[error("the push updates no ref")]
    EmptyPush,
    /// A pack's id is in use for another pack of the repository.
    #[n(24)]
    #[error("pack {pack} is there already, and described otherwise")]
    PackExists {
        /// Which.
        #[n(0)]
        pack: PackId,
    },
    /// The layout is not the next one.
    #[n(25)]
    #[error(
        "layout version {given} does not follow {in_force}, which is in force: read it, make the \
         change there, and apply it as version {}", in_force.saturating_add(1)
    )]
    LayoutVersion {
        /// The version that was given.
        #[n(0)]
        given: u64,
        /// The version in force.
        #[n(1)]
        in_force: u64,
    },
    /// The layout cannot be, or cannot follow the one in force.
    #[n(26)]
    #[error("layout: {problem}")]
    Layout {
        /// What is wrong, after the field's name.
        #[n(0)]
        problem: String,
    },
    /// The layout leaves too few replicas of what earlier ones placed.
    #[n(27)]
    #[error(
        "layout: nobody would read from {} any more, and of objects placed by version {version} \
         only {left} replicas would be left where {write_quorum} acknowledged each: take away at \
         most {at_once} in one version, let repair finish and say that the version is settled, \
         then go on; or let them drain first, settle, and remove them then",
        nodes.join(", ")
    )]
    LayoutLosesReplicas {
        /// The version by which those objects are placed.
        #[n(0)]
        version: u64,
        /// Who would be lost to them, by node ids.
        #[n(1)]
        nodes: Vec<String>,
        /// How many replicas some object would have.
        #[n(2)]
        left: u64,
        /// That version's write quorum.
        #[n(3)]
        write_quorum: u64,
        /// How many may be lost at once, whichever they are.
        #[n(4)]
        at_once: u64,
    },
    /// The layout has a node that was removed for good.
    #[n(28)]
    #[error("layout: node {node} was removed from the cluster: join the machine under another id")]
    LayoutNamesRemoved {
        /// Which.
        #[cbor(n(0), with = "cbor::node_id")]
        node: NodeId,
    },
    /// A node id that no node can have, or an address.
    #[n(29)]
    #[error("node {node:?}: {problem}")]
    NodeWrong {
        /// The id that was given.
        #[n(0)]
        node: String,
        /// What is wrong.
        #[n(1)]
        problem: String,
    },
    /// The node id belongs to another data directory.
    #[n(30)]
    #[error(
        "node id {node} belongs to another data directory: an id is never used for another \
         machine or an emptied disk, so join under another one"
    )]
    NodeIdUsed {
        /// Which.
        #[cbor(n(0), with = "cbor::node_id")]
        node: NodeId,
    },
    /// The data directory belongs to another node id.
    #[n(31)]
    #[error("the data directory is the one of node {node}: a copy of a directory cannot join")]
    DirectoryUsed {
        /// Whose it is.
        #[cbor(n(0), with = "cbor::node_id")]
        node: NodeId,
    },
    /// There is no such node.
    #[n(32)]
    #[error("there is no node {node:?}")]
    NoNode {
        /// The id that was given.
        #[n(0)]
        node: String,
    },
    /// The node was removed, which is final.
    #[n(33)]
    #[error(
        "node {node} was removed from the cluster: an emptied directory joins under another id"
    )]
    NodeRemoved {
        /// Which.
        #[cbor(n(0), with = "cbor::node_id")]
        node: NodeId,
    },
    /// A node cannot come from one part to the other.
    #[n(34)]
    #[error("node {node} is {from} and cannot become {to}")]
    NodeTransition {
        /// Which.
        #[cbor(n(0), with = "cbor::node_id")]
        node: NodeId,
        /// The part that it has.
        #[n(1)]
        from: NodeState,
        /// The part that it was to have.
        #[n(2)]
        to: NodeState,
    },
    /// A node that objects are read from was to be removed.
    #[n(35)]
    #[error("node {node} is in the layout: apply one that has it as \"removed\", or without it")]
    NodeInLayout {
        /// Which.
        #[cbor(n(0), with = "cbor::node_id")]
        node: NodeId,
    },
    /// The only voter was to lose its vote.
    #[n(36)]
    #[error("node {node}, with raft id {raft}, is the only voter: let another one vote first")]
    LastVoter {
        /// Which.
        #[cbor(n(0), with = "cbor::node_id")]
        node: NodeId,
        /// Its id in the consensus engine.
        #[n(1)]
        raft: RaftId,
    },
    /// There is no such token.
    #[n(37)]
    #[error("there is no token {token}")]
    NoToken {
        /// Which.
        #[n(0)]
        token: TokenId,
    },
    /// Another token has the same hash.
    #[n(38)]
    #[error("the secret is that of token {token}: draw another one")]
    TokenExists {
        /// Which.
        #[n(0)]
        token: TokenId,
    },
    /// A token would have expired when it is made.
    #[n(39)]
    #[error("the token would expire at {expires_at_ms}, and it is {now_ms}")]
    TokenExpired {
        /// When it would expire, in unix milliseconds.
        #[n(0)]
        expires_at_ms: u64,
        /// The catalog's clock.
        #[n(1)]
        now_ms: u64,
    },
    /// A pack was begun so long ago that its chunks may be swept.
    #[n(41)]
    #[error(
        "pack {pack} was begun at {begun_at_ms}, and at {now_ms} what it brought is kept no longer: \
         push again, and if that was just now, look at the clock of the node that took the push"
    )]
    PackExpired {
        /// Which.
        #[n(0)]
        pack: PackId,
        /// When it was begun, in unix milliseconds.
        #[n(1)]
        begun_at_ms: u64,
        /// The catalog's clock.
        #[n(2)]
        now_ms: u64,
    },
    /// Packs of a push take more than the repository allows.
    #[n(40)]
    #[error("the packs of the push have {given} bytes, over the repository's limit of {max}")]
    PushBytes {
        /// How many they have.
        #[n(0)]
        given: u64,
        /// How many they may have.
        #[n(1)]
        max: u64,
    },
    /// The number that a restored repository is to have may be another one's.
    #[n(42)]
    #[error(
        "numbers up to {last} were given to repositories of this cluster, and {given} is to be \
         restored: restore into a new cluster, or repositories one by one, which get new numbers"
    )]
    RepositoryNumber {
        /// The number.
        #[n(0)]
        given: RepositoryId,
        /// The last one that was given.
        #[n(1)]
        last: u64,
    },
    /// The repository is being restored, and not whole.
    #[n(43)]
    #[error(
        "repository {repository} is being restored and not whole yet: `gitstratum restore`, given \
         again, goes on with it"
    )]
    RestoreUnderWay {
        /// Which.
        #[n(0)]
        repository: RepositoryId,
    },
    /// The repository is not being restored.
    #[n(44)]
    #[error("repository {repository} is not being restored")]
    NotBeingRestored {
        /// Which.
        #[n(0)]
        repository: RepositoryId,
    },
    /// Some member's program cannot apply it. Found by whoever was to propose it: never what applying
    /// a command gives.
    #[n(45)]
    #[error(
        "`{feature}` is off until every node has it, and nothing was changed; it is lacked by {}. \
         Upgrade what runs an older version, take the feature out of `features_off` where the \
         configuration has it, and start what never ran; then try again",
        lacking(nodes)
    )]
    FeatureOff {
        /// The feature's name.
        #[n(0)]
        feature: String,
        /// Who lacks it, by node ids.
        #[n(1)]
        nodes: Vec<Lacking>,
    },
}
