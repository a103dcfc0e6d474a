//! The operator's or the supervisor's requests: to stop, and to read the configuration again.

#[cfg(all(test, not(madsim)))]
mod tests;

/// Completes at the first request to stop: `SIGINT` or `SIGTERM`, or their stand-in in
/// the simulated world. Asking begins when the future is first polled; until then the
/// signals keep their default effect.
///
/// A signal that cannot be watched is logged and never arrives.
#[cfg(not(madsim))]
pub async fn termination() {
    use tokio::signal::unix::SignalKind;

    tokio::select! {
        biased;
        () = arrival(SignalKind::terminate()) => {}
        () = arrival(SignalKind::interrupt()) => {}
    }
}

#[cfg(not(madsim))]
async fn arrival(kind: tokio::signal::unix::SignalKind) {
    match tokio::signal::unix::signal(kind) {
        Ok(mut signals) => {
            if signals.recv().await.is_some() {
                return;
            }
        }
        Err(error) => tracing::error!(?kind, %error, "this signal cannot be watched"),
    }
    std::future::pending().await
}

/// Requests to read the configuration again: `SIGHUP`. None comes in the simulated world,
/// where nobody sits at a terminal.
#[derive(Debug)]
pub struct Hangups {
    #[cfg(not(madsim))]
    signals: Option<tokio::signal::unix::Signal>,
}

impl Hangups {
    /// Watches from now on; no request from here on ends the process. If the signal cannot
    /// be watched, that is logged and none ever arrives.
    #[cfg(not(madsim))]
    pub fn watch() -> Self {
        use tokio::signal::unix::{SignalKind, signal};

        let signals = signal(SignalKind::hangup());
        let failed = |error: &std::io::Error| tracing::error!(%error, "SIGHUP cannot be watched");
        Hangups { signals: signals.inspect_err(failed).ok() }
    }

    /// Watches for what never comes.
    #[cfg(madsim)]
    pub fn watch() -> Self {
        Hangups {}
    }

    /// Waits for the next request. Safe to drop at any time; several that nobody waited for
    /// count as one.
    #[cfg(not(madsim))]
    pub async fn next(&mut self) {
        if let Some(signals) = &mut self.signals
            && signals.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }

    /// Waits for ever.
    #[cfg(madsim)]
    pub async fn next(&mut self) {
        std::future::pending().await
    }
}

/// Completes at the first request to stop: `SIGINT` or `SIGTERM`, or their stand-in in
/// the simulated world. Asking begins when the future is first polled; until then a
/// request ends the process as a crash would.
#[cfg(madsim)]
pub async fn termination() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::error!(%error, "requests to stop cannot be watched");
        std::future::pending().await
    }
}
