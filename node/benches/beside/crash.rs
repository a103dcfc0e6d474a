//! Crash of the leader: how long it is until an update is acknowledged that began after it.
//!
//! Updates begin all the time, one every few milliseconds, through both survivors: the first of them
//! to be acknowledged counts, whichever it is. What was sent to the dead leader may hang as long as it
//! likes.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::Outcome;
use crate::contender::{Contender, Refs, SERVERS};

/// Its name among the loads.
pub const NAME: &str = "crash of the leader";
/// Between two updates that begin.
const PACE: Duration = Duration::from_millis(20);
/// Updates that begin before nobody is waited for any more.
const UPDATES: usize = 1000;
/// Updates that run before the crash, so that it comes in the middle of something.
const BUSY: usize = 8;
/// How long the killed one may take to answer again.
const RETURN_MAX: Duration = Duration::from_secs(60);
const RETURN_PAUSE: Duration = Duration::from_millis(200);

/// Kills the leader, waits for the next update and for the killed one's return; gives the time up to
/// the former.
pub async fn measure(contender: &mut dyn Contender, crash: usize) -> Outcome<Duration> {
    let name = format!("crash-{crash}");
    let mut callers = contender.callers(&name, BUSY + UPDATES, Refs::Together).await?;
    let leader = contender.leader().await?;
    for (place, caller) in callers.iter_mut().enumerate() {
        caller.turn_to((leader + 1 + place % (SERVERS - 1)) % SERVERS);
    }
    let mut running = JoinSet::new();
    for mut busy in callers.split_off(UPDATES) {
        // Until the leader dies.
        running.spawn(async move { while busy.update().await.is_ok() {} });
    }
    sleep(10 * PACE).await;
    let (done, mut first) = mpsc::unbounded_channel();
    contender.kill(leader)?;
    let killed = Instant::now();
    let mut acknowledged = None;
    for mut caller in callers {
        let done = done.clone();
        running.spawn(async move {
            if caller.update().await.is_ok() {
                // Nobody may wait for it any more.
                let _ = done.send(Instant::now());
            }
        });
        if let Ok(at) = timeout(PACE, first.recv()).await {
            acknowledged = at;
            break;
        }
    }
    running.shutdown().await;
    let acknowledged = acknowledged.ok_or_else(|| {
        format!("{}: no update was acknowledged after its leader's crash", contender.name())
    })?;
    contender.start_again(leader)?;
    wait_for_return(contender, &name, leader).await?;
    Ok(acknowledged - killed)
}

/// Waits until a server that was started again takes updates. Callers are made through all servers, so
/// that may fail as well while it is not back.
async fn wait_for_return(contender: &dyn Contender, name: &str, server: usize) -> Outcome<()> {
    let until = Instant::now() + RETURN_MAX;
    for attempt in 0.. {
        match updates_through(contender, &format!("{name}-{attempt}"), server).await {
            Ok(()) => break,
            Err(error) if Instant::now() > until => return Err(error),
            Err(_) => sleep(RETURN_PAUSE).await,
        }
    }
    Ok(())
}

async fn updates_through(contender: &dyn Contender, name: &str, server: usize) -> Outcome<()> {
    let mut callers = contender.callers(name, 1, Refs::Apart).await?;
    for caller in &mut callers {
        caller.turn_to(server);
        caller.update().await?;
    }
    Ok(())
}
