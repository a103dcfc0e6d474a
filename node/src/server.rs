//! A node, assembled: configuration and host in, a running server out.

use std::future::Future;

use gitstratum_host::Host;
use rand_chacha::ChaCha12Rng;

use crate::config::Config;

/// Why a node did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be bound.
    #[error("listen: {address}: {source}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The data directory is unusable, in use, or another node's.
    #[error("data: {0}")]
    Data(String),
}

/// Runs a node until `shutdown` completes and what was in flight is done, or
/// `limits::SHUTDOWN_TIMEOUT` has passed. `ready` is told the bound address.
///
/// # Errors
/// [`ServeError`], before the port is bound where possible.
pub async fn serve(
    config: Config,
    host: Host,
    rng: ChaCha12Rng,
    ready: impl FnOnce(std::net::SocketAddr) + Send,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let _ = (config, host, rng, ready, shutdown);
    todo!()
}
