//! Founding a data directory: a node's directory is made once, by somebody who wants it made.
//!
//! Invariant: only [`found`] and a member that joins make a directory, so that whoever serves one
//! can refuse what is none: an empty mount must not pass for an empty cluster.

use std::path::{Path, PathBuf};

use gitstratum_catalog::ids::DirectoryId;
use gitstratum_cluster::membership::{KeepError, cluster, kept_layout};
use gitstratum_core::placement::{ClusterId, NodeId};
use gitstratum_host::Disk;
use gitstratum_store::OpenError;
use rand_chacha::ChaCha12Rng;

use super::ServeError;
use super::open::{Kept, configured};
use crate::catalog::{self, Asking, FoundError, Joining};
use crate::config::{Config, KeptMember};

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founded {
    /// Which cluster the directory belongs to.
    pub cluster: ClusterId,
}

/// Why a directory is not served.
#[derive(Debug, thiserror::Error)]
pub enum NoData {
    /// No node was ever made here.
    #[error(
        "there is no node in this directory; if there was one, see whether its disk is mounted. To \
         found a cluster of one: `gitstratum init --data {data} --id ID --address HOST:PORT`. To \
         join a cluster: `gitstratum join --peers HOST:PORT,… --data {data} --id ID --address \
         HOST:PORT`. For a node that a configuration describes: `gitstratum init --config FILE`",
        data = path.display()
    )]
    Empty {
        /// The directory.
        path: PathBuf,
    },
    /// Something else is here, or what says whose it is cannot be read.
    #[error("{0}")]
    Store(#[from] OpenError),
    /// What the node asked for when it joined cannot be read.
    #[error("{0}")]
    Joining(#[from] std::io::Error),
    /// The layout that is kept here cannot be read.
    #[error("layout: {0}")]
    Layout(#[from] KeepError),
}

/// Makes the data directory of a node: its store, its cluster, its layout and, where it is the only
/// one of its layout, its part in the catalog. One that was left half made is completed.
///
/// # Errors
/// [`ServeError`]; what holds anything else is left as it is.
pub async fn found(
    config: &Config,
    disk: &Disk,
    rng: &mut ChaCha12Rng,
) -> Result<Founded, ServeError> {
    cluster::check(disk, configured(config)).await?;
    catalog::refuse_copy(disk).await?;
    let kept = Kept::open(config, disk, rng).await?;
    let cluster = kept.cluster.clone();
    let is_alone = kept.keeper.current().get().members.len() == 1;
    let made = match config.catalog.enabled && is_alone {
        true => catalog::found(disk, rng).await,
        false => Ok(()),
    };
    kept.close().await;
    made?;
    Ok(Founded { cluster })
}

/// Makes the data directory of a node that is to join a cluster, of which `config` has the layout,
/// and says which directory asks to be a member. To be completed with [`Joined::became`].
///
/// # Errors
/// [`ServeError`]; what holds anything else is left as it is.
pub async fn prepare_join(
    config: &Config,
    disk: &Disk,
    joining: &Joining,
    rng: &mut ChaCha12Rng,
) -> Result<Joined, ServeError> {
    cluster::check(disk, configured(config)).await?;
    let kept = Kept::open(config, disk, rng).await?;
    let asking = joining.begin(disk, rng).await;
    kept.close().await;
    let asking = asking.map_err(FoundError::from)?;
    Ok(Joined { directory: asking.directory(), asking })
}

/// A data directory that asks to be a member.
pub struct Joined {
    /// The directory's own id.
    pub directory: DirectoryId,
    asking: Asking,
}

impl Joined {
    /// Makes it this member of the group.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn became(
        self,
        disk: &Disk,
        member: u64,
        rng: &mut ChaCha12Rng,
    ) -> Result<(), ServeError> {
        Ok(self.asking.became(disk, member, rng).await?)
    }
}

/// Whose data directory this is, if a node was founded in it or has joined, or a program from before
/// these two has served it. Reads, and writes nothing.
///
/// # Errors
/// [`NoData`].
pub async fn check_founded(disk: &Disk, path: &Path) -> Result<NodeId, NoData> {
    match gitstratum_store::owner(disk).await? {
        Some(owner) => Ok(owner),
        None => {
            gitstratum_store::check_vacant(disk).await?;
            Err(NoData::Empty { path: path.to_owned() })
        }
    }
}

/// What the directory says of its node; nothing where it keeps no layout, as a copy of a store does.
///
/// # Errors
/// [`NoData`].
pub async fn kept_member(disk: &Disk, node_id: NodeId) -> Result<Option<KeptMember>, NoData> {
    let Some(layout) = kept_layout(disk).await? else { return Ok(None) };
    let address = match layout.member(&node_id) {
        Some(member) => Some(member.address.clone()),
        None => Joining::read(disk).await?.map(|joining| joining.address),
    };
    Ok(Some(KeptMember { node_id, layout, address }))
}
