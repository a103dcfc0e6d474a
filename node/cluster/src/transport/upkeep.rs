//! Pool maintenance.
//!
//! What the pool does unasked: replaces connections that became old, closes those that
//! nobody uses, and asks the silent ones who is there.

use std::sync::{Arc, Weak};

use gitstratum_core::limits;
use gitstratum_core::replica::NodeError;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Inner;
use super::numbers::Eviction;
use super::peer::{Entry, Peer};

/// Looks after the pool whenever something is due, until it is dropped.
pub(super) async fn upkeep(pool: Weak<Inner>, tend: Arc<Notify>) {
    loop {
        let Some(inner) = pool.upgrade() else { return };
        let due = inner.tend(Instant::now());
        drop(inner);
        let due = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = tend.notified() => {}
            () = due => {}
        }
    }
}

impl Inner {
    /// Does what is due, and says when the next is.
    fn tend(self: &Arc<Self>, now: Instant) -> Option<Instant> {
        let peers = self.peers.load_full();
        let mut next: Option<Instant> = None;
        for peer in peers.values() {
            for entry in peer.ready().iter() {
                let due = self.tend_one(peer, entry, now);
                next = due.into_iter().chain(next).min();
            }
        }
        // A bound on how often, whatever the options say.
        next.map(|due| due.max(now + limits::POOL_UPKEEP_INTERVAL_MIN))
    }

    fn tend_one(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        entry: &Arc<Entry>,
        now: Instant,
    ) -> Option<Instant> {
        let unused = now.saturating_duration_since(self.started + peer.used());
        let idle = (self.started + peer.used()).max(entry.connection.life().opened())
            + self.options.idle_max;
        if entry.is_idle() && now >= idle {
            self.evict(peer, entry, Eviction::Idle);
            return None;
        }
        if now >= entry.ages {
            let younger = peer.ready().iter().any(|other| now < other.ages);
            if entry.is_idle() && (younger || unused >= self.options.age_max / 2) {
                // Nobody would miss it: there is another, or the next who asks dials.
                self.evict(peer, entry, Eviction::Aged);
                return None;
            }
            if self.replace(peer).is_err() && entry.is_idle() {
                // There is no place for a successor, so this one makes it.
                self.evict(peer, entry, Eviction::Aged);
                return None;
            }
        }
        let mut probe = entry.last_sign() + self.options.probe_interval;
        if now >= probe {
            entry.set_probed(now);
            probe = now + self.options.probe_interval;
            self.probe(peer, entry);
        }
        let ages = if now < entry.ages { entry.ages } else { now + limits::DIAL_BACKOFF_MAX };
        let idle = if now < idle { idle } else { now + limits::DIAL_BACKOFF_MAX };
        Some(probe.min(ages).min(idle))
    }

    /// Dials a successor; the old connection serves until that one does, however long the
    /// dials fail: it leads to the peer that it was identified as and to nobody else, and
    /// the probe and the pings tell when it leads nowhere.
    ///
    /// # Errors
    /// [`NodeError::Limited`] when the pool has no place for another connection.
    fn replace(self: &Arc<Self>, peer: &Arc<Peer>) -> Result<(), NodeError> {
        let mut dialling = peer.lock();
        if dialling.dial.is_some() || dialling.gone {
            return Ok(());
        }
        match self.begin(peer, &mut dialling) {
            Err(full @ NodeError::Limited { .. }) => Err(full),
            // A dial that failed is tried again when the upkeep next comes by.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Asks who is there; whoever does not answer, or is another, or another run of the
    /// node, loses the connection.
    fn probe(self: &Arc<Self>, peer: &Arc<Peer>, entry: &Arc<Entry>) {
        let (inner, peer, entry) = (Arc::downgrade(self), peer.clone(), entry.clone());
        let dialler = self.dialler.clone();
        tokio::spawn(async move {
            let connection = &entry.connection;
            let answer = dialler.identify(connection.address(), connection.channel()).await;
            let checked = answer.and_then(|identity| {
                let expected = Some(&peer.node_id);
                dialler.check_identity(connection.address(), &identity, expected)?;
                Ok(identity.boot_id == connection.identity().boot_id)
            });
            if !matches!(checked, Ok(true))
                && let Some(inner) = inner.upgrade()
            {
                inner.evict(&peer, &entry, Eviction::Probe);
            }
        });
    }
}
