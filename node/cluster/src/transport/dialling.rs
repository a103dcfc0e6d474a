//! Single-flight dialling with back-off.
//!
//! Opening connections for a peer: one dial at a time, and when not to dial.
//!
//! Invariant: a peer is dialled by one task at most. What it comes to is the answer for all
//! who waited. After a failure nobody dials before the back-off has passed, unless the peer
//! has another address: the layout says so at once, and the resolver is asked when somebody
//! wants the peer, though not more often than every `limits::DIAL_LOOK_INTERVAL`.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::FutureExt;
use gitstratum_core::backoff::exponential;
use gitstratum_core::limits;
use gitstratum_core::replica::{DialError, NodeError};
use gitstratum_core::trace;
use rand::Rng;
use tokio::time::Instant;
use tracing::debug_span;

use super::Inner;
use super::connection::{Connection, End};
use super::connections::Want;
use super::numbers::Eviction;
use super::peer::{BackOff, Dial, Dialling, Entry, Peer, Slot};

/// What a caller that found no place does next.
pub(super) enum Next {
    /// There is one after all.
    Leased(Arc<Entry>),
    /// Wait for a dial; its failure is the answer.
    Dialled(Dial),
    /// Wait for a dial, or for a place on a connection that is there.
    RoomOrDialled(Dial),
    /// Wait for a place.
    Room,
    /// Wait until the peer may be dialled again.
    BackedOff(Instant),
    /// Wait for a look at the peer's name; that it finds nothing is no answer.
    Looked(Dial),
}

/// Where a peer was dialled in vain.
type Tried = Vec<SocketAddr>;

/// Why a dial failed, and where; `None` for a look that found no other address.
type Failed = Option<(NodeError, Tried)>;

impl Inner {
    /// Decides what a caller of `peer` waits for; begins a dial where that is called for.
    pub(super) fn next(self: &Arc<Self>, peer: &Arc<Peer>, want: Want) -> Result<Next, NodeError> {
        let mut dialling = peer.lock();
        if dialling.gone {
            return Err(NodeError::NotMember(peer.node_id.clone()));
        }
        let streams_max = self.options.streams_per_connection_max;
        if let Some(entry) = peer.take(want, streams_max) {
            return Ok(Next::Leased(entry));
        }
        // A second attempt may not use what is there, so it waits for the dial alone.
        let there = peer.open();
        let waits_for_dial = there == 0 || want.opened_after.is_some();
        if let Some(dial) = dialling.dial.clone() {
            if want.patient && dialling.looks && there == 0 {
                return Ok(Next::Looked(dial));
            }
            return Ok(if waits_for_dial {
                Next::Dialled(dial)
            } else {
                Next::RoomOrDialled(dial)
            });
        }
        if there >= self.options.connections_per_peer_max {
            let any = Want { opened_after: None, ..want };
            return Ok(peer.take(any, streams_max).map_or(Next::Room, Next::Leased));
        }
        if want.patient
            && there == 0
            && let Some(back_off) = &dialling.back_off
            && Instant::now() < back_off.until
        {
            return Ok(Next::BackedOff(back_off.until));
        }
        match self.begin(peer, &mut dialling) {
            Ok(dial) if waits_for_dial => Ok(Next::Dialled(dial)),
            Ok(dial) => Ok(Next::RoomOrDialled(dial)),
            Err(error) if there == 0 => Err(error),
            Err(_) => {
                let any = Want { opened_after: None, ..want };
                Ok(peer.take(any, streams_max).map_or(Next::Room, Next::Leased))
            }
        }
    }

    /// Begins a dial, unless the peer is backed off from or the pool is full.
    pub(super) fn begin(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        dialling: &mut Dialling,
    ) -> Result<Dial, NodeError> {
        assert!(dialling.dial.is_none(), "one dial of a peer at a time");
        let now = Instant::now();
        let mut look = None;
        if let Some(back_off) = &mut dialling.back_off
            && now < back_off.until
        {
            let fixed = dialling.address.parse::<SocketAddr>().is_ok();
            if fixed || now < back_off.next_look {
                return Err(back_off.error.clone());
            }
            back_off.next_look = now + limits::DIAL_LOOK_INTERVAL;
            look = Some(back_off.tried.clone());
        }
        let slot = self.slot().inspect_err(|_| _ = peer.numbers.limited.inc())?;
        dialling.looks = look.is_some();
        // Of all who wait for it, the first one's trace has it, or else it is one by itself.
        let span = match trace::current().and_then(|context| context.span) {
            Some(_) => debug_span!("dial", peer = %peer.node_id),
            None => trace::own(|| debug_span!(target: trace::ROOT, "dial", peer = %peer.node_id)),
        };
        let dial = self.clone().dial(peer.clone(), dialling.address.clone(), slot, look);
        let task = tokio::spawn(trace::carried(dial, span));
        let dial = async move {
            task.await.unwrap_or_else(|error| {
                Err(NodeError::Protocol { reason: format!("the dial did not finish: {error}") })
            })
        };
        let dial = dial.boxed().shared();
        dialling.dial = Some(dial.clone());
        Ok(dial)
    }

    async fn dial(
        self: Arc<Self>,
        peer: Arc<Peer>,
        mut address: String,
        slot: Slot,
        mut look: Option<Tried>,
    ) -> Result<(), NodeError> {
        loop {
            let opened = tokio::select! {
                biased;
                () = peer.moved.notified() => None,
                opened = self.open(&peer, &address, look.take()) => Some(opened),
            };
            let mut dialling = peer.lock();
            if dialling.gone {
                dialling.dial = None;
                return Err(NodeError::NotMember(peer.node_id.clone()));
            }
            if dialling.address != address {
                address.clone_from(&dialling.address);
                continue;
            }
            match opened {
                None => {}
                Some(Ok(connection)) => {
                    dialling.dial = None;
                    self.add(&peer, &mut dialling, connection, slot);
                    return Ok(());
                }
                Some(Err(failed)) => {
                    dialling.dial = None;
                    return Err(self.back_off(&peer, &mut dialling, failed));
                }
            }
        }
    }

    async fn open(
        &self,
        peer: &Peer,
        address: &str,
        look: Option<Tried>,
    ) -> Result<Connection, Failed> {
        let candidates = match look {
            None => {
                peer.numbers.dials.inc();
                let resolved = self.dialler.resolve(address).await;
                resolved.map_err(|error| Some((counted(peer, error), Vec::new())))?
            }
            Some(tried) => {
                let looking = self.dialler.resolve(address);
                let found = tokio::time::timeout(limits::DIAL_LOOK_TIMEOUT, looking).await;
                match found {
                    Ok(Ok(found)) if found.iter().any(|place| !tried.contains(place)) => {
                        peer.numbers.backoffs_cut_short.inc();
                        peer.numbers.dials.inc();
                        found
                    }
                    // Nothing new: the back-off stays as it is.
                    _ => return Err(None),
                }
            }
        };
        let opened = self.dialler.open_at(address, &candidates, Some(&peer.node_id)).await;
        opened.map_err(|error| Some((counted(peer, error), candidates)))
    }

    fn add(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        dialling: &mut Dialling,
        connection: Connection,
        slot: Slot,
    ) {
        let now = Instant::now();
        // A connection that is yet to prove itself does not make the next back-off short.
        dialling.failures = dialling.stillborn;
        dialling.back_off = None;
        peer.numbers.dialled.inc();
        let age_max = self.options.age_max.mul_f64(self.draw(0.8, 1.0));
        let entry = Arc::new(Entry::new(connection, slot, age_max));
        self.watch(peer, &entry);
        // What this one replaces is drained: it takes no more requests.
        let (aged, mut ready): (Vec<_>, Vec<_>) =
            peer.ready().iter().cloned().partition(|other| now >= other.ages);
        ready.insert(0, entry);
        peer.set_ready(dialling, ready);
        for entry in aged {
            peer.numbers.evicted(Eviction::Aged);
            Peer::release(&entry);
        }
        peer.room.notify_waiters();
        self.tend.notify_one();
    }

    /// Takes the connection out of the pool as soon as it takes no more requests.
    fn watch(self: &Arc<Self>, peer: &Arc<Peer>, entry: &Arc<Entry>) {
        let ended = entry.connection.ended();
        let (inner, peer, entry) =
            (Arc::downgrade(self), Arc::downgrade(peer), Arc::downgrade(entry));
        tokio::spawn(async move {
            ended.await;
            if let (Some(inner), Some(peer), Some(entry)) =
                (inner.upgrade(), peer.upgrade(), entry.upgrade())
            {
                inner.evict(&peer, &entry, Eviction::of_end(entry.connection.end()));
            }
        });
    }

    /// After a failed dial. `None` is a look that found nothing new: the error is as before.
    fn back_off(&self, peer: &Peer, dialling: &mut Dialling, failed: Failed) -> NodeError {
        let Some((error, tried)) = failed else {
            let error = dialling.back_off.as_ref().map(|back_off| back_off.error.clone());
            return error.expect("a look is of a back-off, which ends under this lock alone");
        };
        let before = dialling.back_off.as_ref().map(|back_off| &back_off.error);
        if wants_an_operator(&error) && !before.is_some_and(wants_an_operator) {
            tracing::warn!(peer = %peer.node_id, %error, "dial failed");
        } else {
            tracing::debug!(peer = %peer.node_id, %error, "dial failed");
        }
        self.set_back_off(dialling, error.clone(), tried);
        error
    }

    fn set_back_off(&self, dialling: &mut Dialling, error: NodeError, tried: Vec<SocketAddr>) {
        let now = Instant::now();
        let (least, most) = (limits::DIAL_BACKOFF_MIN, limits::DIAL_BACKOFF_MAX);
        let full = match &error {
            // There is no hurry, and a handshake is work for both sides.
            NodeError::Dial(dial) if dial.problem.is_of_trust() => most,
            _ => exponential(least, most, dialling.failures),
        };
        // The jitter takes up to half away, so that the callers of a peer that comes back do
        // not arrive together.
        let until = now + full.mul_f64(self.draw(0.5, 1.0));
        dialling.failures = dialling.failures.saturating_add(1);
        let next_look = now + limits::DIAL_LOOK_INTERVAL;
        dialling.back_off = Some(BackOff { until, error, tried, next_look });
    }

    /// A connection ended. A peer that takes connections and drops them at once is backed
    /// off from like one that takes none.
    pub(super) fn note_end(&self, dialling: &mut Dialling, entry: &Entry, reason: Eviction) {
        if !matches!(reason, Eviction::Broken | Eviction::GoAway) {
            return;
        }
        if entry.connection.life().opened().elapsed() > limits::CONNECTION_STILLBORN {
            dialling.stillborn = 0;
            return;
        }
        dialling.stillborn += 1;
        if dialling.stillborn > 1 && dialling.back_off.is_none() {
            let address = dialling.address.clone();
            let reason = "it ends connections as soon as they are opened".to_owned();
            self.set_back_off(dialling, NodeError::ConnectionLost { address, reason }, Vec::new());
            if let Some(back_off) = &mut dialling.back_off {
                // It answers where it is, so there is no other address to look for.
                back_off.next_look = back_off.until;
            }
        }
    }

    fn draw(&self, low: f64, high: f64) -> f64 {
        let mut rng = self.rng.lock().expect("nothing panics while it draws");
        rng.random_range(low..=high)
    }
}

/// Whether somebody has to set it right: two clusters meet at an address, or certificates are wrong.
fn wants_an_operator(error: &NodeError) -> bool {
    matches!(error, NodeError::Dial(dial) if dial.problem.wants_an_operator())
}

fn counted(peer: &Peer, error: DialError) -> NodeError {
    peer.numbers.dial_failed(error.stage);
    error.into()
}

impl Eviction {
    /// The reason, when the connection itself ended.
    pub(super) fn of_end(end: Option<End>) -> Eviction {
        match end {
            Some(End::GoAway) => Eviction::GoAway,
            Some(End::Broken) | None => Eviction::Broken,
        }
    }
}
