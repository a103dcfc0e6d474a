//! Snapshot that another member sends: gathered in a file aside until it is whole.

use gitstratum_host::Disk;
use gitstratum_host::disk::{File, OpenMode};
use tokio::sync::Mutex;

use crate::entry::{Ballot, MemberId};
use crate::message::SnapshotPart;
use crate::snapshot::{self, Snapshot, SnapshotError};

/// What arrives: one transfer at a time.
pub(crate) struct Incoming {
    disk: Disk,
    path: String,
    transfer: Mutex<Option<Transfer>>,
}

struct Transfer {
    from: MemberId,
    ballot: Ballot,
    file: File,
    received: u64,
}

/// What a part led to.
pub(crate) enum Taken {
    /// More is expected.
    Part,
    /// It does not follow what arrived before.
    Restart,
    /// All of it arrived, and is durable.
    Whole(Box<Snapshot>),
}

impl Incoming {
    pub(crate) fn new(disk: Disk, directory: &str) -> Self {
        let path = format!("{directory}/snapshot.incoming");
        Incoming { disk, path, transfer: Mutex::default() }
    }

    /// Takes a part. The first one of a transfer ends the one before.
    pub(crate) async fn take(
        &self,
        group: u32,
        from: MemberId,
        part: SnapshotPart,
    ) -> Result<Taken, SnapshotError> {
        let SnapshotPart { ballot, offset, bytes, total } = part;
        let mut transfer = self.transfer.lock().await;
        if offset == 0 {
            if self.disk.exists(&self.path).await? {
                self.disk.remove(&self.path).await?;
            }
            let file = self.disk.open(&self.path, OpenMode::CreateNew).await?;
            *transfer = Some(Transfer { from, ballot, file, received: 0 });
        }
        let follows = |transfer: &&mut Transfer| {
            (transfer.from, transfer.ballot, transfer.received) == (from, ballot, offset)
        };
        let Some(under_way) = transfer.as_mut().filter(follows) else { return Ok(Taken::Restart) };
        let received = offset + bytes.len() as u64;
        under_way.file.write_at(offset, vec![bytes]).await?;
        under_way.received = received;
        if received < total {
            return Ok(Taken::Part);
        }
        under_way.file.sync_data().await?;
        *transfer = None;
        let snapshot = snapshot::open(&self.disk, self.path.clone(), group).await?;
        Ok(Taken::Whole(Box::new(snapshot)))
    }
}
