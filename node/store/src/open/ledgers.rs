//! Ledgers after an opening: the list of damage, the names of large objects and the manifest are
//! brought in line with what was found.

use std::sync::Arc;

use gitstratum_core::replica::StoreError;

use crate::files::identity;
use crate::read::lookup::locate;
use crate::state::shared::Shared;
use crate::state::view::BadPlace;

/// Looks which of the objects on the list are still damaged: the list is not written
/// with every put that brings one back.
pub(crate) async fn review_damage(shared: &Arc<Shared>) {
    {
        let mut view = shared.view();
        let known: Vec<_> = view.unidentified.iter().copied().collect();
        for segment in known {
            if !view.has_segment(segment) {
                view.unidentified.remove(&segment);
            }
        }
    }
    let listed: Vec<_> = shared.view().bad.iter().map(|(id, bad)| (*id, bad.at)).collect();
    for (id, at) in listed {
        let gone = match at {
            BadPlace::Record { segment, .. } => !shared.view().has_segment(segment),
            BadPlace::Large => !shared.view().large.contains_key(&id),
            BadPlace::Dropped => false,
        };
        let healed = locate(shared, &id).await.is_ok();
        let mut view = shared.view();
        if gone {
            view.bad.remove(&id);
        } else if let Some(bad) = view.bad.get_mut(&id) {
            bad.healed = healed;
        }
    }
}

/// Brings all that says what the store should hold in line with what was found, and says that
/// there is such a thing.
///
/// # Errors
/// As a put. What could not be written is found again by the next opening.
pub(crate) async fn keep_ledgers(shared: &Shared, had_manifest: bool) -> Result<(), StoreError> {
    // The names of large objects forget what was lost, as the manifest does.
    shared.damage.keep().await?;
    shared.large_names.keep().await?;
    if !shared.manifest.will_do().await {
        shared.manifest.keep_durable().await?;
    }
    if !had_manifest {
        let named = identity::has_manifest(&shared.disk, &shared.options.node_id).await;
        named.map_err(|error| shared.health.write_failed(identity::IDENTITY, &error))?;
        tracing::info!("from now on a manifest says what the store should hold");
    }
    Ok(())
}
