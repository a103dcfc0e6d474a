//! Signals.
//!
//! The operator's or the supervisor's requests: to stop, and to read the configuration again.

#[cfg(all(test, not(madsim)))]
mod tests;

/// Requests to stop: `SIGINT` or `SIGTERM`, or their stand-in in the simulated world.
#[derive(Debug)]
pub struct Terminations {
    /// `SIGTERM` and `SIGINT`; none of what cannot be watched.
    #[cfg(not(madsim))]
    signals: [Option<tokio::signal::unix::Signal>; 2],
}

impl Terminations {
    /// Watches from now on; no request from here on ends the process by itself. A signal that
    /// cannot be watched is logged and never arrives.
    #[cfg(not(madsim))]
    pub fn watch() -> Self {
        use tokio::signal::unix::SignalKind;

        Terminations { signals: [SignalKind::terminate(), SignalKind::interrupt()].map(watched) }
    }

    /// Watches from the first [`Terminations::next`] on; until then a request ends the process
    /// as a crash would.
    #[cfg(madsim)]
    pub fn watch() -> Self {
        Terminations {}
    }

    /// Waits for the next request. Safe to drop at any time; several that nobody waited for
    /// count as one.
    #[cfg(not(madsim))]
    pub async fn next(&mut self) {
        let [terminate, interrupt] = &mut self.signals;
        tokio::select! {
            biased;
            () = arrival(terminate) => {}
            () = arrival(interrupt) => {}
        }
    }

    /// Waits for the next request.
    #[cfg(madsim)]
    pub async fn next(&mut self) {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "requests to stop cannot be watched");
            std::future::pending().await
        }
    }
}

#[cfg(not(madsim))]
fn watched(kind: tokio::signal::unix::SignalKind) -> Option<tokio::signal::unix::Signal> {
    let signals = tokio::signal::unix::signal(kind);
    let failed = |error: &std::io::Error| {
        tracing::error!(?kind, %error, "this signal cannot be watched");
    };
    signals.inspect_err(failed).ok()
}

#[cfg(not(madsim))]
async fn arrival(signals: &mut Option<tokio::signal::unix::Signal>) {
    if let Some(signals) = signals
        && signals.recv().await.is_some()
    {
        return;
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
        Hangups { signals: watched(tokio::signal::unix::SignalKind::hangup()) }
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
        arrival(&mut self.signals).await;
    }

    /// Waits for ever.
    #[cfg(madsim)]
    pub async fn next(&mut self) {
        std::future::pending().await
    }
}
