//! Loads: so many callers, each waiting for its own call before it makes the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::contender::{Caller, Contender, Refs, SERVERS};
use crate::process::{Servers, processor_time};
use crate::{Error, Outcome};

/// Before the clock starts.
const WARM_UP: Duration = Duration::from_millis(500);

/// What callers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Update,
    Read,
}

/// Which servers callers ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// The one that leads.
    Leader,
    /// One that does not.
    Follower,
    /// Caller after caller the next one.
    All,
}

/// A load.
#[derive(Debug)]
pub struct Load {
    /// Its name in the table.
    pub name: &'static str,
    call: Call,
    callers: usize,
    asked: Asked,
    refs: Refs,
}

impl Load {
    /// All loads, in the order of the table.
    pub const ALL: [Load; 7] = [
        Load::of("update by 1 client of the leader", Call::Update, 1, Asked::Leader),
        Load::of("update by 1 client of a follower", Call::Update, 1, Asked::Follower),
        Load::of("update by 64 clients", Call::Update, 64, Asked::All),
        Load {
            refs: Refs::Together,
            ..Load::of("update by 64 clients one repository", Call::Update, 64, Asked::All)
        },
        Load::of("read by 1 client of the leader", Call::Read, 1, Asked::Leader),
        Load::of("read by 1 client of a follower", Call::Read, 1, Asked::Follower),
        Load::of("read by 64 clients", Call::Read, 64, Asked::All),
    ];

    const fn of(name: &'static str, call: Call, callers: usize, asked: Asked) -> Self {
        Load { name, call, callers, asked, refs: Refs::Apart }
    }

    /// Puts it on a cluster for a time.
    pub async fn run(&self, contender: &dyn Contender, time: Duration) -> Outcome<Turn> {
        let leader = contender.leader().await?;
        // Refs of their own in each turn.
        let name = format!("turn-{}", next_caller());
        let mut callers = contender.callers(&name, self.callers, self.refs).await?;
        for (place, caller) in callers.iter_mut().enumerate() {
            caller.turn_to(match self.asked {
                Asked::Leader => leader,
                Asked::Follower => (leader + 1) % SERVERS,
                Asked::All => place % SERVERS,
            });
        }
        let again = |caller| match self.call {
            Call::Update => Box::new(Updates(caller)) as Box<dyn Again>,
            Call::Read => Box::new(Reads(caller)),
        };
        let callers = callers.into_iter().map(again).collect();
        let what = format!("{}: {}", contender.name(), self.name);
        measure(&what, contender.servers(), callers, time).await
    }
}

/// Something that is done again and again.
#[async_trait]
pub trait Again: Send {
    /// Once.
    async fn once(&mut self) -> Outcome<()>;
}

struct Updates(Box<dyn Caller>);

#[async_trait]
impl Again for Updates {
    async fn once(&mut self) -> Outcome<()> {
        self.0.update().await
    }
}

struct Reads(Box<dyn Caller>);

#[async_trait]
impl Again for Reads {
    async fn once(&mut self) -> Outcome<()> {
        self.0.read().await
    }
}

/// Has callers do something again and again, all at the same time, and says what came of it.
///
/// # Errors
/// What the first of them failed with; or that nothing ended in time.
pub async fn measure(
    what: &str,
    servers: &Servers,
    callers: Vec<Box<dyn Again>>,
    time: Duration,
) -> Outcome<Turn> {
    let clock = Arc::new(Clock::default());
    let mut running = JoinSet::new();
    for caller in callers {
        running.spawn(again_until_over(caller, clock.clone()));
    }
    sleep(WARM_UP).await;
    let processor_times = || Ok::<_, Error>((servers.processor_time()?, processor_time("self")?));
    let (before, written_before) = (processor_times()?, servers.device_bytes());
    let begun = Instant::now();
    clock.counts.store(true, Ordering::Relaxed);
    sleep(time).await;
    clock.is_over.store(true, Ordering::Relaxed);
    let took = begun.elapsed();
    let (after, written) = (processor_times()?, servers.device_bytes());
    let mut latencies = Vec::new();
    while let Some(ended) = running.join_next().await {
        latencies.append(&mut ended??);
    }
    latencies.sort_unstable();
    if latencies.is_empty() {
        return Err(format!("{what}: no call ended in time").into());
    }
    let calls = latencies.len() as f64;
    Ok(Turn {
        per_second: calls / took.as_secs_f64(),
        p50: percentile(&latencies, 0.50),
        p99: percentile(&latencies, 0.99),
        servers_processor: after.0.saturating_sub(before.0).div_f64(calls),
        callers_processor: after.1.saturating_sub(before.1).div_f64(calls),
        written_bytes: written.zip(written_before).map(|(now, then)| (now - then) as f64 / calls),
    })
}

/// What callers are told of the time.
#[derive(Default)]
struct Clock {
    counts: AtomicBool,
    is_over: AtomicBool,
}

async fn again_until_over(mut caller: Box<dyn Again>, clock: Arc<Clock>) -> Outcome<Vec<Duration>> {
    let mut latencies = Vec::new();
    while !clock.is_over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        caller.once().await?;
        // What ends while the clock runs counts.
        if clock.counts.load(Ordering::Relaxed) && !clock.is_over.load(Ordering::Relaxed) {
            latencies.push(begun.elapsed());
        }
    }
    Ok(latencies)
}

/// What came of a load in one turn.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    pub per_second: f64,
    pub p50: Duration,
    pub p99: Duration,
    /// Time that the three servers together were on processors, per call.
    pub servers_processor: Duration,
    /// The same of the callers: the benchmark's own process.
    pub callers_processor: Duration,
    /// Bytes per call that the device wrote on which the data is, whoever's they were; where the system
    /// says that.
    pub written_bytes: Option<f64>,
}

/// The value that this share of sorted ones does not exceed.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let at = (sorted.len() as f64 * share) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// Numbers callers through the whole run, so that no two are taken for one.
pub fn next_caller() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}
