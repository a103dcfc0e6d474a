//! Sealing: writing the indexes of full segments.

use std::sync::Arc;

use gitstratum_core::replica::StoreError;
use gitstratum_host::disk::is_exhausted;

use crate::files::names::index_path;
use crate::manifest::Summary;
use crate::segment::sealed::write_index;
use crate::segment::unsealed::Unsealed;
use crate::state::shared::Shared;

/// Writes the indexes that are in memory since the store was opened: there was no room for the
/// files, or the list did not have yet what they would hide from every later scan.
///
/// # Errors
/// As a put.
pub(crate) async fn write_missing_indexes(shared: &Shared) -> Result<(), StoreError> {
    let sealed = shared.view().sealed.clone();
    for segment in sealed.iter() {
        let Some(entries) = segment.unwritten() else { continue };
        shared.damage.keep().await?;
        let (id, file, len) = (segment.id(), segment.file.clone(), segment.len);
        let Summary { ids, unread, .. } = segment.summary();
        let accounts = segment.accounts().clone();
        let made = write_index(&shared.disk, id, file, len, accounts, entries).await;
        let path = index_path(id);
        let made = made.map_err(|error| shared.health.write_failed(&path, &error))?;
        // Unless it was compacted meanwhile; then what was written is a leftover.
        let mut view = shared.view();
        if view.sealed.iter().any(|known| Arc::ptr_eq(known, segment)) {
            view.replace_sealed(&[id], Some(Arc::new(made.with(ids, unread))));
        }
    }
    Ok(())
}

/// Writes a full segment's index and moves the segment among the sealed.
pub(crate) async fn seal(shared: Arc<Shared>, frozen: Arc<Unsealed>) -> Result<(), StoreError> {
    let Unsealed { id, ref file, len, ref accounts, ref places, .. } = *frozen;
    let entries = places.entries();
    let (file, accounts) = (file.clone(), accounts.clone());
    let made = write_index(&shared.disk, id, file, len, accounts, entries).await;
    let Summary { ids, unread, .. } = frozen.summary();
    match made {
        Ok(sealed) => {
            shared.health.count_write(sealed.disk_bytes() - len, 2);
            let mut view = shared.view();
            view.replace_sealed(&[], Some(Arc::new(sealed.with(ids, unread))));
            view.frozen.retain(|other| other.id != id);
            Ok(())
        }
        Err(error) => {
            // What is wanting for a while is logged once in a while, where it is refused.
            if !is_exhausted(&error) {
                tracing::error!(segment = %id, %error, "a full segment's index could not be written");
            }
            Err(shared.health.write_failed(&index_path(id), &error))
        }
    }
}
