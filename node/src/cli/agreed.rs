//! Layouts by agreement: the one that the catalog has, and the next.

use std::sync::Arc;
use std::time::Duration;

use gitstratum_catalog::command::ApplyLayout;
use gitstratum_catalog::{Answer, CatalogError as Refusal, Operation, Outcome, Query};
use gitstratum_cluster::client::{CatalogError, Client};
use gitstratum_core::placement::Layout;
use tokio::time::Instant;

use super::arguments::ClientArguments;
use super::catalog::{call, failed, of_client, other};
use super::{Failure, connect};
use crate::catalog::{CallError, CatalogClient};

/// How long a cluster may take until its catalog knows the layout that its nodes go by.
const ADOPTION_MAX: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(200);
/// How often a change is made anew that others were faster than.
const RACES_MAX: usize = 5;

/// A cluster whose layouts are agreed on.
pub(super) struct Agreed {
    pub(super) catalog: CatalogClient,
    /// The one that is agreed on.
    pub(super) layout: Arc<Layout>,
}

impl Agreed {
    /// What the cluster has agreed on; nothing where its catalog is switched off. Waits until the
    /// catalog knows `in_force`, which some node goes by.
    pub(super) async fn of(client: Client, in_force: &Layout) -> Result<Option<Self>, Failure> {
        let catalog = of_client(client)?;
        let until = Instant::now() + ADOPTION_MAX;
        loop {
            let late = Instant::now() > until;
            match layout_of(&catalog).await {
                Ok(Some(layout)) if !layout.is_outdone_by(in_force) || late => {
                    return Ok(Some(Agreed { catalog, layout }));
                }
                Err(CallError::Asking(CatalogError::Off(_))) => return Ok(None),
                // It may be about to be made.
                Err(CallError::Asking(CatalogError::NoMember(_))) if !late => {}
                Err(error) => return Err(failed(error)),
                Ok(_) if late => {
                    return Err(Failure::Operation(
                        "the catalog does not have the layout yet that the nodes go by".to_owned(),
                    ));
                }
                Ok(_) => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The cluster that the arguments name; one whose catalog is switched off is refused.
    pub(super) async fn connect(arguments: &ClientArguments) -> Result<Self, Failure> {
        let client = connect(arguments).await?;
        let in_force = client.layout();
        Self::of(client, &in_force).await?.ok_or_else(|| {
            Failure::Operation(
                "the catalog of this cluster is switched off: change its layout with `gitstratum \
                 layout apply`"
                    .to_owned(),
            )
        })
    }

    /// Looks what was agreed on last.
    pub(super) async fn refresh(&mut self) -> Result<(), Failure> {
        if let Some(layout) = layout_of(&self.catalog).await.map_err(failed)? {
            self.layout = layout;
        }
        Ok(())
    }

    /// Has a layout agreed on; says whether that is new.
    pub(super) async fn apply(
        &mut self,
        layout: Layout,
        accept_loss: bool,
    ) -> Result<bool, Failure> {
        let apply = ApplyLayout { layout: Arc::new(layout), accept_loss };
        match call(&mut self.catalog, Operation::ApplyLayout(apply)).await? {
            Outcome::LayoutInForce { changed, .. } => Ok(changed),
            _ => other(),
        }
    }

    /// Has a change of the layout agreed on, whatever others agree on meanwhile; nothing where the
    /// change makes none.
    pub(super) async fn change(
        &mut self,
        accept_loss: bool,
        change: impl Fn(&Layout) -> Result<Option<Layout>, Failure>,
    ) -> Result<bool, Failure> {
        for _ in 0..RACES_MAX {
            let Some(next) = change(&self.layout)? else { return Ok(false) };
            let apply = ApplyLayout { layout: Arc::new(next), accept_loss };
            let done = self.catalog.call(Operation::ApplyLayout(apply)).await;
            let raced = matches!(
                done,
                Err(CallError::Refused(Refusal::LayoutVersion { .. } | Refusal::Layout { .. })
                    | CallError::Asking(CatalogError::Unknown(_)))
            );
            let before = self.layout.version;
            self.refresh().await?;
            match done {
                Ok(_) => return Ok(true),
                Err(_) if raced && self.layout.version > before => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Err(Failure::Operation("others change the layout all the time: try again".to_owned()))
    }
}

async fn layout_of(catalog: &CatalogClient) -> Result<Option<Arc<Layout>>, CallError> {
    match catalog.ask(&Query::Layout).await? {
        Answer::Layout(layout) => Ok(layout.map(|agreed| agreed.0)),
        _ => Err(CallError::Other),
    }
}
