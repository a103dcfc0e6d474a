//! Low-priority work.
//!
//! Work that can wait, on a thread of its own.

/// Lets others go first that want this processor: for [`crate::dedicated`] tasks that nobody
/// waits for, between one piece of their work and the next. Whoever was woken on the same
/// processor may else wait for it as long as the system lets one thread run.
#[cfg(not(madsim))]
pub async fn give_way() {
    std::thread::yield_now();
}

/// Lets other tasks go first.
#[cfg(madsim)]
pub async fn give_way() {
    tokio::task::yield_now().await;
}
