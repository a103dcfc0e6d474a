//! The operator's or the supervisor's request to stop.

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
