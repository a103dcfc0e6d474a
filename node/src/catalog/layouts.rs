//! Layouts that were agreed on: a node goes by each as soon as it has applied it.
//!
//! Invariant: a node makes a layout durable before it goes by it, whoever told it: here, a peer, or
//! an operator. What comes into force in another way the leader has the catalog adopt.

use std::sync::Arc;
use std::time::Duration;

use gitstratum_catalog::command::ApplyLayout;
use gitstratum_catalog::encode::decode_reply;
use gitstratum_catalog::ids::ClientId;
use gitstratum_catalog::{CatalogError, Operation, Outcome, Reply};
use gitstratum_cluster::membership::LayoutKeeper;
use gitstratum_consensus::{Group, ProposeError};
use gitstratum_core::limits;
use gitstratum_core::placement::Layout;

use super::{Catalog, Participant};

/// Before a layout is tried again that the disk did not take.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a layout was not agreed on.
#[derive(Debug, thiserror::Error)]
pub enum ProposeLayoutError {
    /// This node has no part in the catalog at present.
    #[error("this node takes no part in the catalog: {0}")]
    NoMember(String),
    /// The engine has no answer.
    #[error("{0}")]
    Engine(#[from] ProposeError),
    /// It was refused.
    #[error("{0}")]
    Refused(CatalogError),
    /// The answer is not understood.
    #[error("the catalog answers another question")]
    Other,
}

/// Brings each layout into force that this node's state has and its keeper does not. Never ends.
pub(super) async fn follow(group: &Group<Catalog>, keeper: &LayoutKeeper) {
    loop {
        let current = keeper.current();
        let next = group.until(|catalog| {
            let agreed = catalog.0.layout()?;
            current.get().is_outdone_by(agreed).then(|| agreed.clone())
        });
        let next: Arc<Layout> = next.await;
        if let Err(error) = keeper.take(&next).await {
            let version = next.version;
            tracing::error!(version, %error, "a layout that was agreed on is not in force here");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The layout in force, if the catalog has none that is as new.
pub(super) fn unknown(group: &Group<Catalog>, in_force: &Arc<Layout>) -> Option<Arc<Layout>> {
    let version = group.with_local(|catalog| catalog.0.layout().map(|agreed| agreed.version));
    (version < Some(in_force.version)).then(|| in_force.clone())
}

impl Participant {
    /// Has a layout agreed on that the operator wrote; says whether that is new.
    ///
    /// # Errors
    /// [`ProposeLayoutError`].
    pub async fn propose_layout(&self, layout: &Layout) -> Result<bool, ProposeLayoutError> {
        let group = self.group.load_full();
        let group = group.ok_or_else(|| ProposeLayoutError::NoMember(self.trouble()))?;
        if let Some(unknown) = unknown(&group, &self.keeper.current().get()) {
            // What it is to follow the catalog has to know.
            self.propose(&group, Operation::AdoptLayout(unknown)).await?;
        }
        let apply = ApplyLayout { layout: Arc::new(layout.clone()), accept_loss: false };
        self.propose(&group, Operation::ApplyLayout(apply)).await
    }

    async fn propose(
        &self,
        group: &Group<Catalog>,
        operation: Operation,
    ) -> Result<bool, ProposeLayoutError> {
        // Another client than the one that cares for the members, at the same time maybe.
        let mut client = self.directory.get().map_or([0; 16], |directory| directory.0);
        client[0] ^= 0x80;
        let author = self.author(ClientId(client));
        let mut asked_again = false;
        loop {
            let command = author.command(operation.clone());
            let proposed = group.propose(command, limits::CATALOG_REQUEST_TIMEOUT).await?;
            return match decode_reply(&proposed.reply) {
                Ok(Reply::Done(Outcome::LayoutInForce { changed, .. })) => Ok(changed),
                Ok(reply) if author.is_behind(&reply) && !asked_again => {
                    asked_again = true;
                    continue;
                }
                Ok(Reply::Refused(error)) => Err(ProposeLayoutError::Refused(error)),
                _ => Err(ProposeLayoutError::Other),
            };
        }
    }
}
