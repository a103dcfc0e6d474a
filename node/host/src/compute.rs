//! CPU-bound work.
//!
//! Work that keeps a processor busy for long.

#[cfg(not(madsim))]
use std::sync::{Arc, Mutex};

/// Runs `work` where it delays nobody who waits for input or output: on a thread of its
/// own in the real world. In the simulated one, where computing takes no time, at once.
///
/// A runtime that is being shut down begins nothing any more: then `work` is done where it is
/// waited for.
///
/// # Panics
/// When `work` does.
#[cfg(not(madsim))]
pub async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let work = Arc::new(Mutex::new(Some(work)));
    let here = work.clone();
    match tokio::task::spawn_blocking(move || take(&work)()).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_cancelled) => take(&here)(),
    }
}

#[cfg(not(madsim))]
fn take<F>(work: &Mutex<Option<F>>) -> F {
    work.lock().expect("nothing panics with it").take().expect("one of two takes it")
}

/// Runs `work` where it delays nobody who waits for input or output: on a thread of its
/// own in the real world. In the simulated one, where computing takes no time, at once.
///
/// # Panics
/// When `work` does.
#[cfg(madsim)]
pub async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    work()
}

/// How many threads can compute at once, as far as the system tells.
#[cfg(not(madsim))]
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// How many threads can compute at once: one, in the simulated world.
#[cfg(madsim)]
pub fn processors() -> usize {
    1
}

#[cfg(all(test, not(madsim)))]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::compute;
    use crate::dedicated;

    #[test]
    fn a_runtime_that_is_shut_down_computes_what_it_was_asked_for() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (shut, is_shut) = mpsc::channel::<()>();
        let (answer, answered) = mpsc::channel();
        let entered = runtime.enter();
        dedicated(async move {
            is_shut.recv().unwrap();
            answer.send(compute(|| 6 * 7).await)
        });
        drop(entered);
        runtime.shutdown_background();
        shut.send(()).unwrap();
        assert_eq!(answered.recv_timeout(Duration::from_secs(10)), Ok(42));
    }
}
