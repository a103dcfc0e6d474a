//! Repository service: what the protocol asks of repositories.
//!
//! The protocol knows repositories by these traits alone, so that it is tested with others than
//! those of a cluster. What is long is streamed: whoever produces a pack writes it to a
//! [`PackSink`], which waits while the client is slow and fails once it has gone away, and whoever
//! takes a push reads its pack part by part.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use gitstratum_catalog::secret::Secret;
use gitstratum_core::metrics::Registry;
use gitstratum_core::object::{HashAlgorithm, ObjectId};

/// What a client is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To read: `git-upload-pack`.
    Fetch,
    /// To write: `git-receive-pack`.
    Push,
}

/// Who asks, as far as is known.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// By what it wants to be let in.
    pub credentials: Credentials,
    /// Its address, `IP:PORT`.
    pub address: String,
    /// Who it is, as reflogs tell it, where that is known by more than its own word.
    pub identity: Option<String>,
}

/// What a request says of who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    #[default]
    Missing,
    /// Something that cannot be read, and why.
    Unreadable(&'static str),
    /// A password, or a bearer's token.
    Given {
        /// What the user is called; empty where only a token was given. Its own word for it.
        user: String,
        /// What nobody else knows.
        secret: Secret,
    },
}

/// Why a repository is not opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// There is none of this name, or the caller may not know of it.
    #[error("repository {name:?} not found")]
    NotFound {
        /// What was asked for.
        name: String,
    },
    /// No repository can have this name.
    #[error("{name:?} cannot be the name of a repository: {reason}")]
    InvalidName {
        /// What was asked for.
        name: String,
        /// Why not.
        reason: String,
    },
    /// Credentials would help.
    #[error("{0}")]
    Unauthorized(String),
    /// Credentials do not help.
    #[error("{0}")]
    Forbidden(String),
    /// Too many that were wrong came from there.
    #[error("{reason}")]
    Limited {
        /// What is asked too often.
        reason: String,
        /// When it may be asked again.
        retry_after: Duration,
    },
    /// It may be there; it cannot be said now.
    #[error("{0}")]
    Unavailable(String),
}

/// Why something was not read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RepositoryError {
    /// The client asks for what the repository does not have.
    #[error("not our ref {0}")]
    NotOurRef(ObjectId),
    /// The client asks for what makes no sense, or is more than is allowed.
    #[error("{0}")]
    Refused(String),
    /// Too few nodes answer.
    #[error("{0}")]
    Unavailable(String),
    /// What is stored is not whole. It is said which object or pack.
    #[error("{0}")]
    Damaged(String),
    /// The client has gone away.
    #[error("the client has gone away")]
    Gone,
}

/// A ref as clients are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdvertisedRef {
    /// Its full name.
    pub name: String,
    /// What it points to.
    pub id: ObjectId,
    /// What that comes to, where it is an annotated tag.
    pub peeled: Option<ObjectId>,
}

/// Where `HEAD` points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// To a branch, which may not be there yet.
    Branch(String),
    /// To an object.
    Detached(ObjectId),
}

/// The visible refs of a repository at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refs {
    /// Where `HEAD` points.
    pub head: Head,
    /// All others, sorted by the bytes of their names.
    pub refs: Vec<AdvertisedRef>,
}

impl Refs {
    /// The object that `HEAD` comes to, and what that peels to; nothing while its branch is unborn.
    pub fn head_object(&self) -> Option<(ObjectId, Option<ObjectId>)> {
        match &self.head {
            Head::Detached(id) => Some((*id, None)),
            Head::Branch(name) => {
                let at = self.refs.binary_search_by(|found| found.name.as_str().cmp(name)).ok()?;
                Some((self.refs[at].id, self.refs[at].peeled))
            }
        }
    }
}

/// How much of the history a shallow client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Depth {
    /// So many commits from each tip; what is `INFINITE_DEPTH` or more is all.
    Commits(u32),
    /// So many commits more than the client has.
    Relative(u32),
    /// Commits since then (seconds since 1970, 0 where there is no such bound) that are not reached
    /// by any of these refs.
    Since {
        /// Seconds since 1970.
        since: u64,
        /// Full names of refs, or object ids.
        not: Vec<String>,
    },
}

/// What git sends as the depth that means everything (`fetch --unshallow`).
pub const INFINITE_DEPTH: u32 = 0x7fff_ffff;

/// What becomes of a client's shallow boundary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shallow {
    /// Commits whose parents it is to do without from now on.
    pub shallow: Vec<ObjectId>,
    /// Commits of its boundary whose parents it gets now.
    pub unshallow: Vec<ObjectId>,
}

/// Which objects a partial clone leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All blobs.
    BlobNone,
    /// Blobs of at least so many bytes.
    BlobLimit(u64),
    /// Trees and blobs so deep below the tree of a commit (0: all of them).
    TreeDepth(u64),
}

/// A pack that is asked for.
#[derive(Clone, Debug)]
pub struct PackRequest {
    /// Objects that the client wants, with all that they reach.
    pub wants: Vec<ObjectId>,
    /// Objects that it has and the repository has too, with all that they reach.
    pub common: Vec<ObjectId>,
    /// Its shallow boundary: commits that it has without their parents.
    pub client_shallow: Vec<ObjectId>,
    /// What becomes of that, when it asked for another depth: as [`Repository::deepen`] said.
    pub shallow: Shallow,
    /// What it leaves out. It does not apply to objects that are wanted by their own ids.
    pub filter: Option<Filter>,
    /// Deltas may have bases that are not in the pack and that the client has.
    pub thin: bool,
    /// Deltas may say where their base is by its distance.
    pub ofs_delta: bool,
    /// Annotated tags whose object is sent are sent too.
    pub include_tag: bool,
}

/// Takes a pack for a client.
#[async_trait]
pub trait PackSink: Send {
    /// Takes the next bytes of the pack.
    ///
    /// # Errors
    /// [`RepositoryError::Gone`].
    async fn pack(&mut self, bytes: Bytes) -> Result<(), RepositoryError>;

    /// Takes a line that a person is to see, such as `"Counting objects: 42\r"`; dropped where none
    /// is wanted.
    ///
    /// # Errors
    /// [`RepositoryError::Gone`].
    async fn progress(&mut self, text: &str) -> Result<(), RepositoryError>;
}

/// One update that a push asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefCommand {
    /// The full name.
    pub name: String,
    /// What the client believes it to be; nothing where there should be none.
    pub old: Option<ObjectId>,
    /// What it is to be; nothing where it is to be deleted.
    pub new: Option<ObjectId>,
}

/// A push.
#[derive(Clone, Debug)]
pub struct PushRequest {
    /// Its updates.
    pub commands: Vec<RefCommand>,
    /// All or nothing.
    pub atomic: bool,
    /// Its options (`git push -o`).
    pub options: Vec<String>,
    /// Commits that the client has without their parents.
    pub client_shallow: Vec<ObjectId>,
}

/// The bytes of a push's pack, header and trailer included. It ends where the request does; an
/// error is a client that went away or broke the encoding.
pub type PackBody = Pin<Box<dyn Stream<Item = Result<Bytes, std::io::Error>> + Send>>;

/// Takes what a person who pushes is to see meanwhile.
#[async_trait]
pub trait ProgressSink: Send {
    /// Takes a line, such as `"Resolving deltas: 42% (420/1000)\r"`.
    async fn progress(&mut self, text: &str);
}

/// What became of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushOutcome {
    /// Whether the pack was taken, or else why not, in one line.
    pub unpacked: Result<(), String>,
    /// What became of each command, in their order: done, or refused for a reason in one line.
    pub verdicts: Vec<Result<(), String>>,
}

/// A repository.
#[async_trait]
pub trait Repository: Send + Sync + fmt::Debug {
    /// The hash of its objects.
    fn object_format(&self) -> HashAlgorithm;

    /// Its visible refs: with everything that was acknowledged before.
    ///
    /// # Errors
    /// [`RepositoryError`].
    async fn refs(&self) -> Result<Refs, RepositoryError>;

    /// Which of these objects it has, in order.
    ///
    /// # Errors
    /// [`RepositoryError`].
    async fn contains(&self, ids: &[ObjectId]) -> Result<Vec<bool>, RepositoryError>;

    /// Whether a pack can be made that is not much larger for what is not known yet: every wanted
    /// object reaches one that the client has.
    ///
    /// # Errors
    /// [`RepositoryError`].
    async fn is_ready(
        &self,
        wants: &[ObjectId],
        common: &[ObjectId],
    ) -> Result<bool, RepositoryError>;

    /// What becomes of the boundary of a client that asks for another depth.
    ///
    /// # Errors
    /// [`RepositoryError`].
    async fn deepen(
        &self,
        wants: &[ObjectId],
        client_shallow: &[ObjectId],
        depth: &Depth,
    ) -> Result<Shallow, RepositoryError>;

    /// Writes a pack, header and trailer included.
    ///
    /// # Errors
    /// [`RepositoryError`]; a part of the pack may have been written by then.
    async fn pack(
        &self,
        request: PackRequest,
        sink: &mut dyn PackSink,
    ) -> Result<(), RepositoryError>;

    /// Takes a push. There is no pack where all commands are deletions.
    ///
    /// # Errors
    /// [`RepositoryError`] when it is not known what became of it, or nothing did.
    async fn push(
        &self,
        request: PushRequest,
        pack: Option<PackBody>,
        progress: &mut dyn ProgressSink,
    ) -> Result<PushOutcome, RepositoryError>;
}

/// Repositories by name.
#[async_trait]
pub trait Repositories: Send + Sync {
    /// Opens one for a caller.
    ///
    /// # Errors
    /// [`OpenError`].
    async fn open(
        &self,
        name: &str,
        purpose: Purpose,
        caller: &Caller,
    ) -> Result<Arc<dyn Repository>, OpenError>;

    /// Registers what it counts.
    fn register(&self, _registry: &mut Registry) {}
}
