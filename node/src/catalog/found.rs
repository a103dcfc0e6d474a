//! Founding: the part in the catalog of a node that is a cluster by itself.

use gitstratum_consensus::{OpenError, create};
use gitstratum_host::Disk;
use rand_chacha::ChaCha12Rng;

use super::GROUP;
use super::identity::{DIRECTORY, Identity, IdentityError};
use super::join::FOUNDER;
use super::save::{FILE as COPY, is_copy};

/// Why a part in the catalog cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum FoundError {
    /// Which member the directory is cannot be read or written.
    #[error("{0}")]
    Identity(#[from] IdentityError),
    /// It is a copy, and would begin without the names that it has.
    #[error(
        "the directory is a copy of a node's store, with its catalog beside it: `gitstratum catalog \
         load` begins with that {COPY}; or remove the file to begin with no names"
    )]
    Copy,
    /// The log cannot be made.
    #[error("{0}")]
    Log(#[from] OpenError),
}

/// Refuses a directory that is a copy of another.
pub(crate) async fn refuse_copy(disk: &Disk) -> Result<(), FoundError> {
    if is_copy(disk).await { Err(FoundError::Copy) } else { Ok(()) }
}

/// Makes the directory the first member of a group, unless it is a member already.
pub(crate) async fn found(disk: &Disk, rng: &mut ChaCha12Rng) -> Result<(), FoundError> {
    let identity = Identity::keep(disk, rng).await?;
    if identity.member.is_none() {
        become_member(disk, identity, FOUNDER, rng).await?;
    }
    Ok(())
}

/// Makes the directory this member of the group, which has no log yet.
pub(super) async fn become_member(
    disk: &Disk,
    identity: Identity,
    member: u64,
    rng: &mut ChaCha12Rng,
) -> Result<(), FoundError> {
    // The log first: a member without one must not take part.
    let log = gitstratum_consensus::Identity { group: GROUP, member };
    create(disk, DIRECTORY, log, rng).await?;
    identity.became(disk, member).await?;
    Ok(())
}
