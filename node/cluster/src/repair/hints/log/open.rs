//! Opening the log: what the file says is held, and what an earlier version left.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use gitstratum_core::format::NewerFormat;
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{Missed, ReasonClass};
use gitstratum_core::seldom::Seldom;
use gitstratum_host::Disk;
use gitstratum_host::disk::{File, OpenMode};
use tokio::sync::Notify;

use super::super::entry::{Entry, FORMAT, OtherVersion, parse};
use super::super::held::Held;
use super::super::pace::Paces;
use super::super::{FILE, HintError, IdPrefix, failed, takeover};
use super::{HintLog, HintOptions, Writer};

impl HintLog {
    /// Opens the log in the disk's root, and takes over what an earlier version left. Where
    /// the file cannot account for all of its bytes, everything is dirty for each of
    /// `others`, the other members of the cluster, and for each target that is known: a torn
    /// append and one that was acknowledged and rotted look alike.
    ///
    /// # Errors
    /// [`HintError`] when the file cannot be read or synced, or is a newer program's.
    pub async fn open(
        disk: &Disk,
        options: HintOptions,
        others: &[NodeId],
    ) -> Result<Arc<Self>, HintError> {
        let read = read(disk).await?;
        let mut held = Held::default();
        let mut writer = Writer::new(disk.clone());
        if let Some((file, bytes)) = read {
            let parsed = parse(&bytes)
                .map_err(|OtherVersion(version)| NewerFormat::new(FILE, version, FORMAT))?;
            parsed.entries.iter().for_each(|entry| held.apply(entry));
            // What a process that was killed had written, or named, may be in the cache alone;
            // from here on it is called durable.
            file.sync_data().await.map_err(failed(FILE, "sync"))?;
            disk.sync_dir("").await.map_err(failed(FILE, "sync the directory of"))?;
            if parsed.unaccounted == 0 {
                writer = writer.going_on(file, parsed.end, parsed.number);
            } else {
                tracing::warn!(
                    bytes = parsed.unaccounted,
                    "{FILE}: not all of it holds: everything is to be reconciled"
                );
                let known = held.targets().map(|(node, _)| node).chain(others);
                for target in known.cloned().collect::<BTreeSet<_>>() {
                    let (prefix, instead_of) = (IdPrefix::All, 0);
                    held.apply(&Entry::Dirty { target, prefix, instead_of });
                }
            }
        }
        let log = Arc::new(HintLog {
            options,
            writer: tokio::sync::Mutex::new(writer),
            held: Mutex::new(held),
            reports: Mutex::default(),
            changed: Notify::new(),
            bound_met: Seldom::default(),
            troubles: Mutex::default(),
            paces: Paces::default(),
        });
        log.take_over(disk).await?;
        Ok(log)
    }

    /// What cannot be written now stays where it is until the next start.
    async fn take_over(self: &Arc<Self>, disk: &Disk) -> Result<(), HintError> {
        let Some(pairs) = takeover::read(disk).await? else { return Ok(()) };
        let missed = pairs.into_iter().map(|(node_id, id)| {
            let reason = String::new();
            Missed { node_id, id, class: ReasonClass::Other, reason }
        });
        let count = missed.len();
        let taken = async {
            self.record(missed.collect(), 0).await?;
            takeover::remove(disk).await
        };
        match taken.await {
            Ok(()) => tracing::info!(count, "missed writes of an earlier version are hints now"),
            Err(error) => tracing::warn!(count, %error, "missed writes were not taken over"),
        }
        Ok(())
    }
}

async fn read(disk: &Disk) -> Result<Option<(File, Bytes)>, HintError> {
    let file = match disk.open(FILE, OpenMode::ReadWrite).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        // What is held can be told; nothing more is, and each report hears so.
        Err(error) if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {
            disk.open(FILE, OpenMode::Read).await.map_err(failed(FILE, "open"))?
        }
        opened => opened.map_err(failed(FILE, "open"))?,
    };
    let len = file.len().await.map_err(failed(FILE, "size"))?;
    let bytes = file.read_at(0, usize::try_from(len).unwrap_or(usize::MAX)).await;
    Ok(Some((file, bytes.map_err(failed(FILE, "read"))?)))
}
