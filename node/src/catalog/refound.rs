//! Beginning anew: a node that does not run goes on alone with the catalog that it has, or with one
//! from a dump.
//!
//! Invariant: while it is not complete, a note in the directory keeps the node from taking part: it
//! has given up what it promised under its old id, and may not have its new one yet.

use std::io;

use gitstratum_catalog::command::Refound;
use gitstratum_catalog::ids::ClientId;
use gitstratum_catalog::{CatalogError, Command, Operation, Outcome, Reply, Request, State};
use gitstratum_consensus::{OpenError, Remains, complete, refound, remains};
use gitstratum_core::placement::NodeId;
use gitstratum_host::{Disk, unix_time_ms};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::RngCore;
use serde::{Deserialize, Serialize};

use super::identity::{DIRECTORY, Identity, IdentityError};
use super::{Catalog, GROUP, document};

const FILE: &str = "catalog/refounding.toml";

/// Why a node cannot begin anew.
#[derive(Debug, thiserror::Error)]
pub enum RefoundError {
    /// The directory never was a member's.
    #[error("the node has no catalog: it never took part in one")]
    NoMember,
    /// Which member it is cannot be read or written.
    #[error("{0}")]
    Identity(#[from] IdentityError),
    /// What it has cannot be read, or the new beginning not be written.
    #[error("{0}")]
    Engine(#[from] OpenError),
    /// The catalog refuses the node.
    #[error("{0}")]
    Refused(CatalogError),
    /// The note in the directory.
    #[error("{FILE}: {0}")]
    Note(#[from] io::Error),
}

/// What is noted while a new beginning is under way.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    /// The member that the node is to be.
    member: u64,
}

impl Note {
    async fn read(disk: &Disk) -> io::Result<Option<Self>> {
        if !disk.exists(FILE).await? {
            return Ok(None);
        }
        document::parse(&disk.read_whole(FILE).await?).map(Some)
    }
}

/// Whether a new beginning was interrupted.
pub(super) async fn is_under_way(disk: &Disk) -> io::Result<bool> {
    disk.exists(FILE).await
}

/// What the node has of the catalog: all that its log has, whether or not it was agreed on.
pub(crate) async fn kept(
    disk: &Disk,
    rng: &mut ChaCha12Rng,
) -> Result<(u64, Remains<Catalog>), RefoundError> {
    let identity = Identity::keep(disk, rng).await?;
    let member = identity.member.ok_or(RefoundError::NoMember)?;
    let identity = gitstratum_consensus::Identity { group: GROUP, member };
    Ok((member, remains(disk, DIRECTORY, identity, rng).await?))
}

/// Completes a new beginning that was interrupted, if that had given up the old group already; gives
/// the member that the node is then.
pub(crate) async fn go_on(disk: &Disk, rng: &mut ChaCha12Rng) -> Result<Option<u64>, RefoundError> {
    let Some(Note { member }) = Note::read(disk).await? else { return Ok(None) };
    let identity = gitstratum_consensus::Identity { group: GROUP, member };
    let is_new = complete(disk, DIRECTORY, identity, rng).await?;
    if is_new {
        Identity::keep(disk, rng).await?.became(disk, member).await?;
    }
    disk.remove(FILE).await?;
    Ok(is_new.then_some(member))
}

/// The node that begins anew.
pub(crate) struct Founder<'a> {
    /// Its id.
    pub(crate) node: &'a NodeId,
    /// Where others reach it.
    pub(crate) address: &'a str,
    /// Whether others may come back under their ids.
    pub(crate) forgets_others: bool,
}

/// Makes a state the catalog of a new group of this node alone; gives the member that it is. The
/// state's log ended with entry `last` of `term`.
pub(crate) async fn begin_anew(
    disk: &Disk,
    founder: Founder<'_>,
    mut state: State,
    (last, term): (u64, u64),
    rng: &mut ChaCha12Rng,
) -> Result<u64, RefoundError> {
    let identity = Identity::keep(disk, rng).await?;
    let mut client = [0; 16];
    rng.fill_bytes(&mut client);
    let now = unix_time_ms();
    let command = Command {
        group: GROUP,
        request: Request { client: ClientId(client), number: now },
        at_ms: now,
        who: founder.node.to_string(),
        operation: Operation::Refound(Refound {
            node: founder.node.to_string(),
            directory: identity.directory,
            address: founder.address.to_owned(),
            forgets_others: founder.forgets_others,
        }),
    };
    let index = last + 1;
    let member = match state.apply(index, command) {
        Reply::Done(Outcome::Joined { raft }) => raft.0,
        Reply::Done(other) => unreachable!("a new beginning gives {other:?}"),
        Reply::Refused(error) => return Err(RefoundError::Refused(error)),
    };
    let text = toml::to_string(&Note { member }).map_err(io::Error::other)?;
    disk.replace(FILE, text.into()).await?;
    let position = gitstratum_consensus::entry::Position { term: term + 1, leader: member, index };
    let log = gitstratum_consensus::Identity { group: GROUP, member };
    let made = (&Catalog(state), position);
    refound(disk, DIRECTORY, (log, founder.node.as_str()), made, rng).await?;
    identity.became(disk, member).await?;
    disk.remove(FILE).await?;
    Ok(member)
}
