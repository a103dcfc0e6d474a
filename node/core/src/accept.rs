//! Accept loop.
//!
//! Connections in, each served by a task of its own, up to a number of them; a clean end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gitstratum_host::net::{Listener, Stream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::limits;
use crate::seldom::Seldom;

/// Pause after a connection could not be accepted: trying again at once would spin.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// Accepts connections until `shutdown` says so, no more than `connections_max` at a time, and has
/// `serve` serve each. Those that are open then are told by the token, and waited for no longer
/// than `limits::SHUTDOWN_TIMEOUT`; whether all of them ended in time is returned.
pub async fn run<F>(
    listener: Listener,
    connections_max: usize,
    shutdown: impl Future<Output = ()> + Send,
    serve: impl Fn(Stream, SocketAddr, CancellationToken) -> F,
) -> bool
where
    F: Future<Output = ()> + Send + 'static,
{
    run_admitted(listener, connections_max, Some, shutdown, serve).await
}

/// As [`run`], with connections of whom `admit` admits, by what it gives for their addresses; the
/// others are closed as they come.
pub async fn run_admitted<A, F>(
    mut listener: Listener,
    connections_max: usize,
    admit: impl Fn(SocketAddr) -> Option<A>,
    shutdown: impl Future<Output = ()> + Send,
    serve: impl Fn(Stream, A, CancellationToken) -> F,
) -> bool
where
    F: Future<Output = ()> + Send + 'static,
{
    let (waiting, refused) = (Seldom::default(), Seldom::default());
    let slots = Arc::new(Semaphore::new(connections_max));
    // Not a `watch` channel: that wakes its waiters in an order that a counter of the whole
    // process decides.
    let stop = CancellationToken::new();
    let connections = TaskTracker::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        // A slot first: at the bound, connections wait in the listener's backlog.
        if slots.available_permits() == 0
            && let Some(count) = waiting.count()
        {
            let limit = connections_max;
            tracing::warn!(count, limit, "overloaded: connections wait, as many are open");
        }
        let accepted = async {
            let slot = slots.clone().acquire_owned().await.expect("the semaphore is not closed");
            (listener.accept().await, slot)
        };
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            (accepted, slot) = accepted => match accepted {
                Ok((stream, peer)) => {
                    let Some(admitted) = admit(peer) else { continue };
                    tracing::trace!(%peer, "connection accepted");
                    let token = connections.token();
                    let serving = serve(stream, admitted, stop.clone());
                    tokio::spawn(async move {
                        serving.await;
                        drop((slot, token));
                    });
                }
                Err(error) => {
                    // Out of descriptors, most likely.
                    if let Some(count) = refused.count() {
                        tracing::warn!(count, %error, "overloaded: no connection is accepted");
                    }
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            },
        }
    }
    drop(listener);
    connections.close();
    stop.cancel();
    tokio::time::timeout(limits::SHUTDOWN_TIMEOUT, connections.wait()).await.is_ok()
}
