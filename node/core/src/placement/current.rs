//! Layout in force.
//!
//! The layout in force: one value that a whole node or client follows.
//!
//! It also gathers the history that readers need: a layout that is replaced is kept among
//! [`Layout::previous`] of the one that replaces it, until that one or a later one says that
//! it is settled. And it remembers that a newer layout was heard of, for whoever fetches it.
//!
//! Invariant: the version never goes back, one version never has two contents, and all are of
//! one cluster: what comes first says which, for as long as this value is in use. Where
//! layouts come from, and who keeps them over a restart, is left to others.

use std::sync::{Arc, Mutex, RwLock};

use tokio::sync::Notify;

use super::succession::{self, LayoutRefused};
use super::{ClusterId, Layout, Placement};

/// How many rounds of questions for newer layouts began, and how many came to their end.
#[derive(Clone, Copy, Debug, Default)]
struct Rounds {
    begun: u64,
    ended: u64,
}

/// The layout in force. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct CurrentLayout {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    placement: RwLock<Arc<Placement>>,
    /// Held while a layout is replaced, so that readers need not wait while rings are made.
    replacing: Mutex<()>,
    /// Wakes those who wait for the next version. Not a `watch` channel: that wakes its
    /// waiters in an order that a counter of the whole process decides.
    replaced: Notify,
    /// The newest version that anyone mentioned.
    heard: Mutex<u64>,
    heard_of: Notify,
    /// Rounds of questions for newer layouts.
    rounds: Mutex<Rounds>,
    round_ended: Notify,
    /// Whether a layout that is met comes into force at once, or waits until it is durable.
    in_memory: bool,
}

impl CurrentLayout {
    /// A client's, which begins with `layout`; that came out of [`Layout::validated`].
    pub fn new(layout: impl Into<Arc<Layout>>) -> Self {
        Self::begin(layout.into(), true)
    }

    /// A node's, which begins with `layout`: what it learns comes into force only when it
    /// was made durable and is brought here with [`CurrentLayout::replace`].
    pub fn durable(layout: impl Into<Arc<Layout>>) -> Self {
        Self::begin(layout.into(), false)
    }

    fn begin(layout: Arc<Layout>, in_memory: bool) -> Self {
        let placement = Placement::new(layout);
        let shared = Shared {
            placement: RwLock::new(Arc::new(placement)),
            replacing: Mutex::new(()),
            replaced: Notify::new(),
            heard: Mutex::new(0),
            heard_of: Notify::new(),
            rounds: Mutex::default(),
            round_ended: Notify::new(),
            in_memory,
        };
        CurrentLayout { shared: Arc::new(shared) }
    }

    /// The layout in force now.
    pub fn get(&self) -> Arc<Layout> {
        self.placement().layout().clone()
    }

    /// The layout in force now with its rings: what places objects.
    pub fn placement(&self) -> Arc<Placement> {
        self.shared.placement.read().expect("nothing panics while it swaps a layout").clone()
    }

    /// The cluster whose layout is in force; `None` while nobody has said.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.placement().layout().cluster.clone()
    }

    /// The version in force now.
    pub fn version(&self) -> u64 {
        self.placement().layout().version
    }

    /// Whether `layout` may be applied: it is the one in force or the next version, and tells
    /// of no earlier layout that is not known here. Whoever was away learns the versions
    /// between from others that have them, and each of those was one step where it was made.
    ///
    /// # Errors
    /// [`LayoutRefused::Gap`], [`LayoutRefused::UnknownHistory`].
    pub fn check_step(&self, layout: &Layout) -> Result<(), LayoutRefused> {
        succession::check_step(&self.get(), layout)
    }

    /// The layout that [`CurrentLayout::replace`] would bring into force: the one given,
    /// with the history of both. `None` when that is in force already. One that names no
    /// cluster is of the same.
    ///
    /// # Errors
    /// [`LayoutRefused`].
    pub fn succession(&self, layout: &Layout) -> Result<Option<Layout>, LayoutRefused> {
        succession::succession(&self.get(), layout)
    }

    /// Brings a newer layout into force and wakes those who wait for it. The layout that is
    /// in force already is taken too; what it knows of the history is added. Says whether
    /// anything changed.
    ///
    /// # Errors
    /// [`LayoutRefused`]; what is in force stays.
    pub fn replace(&self, layout: &Layout) -> Result<bool, LayoutRefused> {
        let replacing = self.shared.replacing.lock().expect("nothing panics while it replaces");
        let Some(successor) = self.succession(layout)? else { return Ok(false) };
        let placement = Arc::new(Placement::new(Arc::new(successor)));
        *self.shared.placement.write().expect("nothing panics while it swaps a layout") = placement;
        drop(replacing);
        self.shared.replaced.notify_waiters();
        Ok(true)
    }

    /// Waits until a layout newer than `version` is in force, and returns it. Safe to drop
    /// at any time: who comes again with the version that it knows misses none, though of
    /// several that came into force in quick succession it may see the last alone.
    pub async fn changed_since(&self, version: u64) -> Arc<Layout> {
        loop {
            let mut replaced = std::pin::pin!(self.shared.replaced.notified());
            // Registered before looking, so that no change falls between the two.
            replaced.as_mut().enable();
            let layout = self.get();
            if layout.version > version {
                return layout;
            }
            replaced.await;
        }
    }

    /// Waits until another layout than this one is in force, or the same with more of its
    /// history, and returns it. Safe to drop at any time.
    pub async fn replaced_from(&self, known: &Arc<Placement>) -> Arc<Placement> {
        loop {
            let mut replaced = std::pin::pin!(self.shared.replaced.notified());
            // Registered before looking, so that no change falls between the two.
            replaced.as_mut().enable();
            let placement = self.placement();
            if !Arc::ptr_eq(known, &placement) {
                return placement;
            }
            replaced.await;
        }
    }

    /// Meets the layout that a peer holds. If it says more than ours, it comes into force, or
    /// is taken note of where that takes more than memory.
    pub fn learn(&self, held: &Layout) {
        if !self.get().is_outdone_by(held) {
            return;
        }
        if !self.shared.in_memory {
            self.heard_of(held.version);
        } else if let Err(error) = self.replace(held) {
            tracing::warn!(%error, "a peer's layout was not taken");
        }
    }

    /// Takes note that somebody holds this version.
    pub fn heard_of(&self, version: u64) {
        let mut heard = self.heard();
        if version > *heard {
            *heard = version;
            drop(heard);
            self.shared.heard_of.notify_waiters();
        }
    }

    /// The version that was heard of, if it is newer than the one in force.
    pub fn behind(&self) -> Option<u64> {
        Some(*self.heard()).filter(|heard| *heard > self.version())
    }

    /// Waits until a newer version was heard of, and returns it. Safe to drop at any time.
    pub async fn until_behind(&self) -> u64 {
        loop {
            let mut heard = std::pin::pin!(self.shared.heard_of.notified());
            heard.as_mut().enable();
            if let Some(version) = self.behind() {
                return version;
            }
            heard.await;
        }
    }

    /// Forgets a version that was heard of, because nobody has it. It can be heard again.
    pub fn forget(&self, version: u64) {
        let mut heard = self.heard();
        if *heard <= version {
            *heard = 0;
        }
    }

    /// Says that the members are being asked for newer layouts, from now until what this
    /// returns is dropped.
    pub fn begin_round(&self) -> impl Drop + use<> {
        self.rounds().begun += 1;
        Round(self.clone())
    }

    /// Waits until this version or a later one is in force, or until the members were asked
    /// for it in vain; says which. For whoever does not ask them, beside one who does
    /// (`follow` of membership). Safe to drop at any time.
    pub async fn is_shown(&self, version: u64) -> bool {
        // In a round that is under way, some may have been asked before they had it.
        let enough = self.rounds().begun + 1;
        loop {
            let mut ended = std::pin::pin!(self.shared.round_ended.notified());
            ended.as_mut().enable();
            if self.version() >= version {
                return true;
            }
            if self.rounds().ended >= enough {
                return false;
            }
            // The round that ended may have forgotten it.
            self.heard_of(version);
            tokio::select! {
                biased;
                () = ended => {}
                _ = self.changed_since(self.version()) => {}
            }
        }
    }

    fn rounds(&self) -> std::sync::MutexGuard<'_, Rounds> {
        self.shared.rounds.lock().expect("nothing panics while it counts")
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, u64> {
        self.shared.heard.lock().expect("nothing panics while it holds a number")
    }
}

/// A round of questions, until it is dropped.
struct Round(CurrentLayout);

impl Drop for Round {
    fn drop(&mut self) {
        self.0.rounds().ended += 1;
        self.0.shared.round_ended.notify_waiters();
    }
}
