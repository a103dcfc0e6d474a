//! Connections of one peer.
//!
//! One peer: the connections to it that may be leased, and who holds them.
//!
//! Invariant: leasing from a warm peer takes no lock. The list of ready connections is read
//! as a whole and replaced as a whole; places on a connection are taken by compare-and-swap.
//! Only who replaces the list holds the lock of [`Dialling`], one writer at a time.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::{BoxFuture, Shared};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::NodeError;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::budget::RetryBudget;
use super::connection::Connection;
use super::connections::Want;
use super::numbers::{ConnectionNumbers, Numbers, PeerNumbers};

/// What everyone who waits for a dial waits for.
pub(super) type Dial = Shared<BoxFuture<'static, Result<(), NodeError>>>;

/// A place among the connections that the pool may have open. Given back once, by whoever
/// is first to find the connection unused.
#[derive(Debug)]
pub(super) struct Slot {
    open: Arc<AtomicUsize>,
    released: AtomicBool,
}

impl Slot {
    /// A place, if one of `max` is free.
    pub(super) fn take(open: &Arc<AtomicUsize>, max: usize) -> Option<Slot> {
        let more = |open: usize| (open < max).then_some(open + 1);
        open.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Slot { open: open.clone(), released: AtomicBool::new(false) })
    }

    fn release(&self) {
        if !self.released.swap(true, Ordering::AcqRel) {
            let before = self.open.fetch_sub(1, Ordering::AcqRel);
            assert!(before > 0, "more places were given back than taken");
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.release();
    }
}

/// A connection in the pool.
pub(super) struct Entry {
    pub(super) connection: Connection,
    /// Requests on it.
    streams: AtomicU32,
    /// From then on it is to be replaced.
    pub(super) ages: Instant,
    /// Milliseconds after it was opened at which it was last asked who is there.
    probed_ms: AtomicU64,
    slot: Slot,
}

impl Entry {
    pub(super) fn new(connection: Connection, slot: Slot, age_max: Duration) -> Self {
        let opened = connection.life().opened();
        Entry {
            connection,
            streams: AtomicU32::new(0),
            ages: opened + age_max,
            probed_ms: AtomicU64::new(0),
            slot,
        }
    }

    fn take(&self, streams_max: u32) -> bool {
        let more = |streams: u32| (streams < streams_max).then_some(streams + 1);
        self.streams.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }

    fn opened_after(&self, moment: Option<Instant>) -> bool {
        moment.is_none_or(|moment| self.connection.life().opened() > moment)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.streams.load(Ordering::Acquire) == 0
    }

    /// When it was last heard or asked.
    pub(super) fn last_sign(&self) -> Instant {
        let life = self.connection.life();
        let probed = life.opened() + Duration::from_millis(self.probed_ms.load(Ordering::Relaxed));
        life.last_heard().max(probed)
    }

    /// It is being asked who is there.
    pub(super) fn set_probed(&self, now: Instant) {
        let ms = now.saturating_duration_since(self.connection.life().opened()).as_millis();
        self.probed_ms.store(u64::try_from(ms).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn numbers(&self) -> ConnectionNumbers {
        ConnectionNumbers {
            boot_id: self.connection.identity().boot_id,
            age: self.connection.life().opened().elapsed(),
            requests: self.streams.load(Ordering::Relaxed),
        }
    }
}

/// Why, and until when, a peer is not dialled.
pub(super) struct BackOff {
    pub(super) until: Instant,
    pub(super) error: NodeError,
    /// Where it was tried; another address ends the back-off.
    pub(super) tried: Vec<SocketAddr>,
    /// The resolver is not asked again before this.
    pub(super) next_look: Instant,
}

/// What those who open and evict connections need, one at a time.
pub(super) struct Dialling {
    pub(super) address: String,
    /// The layout has the peer no longer.
    pub(super) gone: bool,
    pub(super) dial: Option<Dial>,
    /// That dial only looks for another address, and may end with the error of the last.
    pub(super) looks: bool,
    /// Dials that failed since the last that succeeded.
    pub(super) failures: u32,
    /// Connections in a row that died as soon as they were opened.
    pub(super) stillborn: u32,
    pub(super) back_off: Option<BackOff>,
}

/// One peer.
pub(super) struct Peer {
    pub(super) node_id: NodeId,
    /// Newest first; replaced under the lock of `dialling` alone.
    ready: ArcSwap<Vec<Arc<Entry>>>,
    dialling: Mutex<Dialling>,
    /// A place on a connection, or a connection, became free; or the peer is gone.
    pub(super) room: Notify,
    /// The layout gave the peer another address while it was dialled.
    pub(super) moved: Notify,
    bytes: AtomicUsize,
    requests: AtomicUsize,
    waiters: AtomicUsize,
    /// Milliseconds after the pool was made.
    used_ms: AtomicU64,
    pub(super) budget: RetryBudget,
    pub(super) numbers: Numbers,
}

impl Peer {
    pub(super) fn new(node_id: NodeId, address: String) -> Self {
        let dialling = Dialling {
            address,
            gone: false,
            dial: None,
            looks: false,
            failures: 0,
            stillborn: 0,
            back_off: None,
        };
        Peer {
            node_id,
            ready: ArcSwap::default(),
            dialling: Mutex::new(dialling),
            room: Notify::new(),
            moved: Notify::new(),
            bytes: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            waiters: AtomicUsize::new(0),
            used_ms: AtomicU64::new(0),
            budget: RetryBudget::new(Instant::now()),
            numbers: Numbers::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Dialling> {
        self.dialling.lock().expect("nothing panics while it holds a peer's lock")
    }

    /// The lock, if nobody holds it.
    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, Dialling>> {
        self.dialling.try_lock().ok()
    }

    /// The connections that may be leased, the newest first.
    pub(super) fn ready(&self) -> Arc<Vec<Arc<Entry>>> {
        self.ready.load_full()
    }

    /// Replaces the list. `_writer` is the lock that makes this the only one to do so.
    pub(super) fn set_ready(&self, _writer: &mut Dialling, ready: Vec<Arc<Entry>>) {
        self.ready.store(Arc::new(ready));
    }

    /// A place on the newest connection that has one.
    pub(super) fn take(&self, want: Want, streams_max: u32) -> Option<Arc<Entry>> {
        let ready = self.ready.load();
        let usable = |entry: &&Arc<Entry>| {
            entry.opened_after(want.opened_after)
                && !entry.connection.is_closed()
                && entry.take(streams_max)
        };
        ready.iter().find(usable).cloned()
    }

    /// Connections that still take requests.
    pub(super) fn open(&self) -> usize {
        self.ready.load().iter().filter(|entry| !entry.connection.is_closed()).count()
    }

    /// Counts the data of a request, or says the bound that it would exceed. A single
    /// request may be larger than the bound.
    pub(super) fn room_for(self: &Arc<Self>, bytes: usize, max: usize) -> Result<Room, NodeError> {
        let more = |held: usize| {
            let sum = held.saturating_add(bytes);
            (bytes == 0 || held == 0 || sum <= max).then_some(sum)
        };
        if bytes > 0 && self.bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_err()
        {
            self.numbers.limited.inc();
            return Err(NodeError::Limited { bound: "bytes in flight to one peer", limit: max });
        }
        Ok(Room { peer: self.clone(), bytes })
    }

    /// Counts a waiting caller, or says the bound.
    pub(super) fn wait(&self, max: usize) -> Result<Waiting<'_>, NodeError> {
        let more = |waiters: usize| (waiters < max).then_some(waiters + 1);
        if self.waiters.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_err() {
            self.numbers.limited.inc();
            let bound = "callers that wait for a connection to one peer";
            return Err(NodeError::Limited { bound, limit: max });
        }
        Ok(Waiting(self))
    }

    /// Someone asks for the peer. Written at most every few milliseconds, because everyone
    /// reads it.
    pub(super) fn touch(&self, since_start: Duration) {
        let ms = u64::try_from(since_start.as_millis()).unwrap_or(u64::MAX);
        if ms.saturating_sub(self.used_ms.load(Ordering::Relaxed)) > 16 {
            self.used_ms.store(ms, Ordering::Relaxed);
        }
    }

    /// When it was last asked for, after the pool was made.
    pub(super) fn used(&self) -> Duration {
        Duration::from_millis(self.used_ms.load(Ordering::Relaxed))
    }

    /// Gives back the places of an evicted connection that nobody uses.
    pub(super) fn release(entry: &Entry) {
        if entry.is_idle() {
            entry.slot.release();
        }
    }

    pub(super) fn numbers(&self) -> PeerNumbers {
        let (address, backing_off) = {
            let dialling = self.lock();
            let backing_off = dialling.back_off.as_ref().map(|back_off| back_off.error.to_string());
            (dialling.address.clone(), backing_off)
        };
        PeerNumbers {
            node_id: self.node_id.clone(),
            address,
            connections: self.ready.load().iter().map(|entry| entry.numbers()).collect(),
            requests: self.requests.load(Ordering::Relaxed),
            bytes_in_flight: self.bytes.load(Ordering::Relaxed),
            waiters: self.waiters.load(Ordering::Relaxed),
            backing_off,
            counts: self.numbers.read(),
        }
    }
}

/// Object data that is counted against the peer's bound.
pub(super) struct Room {
    peer: Arc<Peer>,
    bytes: usize,
}

impl Room {
    /// With a place on a connection, which was taken for it.
    pub(super) fn on(self, entry: Arc<Entry>) -> Held {
        self.peer.requests.fetch_add(1, Ordering::Relaxed);
        Held { entry, room: self }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.bytes > 0 {
            let before = self.peer.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
            assert!(before >= self.bytes, "more bytes were given back than taken");
        }
    }
}

/// A caller that waits.
pub(super) struct Waiting<'p>(&'p Peer);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiters.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What a lease holds: a place on a connection, and room for its data.
pub(super) struct Held {
    entry: Arc<Entry>,
    room: Room,
}

impl Held {
    pub(super) fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    pub(super) fn peer(&self) -> &Arc<Peer> {
        &self.room.peer
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let peer = &self.room.peer;
        let streams = self.entry.streams.fetch_sub(1, Ordering::SeqCst);
        assert!(streams > 0, "more places on a connection were given back than taken");
        peer.requests.fetch_sub(1, Ordering::Relaxed);
        // A waiter counts itself before it looks for a place, and looks before it waits: so
        // either it is seen here, or it sees the place that was just given back.
        if peer.waiters.load(Ordering::SeqCst) > 0 {
            peer.room.notify_one();
        }
    }
}
