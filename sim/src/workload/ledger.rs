//! Ledger of acknowledged objects.
//!
//! What the clients of a run put, and whether it was acknowledged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use gitstratum_core::object::ObjectId;
use rand::Rng;
use tokio::sync::Notify;

/// An object that was put, or meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its id.
    pub id: ObjectId,
    /// Its length.
    pub size_bytes: u64,
    /// The testbed's own hash, as eight bytes.
    pub content: [u8; 8],
}

impl Known {
    /// The testbed's own hash, as traces have it.
    pub fn content(&self) -> String {
        hex::encode(self.content)
    }
}

/// Every object of a run, in the order of the answers. Shared by all clients, outside
/// the simulated network: a get may ask for what another client put. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    acked: Vec<Known>,
    /// What was not acknowledged, and what was deleted since.
    in_doubt: Vec<Known>,
    /// What is about to be deleted.
    condemned: Vec<Known>,
    /// By client, for whoever waits for an acknowledgement to it.
    acks: BTreeMap<String, Arc<Notify>>,
}

impl Ledger {
    fn with<T>(&self, use_entries: impl FnOnce(&mut Entries) -> T) -> T {
        use_entries(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes an answer to a put.
    pub fn note(&self, known: Known, acked: bool) {
        self.with(
            |entries| {
                if acked { entries.acked.push(known) } else { entries.in_doubt.push(known) }
            },
        );
    }

    /// Tells whoever waits for it that a client was told that a put is safe.
    pub fn tell_ack(&self, client: &str) {
        self.acks_of(client).notify_waiters();
    }

    /// Waits for the next acknowledgement to a client.
    pub async fn next_ack(&self, client: &str) {
        self.acks_of(client).notified().await;
    }

    fn acks_of(&self, client: &str) -> Arc<Notify> {
        self.with(|entries| entries.acks.entry(client.to_owned()).or_default().clone())
    }

    /// Any acknowledged object, if there is one.
    pub fn draw_acked(&self, rng: &mut impl Rng) -> Option<Known> {
        self.with(|entries| draw(&entries.acked, rng))
    }

    /// Any object whose put failed, or that was to be deleted, if there is one.
    pub fn draw_in_doubt(&self, rng: &mut impl Rng) -> Option<Known> {
        self.with(|entries| draw(&entries.in_doubt, rng))
    }

    /// Takes such a share of the acknowledged objects, drawn, from those that are asked for.
    pub fn condemn(&self, share: f64, rng: &mut impl Rng) -> Vec<Known> {
        self.with(|entries| {
            let all = std::mem::take(&mut entries.acked);
            let (condemned, kept) = all.into_iter().partition(|_| rng.random_bool(share));
            entries.acked = kept;
            entries.condemned.extend(&condemned);
            condemned
        })
    }

    /// Lets them be asked for again, as what may be there or not.
    pub fn doubt(&self, condemned: &[Known]) {
        self.with(|entries| {
            entries.condemned.retain(|known| !condemned.contains(known));
            entries.in_doubt.extend(condemned);
        });
    }

    /// Every acknowledged object.
    pub fn acked(&self) -> Vec<Known> {
        self.with(|entries| entries.acked.clone())
    }

    /// Everything that was put: the acknowledged objects first.
    pub fn all(&self) -> Vec<Known> {
        self.with(|entries| {
            let doubtful = entries.in_doubt.iter().chain(&entries.condemned);
            entries.acked.iter().chain(doubtful).copied().collect()
        })
    }
}

fn draw(from: &[Known], rng: &mut impl Rng) -> Option<Known> {
    if from.is_empty() { None } else { Some(from[rng.random_range(0..from.len())]) }
}
