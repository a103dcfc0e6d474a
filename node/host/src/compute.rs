//! Work that keeps a processor busy for long.

/// Runs `work` where it delays nobody who waits for input or output: on a thread of its
/// own in the real world. In the simulated one, where computing takes no time, at once.
///
/// # Panics
/// When `work` does, or when the runtime is being shut down.
#[cfg(not(madsim))]
pub async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => panic!("asked to compute while shutting down: {error}"),
    }
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
