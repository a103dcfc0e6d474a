//! Free space for writes, asked of the disk seldom enough to cost nothing.
//!
//! The reserve is there to absorb what others write between two looks.

use std::time::Duration;

use gitstratum_core::replica::StoreError;
use tokio::time::Instant;

use crate::state::shared::Shared;

/// An answer is not used for longer.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What the last look found.
#[derive(Debug, Default)]
pub(crate) struct RoomBudget {
    looked: Option<Look>,
}

#[derive(Debug)]
struct Look {
    at: Instant,
    /// Bytes above the reserve then, less what was written since.
    left: u64,
}

impl RoomBudget {
    /// Takes so many bytes; refuses what would eat into the reserve.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`].
    pub(crate) async fn take(&mut self, shared: &Shared, bytes: u64) -> Result<(), StoreError> {
        if let Some(look) = &mut self.looked
            && look.left >= bytes
            && look.at.elapsed() < LOOK_INTERVAL
        {
            look.left -= bytes;
            return Ok(());
        }
        self.looked = None;
        let above = shared.health.room_for(bytes, bytes).await?;
        self.looked = Some(Look { at: Instant::now(), left: above - bytes });
        Ok(())
    }
}
