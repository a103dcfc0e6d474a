//! Lock of the directory's names: a file gets or loses its name while this is held, and never
//! after the store was closed, when the directory may be another process's.

use gitstratum_core::replica::StoreError;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The lock. Closed with the store.
#[derive(Debug)]
pub(crate) struct Naming(Semaphore);

impl Default for Naming {
    fn default() -> Self {
        Naming(Semaphore::new(1))
    }
}

impl Naming {
    /// Waits for the turn to give or take names.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub(crate) async fn acquire(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        self.0.acquire().await.map_err(|_| StoreError::Closed)
    }

    /// Whether the store was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Waits for whoever has it, and lets nobody else have it.
    pub(crate) async fn close(&self) {
        let last = self.0.acquire().await;
        self.0.close();
        drop(last);
    }
}
