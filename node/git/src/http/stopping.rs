//! Graceful stop of connections that are new.
//!
//! Whoever was connected a moment before a server stops cannot go elsewhere: git and curl try another
//! address of a name where none answers, and not where a connection breaks off. So a connection on
//! which nothing was asked yet has a moment for its handshake and for its first request, which is
//! answered, and told that it was the last. On older ones a client that finds them closed asks again.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// So long is a handshake waited for when the server stops, and after it a first request. Short beside
/// `limits::SHUTDOWN_TIMEOUT`: it is waited for clients that say nothing, too.
pub(super) const NEW_CONNECTION_GRACE: Duration = Duration::from_secs(2);

/// Whether anything was asked on a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct FirstRequest(CancellationToken);

impl FirstRequest {
    pub(super) fn came(&self) {
        self.0.cancel();
    }

    /// Returns when the connection is to be told that it ends: when the server stops, and something
    /// was asked or has not been for a moment.
    pub(super) async fn or_too_late(&self, stop: &CancellationToken) {
        stop.cancelled().await;
        // Either way it is told now.
        let _ = tokio::time::timeout(NEW_CONNECTION_GRACE, self.0.cancelled()).await;
    }
}

/// Returns when a handshake is no longer waited for because the server stops.
pub(super) async fn too_late_to_begin(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(NEW_CONNECTION_GRACE).await;
}
