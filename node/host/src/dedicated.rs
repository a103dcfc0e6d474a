//! Tasks that wait for the disk so often that a thread of their own pays.

use tokio::task::JoinHandle;

#[cfg(not(madsim))]
thread_local! {
    /// Whether this thread runs a dedicated task, so that whoever is on it may wait.
    static DEDICATED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs `future` as a task. In the real world it has a thread to itself, on which the
/// disk's operations are done in place: each saves two hops between threads, which cost as
/// much as a flush of a fast disk does. Tasks that it spawns are like any others.
///
/// The thread is one of the runtime's blocking ones: a runtime that is dropped waits for
/// `future` to end.
#[cfg(not(madsim))]
pub fn dedicated<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let _mark = Mark::set();
        runtime.block_on(future)
    })
}

/// Runs `future` as a task. In the simulated world that is all.
#[cfg(madsim)]
pub fn dedicated<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(future)
}

/// Whether the calling thread may wait for a device.
#[cfg(not(madsim))]
pub(crate) fn may_wait() -> bool {
    DEDICATED.get()
}

/// Marks the thread while it lives; the runtime uses the thread for others later.
#[cfg(not(madsim))]
struct Mark;

#[cfg(not(madsim))]
impl Mark {
    fn set() -> Self {
        DEDICATED.set(true);
        Mark
    }
}

#[cfg(not(madsim))]
impl Drop for Mark {
    fn drop(&mut self) {
        DEDICATED.set(false);
    }
}
