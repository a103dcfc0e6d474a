//! Loading of filters and bucket offsets behind the opening of a store.

use std::sync::Arc;

use gitstratum_core::replica::StoreError;
use gitstratum_host::give_way;

use crate::files::names::index_path;
use crate::read::lookup::rebuild_index;
use crate::state::shared::Shared;

/// Reads the filters and directories of all sealed segments, the newest first, in which most
/// of what is asked for is. One that does not hold is made again, as a get would have it.
pub(crate) async fn load_directories(shared: Arc<Shared>) {
    let sealed = shared.view().sealed.clone();
    for segment in sealed.iter() {
        give_way().await;
        if shared.naming.is_closed() {
            return;
        }
        let Err(error) = segment.load().await else { continue };
        let path = index_path(segment.id());
        tracing::warn!(path, ?error, "its directory could not be read");
        match rebuild_index(&shared, segment).await {
            Ok(()) | Err(StoreError::Closed) => {}
            Err(error) => tracing::warn!(path, %error, "lookups in it take one more read"),
        }
    }
}
