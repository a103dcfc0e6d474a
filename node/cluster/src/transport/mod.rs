//! Connection pool.
//!
//! Connections to peers: dial, identify, reuse, replace, evict.
//!
//! One entry is one identified HTTP/2 connection to one peer. However many callers want a
//! peer that has none, one dial is made (single-flight); it runs in a task of its own, so
//! a caller that gives up cancels it for nobody. A failed dial answers all who waited, and
//! whoever asks again before its back-off has passed. Leasing from a warm peer takes no
//! lock. Everything that can grow is bounded, and says which bound was reached.
//!
//! Which peers to talk to, and when, is left to others: the pool opens nothing unasked but
//! the replacement of a connection that is in use and has become old.

mod bearer;
mod budget;
mod connection;
mod connections;
mod dial;
mod dialling;
mod grant;
mod holder;
mod life;
mod numbers;
mod options;
mod peer;
mod secure;
pub mod server;
mod upkeep;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use gitstratum_core::placement::{CurrentLayout, Layout, MemberState, NodeId};
use gitstratum_core::replica::NodeError;
use rand_chacha::ChaCha12Rng;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use bearer::Bearer;
pub use connection::{Channel, Connection, End, Identity, Rpc, bounded};
pub use connections::{Connections, Lease, Want};
pub use dial::{Dialler, Keepalive};
pub use grant::{Caller, Grant, Grants, NoGrant, Recency, Scope};
pub use holder::Holder;
pub use life::{Life, Watched};
pub use numbers::{
    ConnectionNumbers, Eviction, PeerNumbers, PoolCounts, PoolNumbers, register_metrics,
};
pub use options::PoolOptions;
pub use secure::{PROTOCOLS, Secured, Security};

use connections::silent;
use dialling::Next;
use peer::{Dialling, Entry, Peer, Room, Slot};

type Peers = BTreeMap<NodeId, Arc<Peer>>;

struct Inner {
    dialler: Dialler,
    options: PoolOptions,
    /// Replaced as a whole when the layout changes.
    peers: ArcSwap<Peers>,
    /// Draws jitter.
    rng: Mutex<ChaCha12Rng>,
    /// Connections that are open, those that only finish their requests among them.
    open: Arc<AtomicUsize>,
    /// Of peers that the layout has no longer.
    removed_peers: Mutex<PoolCounts>,
    started: Instant,
    /// There is something new to look after.
    tend: Arc<Notify>,
}

/// Connections to the members of a layout. Its tasks end with it.
pub struct Pool {
    inner: Arc<Inner>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Pool {
    /// A pool without connections, which follows `layout` and accepts nodes of its cluster
    /// alone. `rng` draws jitter.
    pub fn new(
        dialler: Dialler,
        layout: &CurrentLayout,
        rng: ChaCha12Rng,
        options: PoolOptions,
    ) -> Self {
        let in_force = layout.get();
        let inner = Arc::new(Inner {
            dialler: dialler
                .of_cluster(in_force.cluster.clone())
                .keepalive(Some(options.keepalive)),
            options,
            peers: ArcSwap::default(),
            rng: Mutex::new(rng),
            open: Arc::default(),
            removed_peers: Mutex::default(),
            started: Instant::now(),
            tend: Arc::default(),
        });
        inner.apply(&in_force);
        let follow = follow(Arc::downgrade(&inner), layout.clone(), in_force.version);
        let upkeep = upkeep::upkeep(Arc::downgrade(&inner), inner.tend.clone());
        Pool { inner, tasks: [tokio::spawn(follow), tokio::spawn(upkeep)] }
    }
}

#[async_trait]
impl Connections for Pool {
    async fn lease(&self, peer: &NodeId, want: Want) -> Result<Lease, NodeError> {
        let inner = &self.inner;
        let Some(peer) = inner.peers.load().get(peer).cloned() else {
            return Err(NodeError::NotMember(peer.clone()));
        };
        let began = Instant::now();
        peer.touch(began.duration_since(inner.started));
        peer.budget.deposit();
        let room = peer.room_for(want.bytes, inner.options.bytes_in_flight_per_peer_max)?;
        let entry = match peer.take(want, inner.options.streams_per_connection_max) {
            Some(entry) => {
                peer.numbers.hits.inc();
                entry
            }
            None => {
                peer.numbers.misses.inc();
                inner.wait(&peer, want).await?
            }
        };
        Ok(Lease::counted(entry.connection.clone(), began, Room::on(room, entry)))
    }

    fn ended(&self, _peer: &NodeId, lease: &Lease, outcome: Result<(), &NodeError>) {
        let Some(held) = lease.held() else { return };
        match outcome {
            Err(NodeError::ConnectionLost { .. }) => {
                let reason = Eviction::of_end(held.entry().connection.end());
                self.inner.evict(held.peer(), held.entry(), reason);
            }
            // Late because the peer is slow, or because the flow is dead?
            Err(NodeError::TimedOut { .. }) if silent(lease, Instant::now()) => {
                self.inner.evict(held.peer(), held.entry(), Eviction::NoLife);
            }
            _ => {}
        }
    }

    fn may_retry(&self, peer: &NodeId) -> bool {
        let peers = self.inner.peers.load();
        let Some(peer) = peers.get(peer) else { return false };
        let may = peer.budget.withdraw(Instant::now());
        if may {
            peer.numbers.retries.inc();
        } else {
            peer.numbers.retries_refused.inc();
        }
        may
    }

    fn numbers(&self) -> PoolNumbers {
        let inner = &self.inner;
        PoolNumbers {
            connections: inner.open.load(Ordering::Acquire),
            peers: inner.peers.load().values().map(|peer| peer.numbers()).collect(),
            removed_peers: *inner.removed_peers.lock().expect("nothing panics while it adds"),
        }
    }
}

impl Inner {
    /// Waits until a connection to `peer` has a place, opening one where there are too few.
    async fn wait(self: &Arc<Self>, peer: &Arc<Peer>, want: Want) -> Result<Arc<Entry>, NodeError> {
        let _waiting = peer.wait(self.options.waiters_per_peer_max)?;
        loop {
            let mut room = std::pin::pin!(peer.room.notified());
            // Registered before looking, so that no place is given back in between.
            room.as_mut().enable();
            match self.next(peer, want)? {
                Next::Leased(entry) => return Ok(entry),
                Next::Dialled(dial) => dial.await?,
                Next::RoomOrDialled(dial) => {
                    let dialled = tokio::select! {
                        biased;
                        () = room.as_mut() => continue,
                        dialled = dial => dialled,
                    };
                    // That another connection cannot be had is no reason to fail: there is
                    // one, and a place on it will become free, or has already.
                    if dialled.is_err() {
                        room.await;
                    }
                }
                Next::Looked(dial) => drop(dial.await),
                Next::Room => room.await,
                Next::BackedOff(until) => tokio::select! {
                    biased;
                    () = room => {}
                    () = tokio::time::sleep_until(until) => {}
                },
            }
        }
    }

    /// Takes a connection out of the pool; requests on it may finish, unless it is dead.
    fn evict(&self, peer: &Peer, entry: &Arc<Entry>, reason: Eviction) {
        self.evict_locked(peer, &mut peer.lock(), entry, reason);
    }

    fn evict_locked(
        &self,
        peer: &Peer,
        dialling: &mut Dialling,
        entry: &Arc<Entry>,
        reason: Eviction,
    ) {
        let ready = peer.ready();
        if ready.iter().any(|other| Arc::ptr_eq(other, entry)) {
            let rest = ready.iter().filter(|other| !Arc::ptr_eq(other, entry)).cloned().collect();
            peer.set_ready(dialling, rest);
            peer.numbers.evicted(reason);
            tracing::debug!(peer = %peer.node_id, reason = reason.name(), "connection evicted");
            self.note_end(dialling, entry, reason);
        }
        if matches!(reason, Eviction::Broken | Eviction::NoLife | Eviction::Probe) {
            entry.connection.life().kill();
        }
        Peer::release(entry);
    }

    /// Follows the layout: new peers come, those that left or moved lose their connections.
    fn apply(&self, layout: &Layout) {
        let before = self.peers.load_full();
        let mut after = Peers::new();
        for member in &layout.members {
            let peer = match before.get(&member.node_id) {
                Some(peer) => {
                    self.relocate(peer, &member.address);
                    if member.state == MemberState::Removed {
                        // Nobody's replica any more; who wants its status may dial it.
                        self.evict_all(peer, Eviction::Dropped);
                    }
                    peer.clone()
                }
                None => Arc::new(Peer::new(member.node_id.clone(), member.address.clone())),
            };
            after.insert(member.node_id.clone(), peer);
        }
        self.peers.store(Arc::new(after));
        let dropped = before.values().filter(|peer| layout.member(&peer.node_id).is_none());
        dropped.for_each(|peer| self.drop_peer(peer));
    }

    fn relocate(&self, peer: &Arc<Peer>, address: &str) {
        {
            let mut dialling = peer.lock();
            if dialling.address == address {
                return;
            }
            dialling.address = address.to_owned();
            if dialling.back_off.take().is_some() {
                peer.numbers.backoffs_cut_short.inc();
            }
            dialling.failures = 0;
        }
        peer.moved.notify_one();
        self.evict_all(peer, Eviction::Moved);
    }

    fn drop_peer(&self, peer: &Arc<Peer>) {
        peer.lock().gone = true;
        peer.moved.notify_one();
        self.evict_all(peer, Eviction::Dropped);
        peer.room.notify_waiters();
        *self.removed_peers.lock().expect("nothing panics while it adds") += peer.numbers.read();
    }

    fn evict_all(&self, peer: &Arc<Peer>, reason: Eviction) {
        for entry in peer.ready().iter() {
            self.evict(peer, entry, reason);
        }
    }

    /// A place for one more connection: a free one, or that of the unused connection whose
    /// peer was asked for longest ago.
    fn slot(&self) -> Result<Slot, NodeError> {
        let max = self.options.connections_max;
        let full = || NodeError::Limited { bound: "connections of the pool", limit: max };
        if let Some(slot) = Slot::take(&self.open, max) {
            return Ok(slot);
        }
        let peers = self.peers.load_full();
        let idle = |peer: &&Arc<Peer>| {
            let ready = peer.ready();
            !ready.is_empty() && ready.iter().all(|entry| entry.is_idle())
        };
        let mut idle: Vec<_> = peers.values().filter(idle).collect();
        idle.sort_by_key(|peer| peer.used());
        for peer in idle {
            // The caller holds a peer's lock, so another's is not waited for; a peer that
            // is being dialled is about to be used anyway.
            let Some(mut dialling) = peer.try_lock() else { continue };
            for entry in peer.ready().iter() {
                self.evict_locked(peer, &mut dialling, entry, Eviction::Displaced);
            }
            if let Some(slot) = Slot::take(&self.open, max) {
                return Ok(slot);
            }
        }
        Err(full())
    }
}

/// Keeps the pool to the layout in force.
async fn follow(inner: std::sync::Weak<Inner>, layout: CurrentLayout, mut version: u64) {
    loop {
        let newer = layout.changed_since(version).await;
        version = newer.version;
        let Some(inner) = inner.upgrade() else { return };
        inner.apply(&newer);
    }
}
