//! Shortages: what is tried again while a disk has no room, or the process no descriptor.
//!
//! Both pass, and an error would end the member's part for good.

use std::fmt::Display;
use std::time::Duration;

/// How long is waited before it is looked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Tries for as long as the error is one that passes, which `passes` says. `what` is told to the log,
/// once, when it has to wait, and when it goes on.
///
/// # Errors
/// The first that does not pass.
pub(crate) async fn until_it_passes<T, E, F>(
    what: &str,
    passes: impl Fn(&E) -> bool,
    mut attempt: impl FnMut() -> F,
) -> Result<T, E>
where
    E: Display,
    F: Future<Output = Result<T, E>>,
{
    let mut told = false;
    loop {
        match attempt().await {
            Err(error) if passes(&error) => {
                if !told {
                    tracing::error!(%error, "{what} waits for room on the disk, or a descriptor");
                    told = true;
                }
                tokio::time::sleep(PAUSE).await;
            }
            done => {
                if told && done.is_ok() {
                    tracing::info!("{what} goes on");
                }
                return done;
            }
        }
    }
}
