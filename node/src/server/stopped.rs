//! A node that does not run: its directory, locked, for the commands that change it by hand.

use gitstratum_catalog::State;
use gitstratum_consensus::Remains;
use gitstratum_core::placement::{ClusterId, NodeId};
use gitstratum_host::Disk;
use rand_chacha::ChaCha12Rng;

use super::ServeError;
use super::open::Kept;
use crate::catalog::{self, Catalog, Founder, RefoundError};
use crate::config::Config;

/// The data directory of a node that does not run. No node starts on it until it is closed.
pub struct Stopped {
    kept: Kept,
    disk: Disk,
    node: NodeId,
}

impl Stopped {
    /// Opens it as the node itself would.
    ///
    /// # Errors
    /// [`ServeError`], also while the node runs.
    pub async fn open(
        config: &Config,
        disk: &Disk,
        rng: &mut ChaCha12Rng,
    ) -> Result<Self, ServeError> {
        let kept = Kept::open(config, disk, rng).await?;
        Ok(Stopped { kept, disk: disk.clone(), node: config.node_id.clone() })
    }

    /// Which cluster it belongs to.
    pub fn cluster(&self) -> &ClusterId {
        &self.kept.cluster
    }

    /// Where others reach the node, as it knows, or a catalog.
    pub fn address(&self, state: &State) -> Option<String> {
        let layout = self.kept.keeper.current().get();
        let known = layout.member(&self.node).map(|member| member.address.clone());
        known.or_else(|| state.node(&self.node).map(|node| node.address.clone()))
    }

    /// Which member of the catalog it is, and what it has of it.
    ///
    /// # Errors
    /// [`RefoundError`].
    pub async fn catalog(
        &self,
        rng: &mut ChaCha12Rng,
    ) -> Result<(u64, Remains<Catalog>), RefoundError> {
        catalog::kept(&self.disk, rng).await
    }

    /// Completes a new beginning that was interrupted; gives the member that the node is then, where
    /// that had come so far.
    ///
    /// # Errors
    /// [`RefoundError`].
    pub async fn go_on(&self, rng: &mut ChaCha12Rng) -> Result<Option<u64>, RefoundError> {
        catalog::go_on(&self.disk, rng).await
    }

    /// Has the node go on alone with what it has; gives the member that it is from now on.
    ///
    /// # Errors
    /// [`RefoundError`].
    pub async fn go_on_alone(
        &self,
        remains: Remains<Catalog>,
        address: &str,
        rng: &mut ChaCha12Rng,
    ) -> Result<u64, RefoundError> {
        let founder = Founder { node: &self.node, address, forgets_others: false };
        let end = (remains.last.map_or(0, |last| last.index), remains.term);
        catalog::begin_anew(&self.disk, founder, remains.machine.0, end, rng).await
    }

    /// Has the node begin with the catalog of a dump; gives the member that it is from now on.
    ///
    /// # Errors
    /// [`RefoundError`].
    pub async fn begin_with(
        &self,
        state: State,
        address: &str,
        rng: &mut ChaCha12Rng,
    ) -> Result<u64, RefoundError> {
        let founder = Founder { node: &self.node, address, forgets_others: true };
        catalog::begin_anew(&self.disk, founder, state.at_position(0), (0, 0), rng).await
    }

    /// Closes it.
    pub async fn close(self) {
        self.kept.close().await;
    }
}
