//! Which member of the group a data directory is: written once, and never again.

use std::fmt;
use std::io;

use gitstratum_catalog::ids::DirectoryId;
use gitstratum_host::Disk;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::RngCore;
use serde::{Deserialize, Serialize};

use super::document;

/// Where the group's files are.
pub(super) const DIRECTORY: &str = "catalog";
const FILE: &str = "catalog/member.toml";

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    /// The data directory's own id. One that was lost and made anew has another, and is another
    /// member.
    pub(super) directory: DirectoryId,
    /// The member, once the directory is one.
    pub(super) member: Option<u64>,
}

/// Why it cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub struct IdentityError {
    #[source]
    source: io::Error,
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{FILE}: {}", self.source)
    }
}

impl From<io::Error> for IdentityError {
    fn from(source: io::Error) -> Self {
        IdentityError { source }
    }
}

impl Identity {
    /// The one that is kept, or a new one.
    pub(super) async fn keep(disk: &Disk, rng: &mut ChaCha12Rng) -> Result<Self, IdentityError> {
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        if let Some(kept) = Self::read(disk).await? {
            return Ok(kept);
        }
        let identity = Identity { directory: DirectoryId(id), member: None };
        disk.create_dir_all(DIRECTORY).await?;
        identity.write(disk).await?;
        Ok(identity)
    }

    /// The one that is kept, if there is one.
    pub(super) async fn read(disk: &Disk) -> Result<Option<Self>, IdentityError> {
        if !disk.exists(FILE).await? {
            return Ok(None);
        }
        let contents = disk.read_whole(FILE).await?;
        Ok(Some(document::parse(&contents)?))
    }

    /// Notes which member the directory is.
    pub(super) async fn became(self, disk: &Disk, member: u64) -> Result<Self, IdentityError> {
        let identity = Identity { member: Some(member), ..self };
        identity.write(disk).await?;
        Ok(identity)
    }

    async fn write(&self, disk: &Disk) -> Result<(), IdentityError> {
        let text = toml::to_string(self).map_err(io::Error::other)?;
        Ok(disk.replace(FILE, text.into()).await?)
    }
}
