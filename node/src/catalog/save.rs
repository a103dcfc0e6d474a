//! A copy of the catalog beside that of a store: its text form, in a file of its own.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use gitstratum_catalog::dump::lines;
use gitstratum_core::limits;
use gitstratum_host::Disk;
use gitstratum_host::disk::OpenMode;

use super::Participant;

/// Its name, in the root of a copy.
pub(super) const FILE: &str = "catalog.jsonl";
/// Text that is written at once takes about so many bytes.
const WRITE_BYTES: usize = 256 << 10;
/// How long it waits to have all that was acknowledged, before it takes what it has.
const CATCH_UP_MAX: Duration = limits::CATALOG_REQUEST_TIMEOUT;

impl Participant {
    /// Writes the text into this directory; says whether there is a catalog here.
    pub(super) async fn save_text(&self, directory: &str) -> io::Result<bool> {
        let Some(group) = self.group(CATCH_UP_MAX).await else { return Ok(false) };
        let state = match group.read(CATCH_UP_MAX, |catalog| catalog.0.clone()).await {
            Ok(state) => state,
            Err(error) => {
                tracing::warn!(%error, "the copy has the catalog as this node knows it");
                group.with_local(|catalog| catalog.0.clone())
            }
        };
        let file = self.disk.open(&format!("{directory}/{FILE}"), OpenMode::CreateNew).await?;
        let (mut offset, mut skip) = (0, Some(0));
        while let Some(from) = skip {
            let (text, next) = lines(&state, from, WRITE_BYTES);
            let bytes = text.len() as u64;
            file.write_at(offset, vec![Bytes::from(text)]).await?;
            (offset, skip) = (offset + bytes, next);
        }
        file.sync_data().await?;
        self.disk.sync_dir(directory).await?;
        Ok(true)
    }
}

/// Whether a directory is a copy whose catalog was not loaded yet.
pub(super) async fn is_copy(disk: &Disk) -> bool {
    disk.exists(FILE).await.unwrap_or(true)
}
