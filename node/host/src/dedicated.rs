//! Dedicated threads.
//!
//! Tasks that wait for the disk so often that a thread of their own pays.

use tokio::task::JoinHandle;

/// Runs `future` as a task with a thread to itself, on which it may wait for devices: with
/// [`crate::disk::File::in_place`] it saves two hops between threads an operation, which
/// together cost as much as a flush of a fast disk does. Tasks that it spawns are like any
/// others.
///
/// The thread is one of the runtime's blocking ones: a runtime that is dropped waits for
/// `future` to end.
#[cfg(not(madsim))]
pub fn dedicated<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(future))
}

/// Runs `future` as a task. In the simulated world that is all.
#[cfg(madsim)]
pub fn dedicated<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(future)
}
