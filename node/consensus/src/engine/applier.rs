//! State machine for the engine: applies what is agreed, and saves and loads snapshots.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use gitstratum_host::Disk;
use gitstratum_host::disk::is_shortage;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, RaftSnapshotBuilder};
use tokio::sync::Notify;

use super::stages::Stages;
use super::types::{
    Command, LogId, Membership, Payload, SnapshotMeta, StoredMembership, Types, membership,
};
use crate::entry::Position;
use crate::machine::{AnyMachine, Applied, NewLoader, Observer};
use crate::shortage::until_it_passes;
use crate::snapshot::{self, Head, Snapshot, SnapshotError};

/// What waits for room on the disk.
const SNAPSHOT: &str = "a snapshot";

/// The engine's form of a snapshot.
pub(crate) type RaftSnapshot = openraft::type_config::alias::SnapshotOf<Types, Snapshot>;

/// The state machine with what the engine wants to know of it. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Applier {
    shared: Arc<Shared>,
    /// Who is told of what is applied.
    observer: Option<Observer>,
    /// Which of what is applied is traced.
    stages: Stages,
}

struct Shared {
    disk: Disk,
    directory: String,
    group: u32,
    new_loader: NewLoader,
    state: Mutex<State>,
    /// Held while a snapshot is written or put in force: the later one stays. What it holds is the
    /// position of the one in force.
    snapshots: tokio::sync::Mutex<Option<Position>>,
    /// Bytes of the commands that were applied since the last snapshot, and of that.
    unsaved: AtomicU64,
    saved: AtomicU64,
    /// More was applied, or a snapshot was put in force.
    grown: Notify,
}

struct State {
    machine: Box<dyn AnyMachine>,
    applied: Option<LogId>,
    membership: StoredMembership,
}

impl Clone for State {
    fn clone(&self) -> Self {
        let (applied, membership) = (self.applied, self.membership.clone());
        State { machine: self.machine.copy(), applied, membership }
    }
}

impl Applier {
    /// A state machine before its first command; the snapshot in force, if there is one, is loaded
    /// by the engine.
    pub(crate) fn new(
        disk: Disk,
        directory: &str,
        group: u32,
        new_loader: NewLoader,
    ) -> Result<Self, SnapshotError> {
        let machine = new_loader().finish().map_err(|error| SnapshotError::Damaged {
            path: directory.to_owned(),
            what: format!("there is no state to begin with: {error}"),
        })?;
        let state = State { machine, applied: None, membership: StoredMembership::default() };
        let shared = Arc::new(Shared {
            disk,
            directory: directory.to_owned(),
            group,
            new_loader,
            state: Mutex::new(state),
            snapshots: tokio::sync::Mutex::default(),
            unsaved: AtomicU64::new(0),
            saved: AtomicU64::new(0),
            grown: Notify::new(),
        });
        Ok(Applier { shared, observer: None, stages: Stages::default() })
    }

    /// The same state machine, of which somebody is told what it applies.
    pub(crate) fn observed_by(self, observer: Option<Observer>) -> Self {
        Applier { observer, ..self }
    }

    /// The same state machine, of which these are told what it applies.
    pub(crate) fn followed_by(self, stages: Stages) -> Self {
        Applier { stages, ..self }
    }

    /// Completes when so much was applied since the last snapshot, or as much as that one takes;
    /// counts anew from then on.
    pub(crate) async fn snapshot_due(&self, bytes_min: u64) {
        let Shared { unsaved, saved, grown, .. } = &*self.shared;
        loop {
            let more = grown.notified();
            if unsaved.load(Ordering::Relaxed) >= saved.load(Ordering::Relaxed).max(bytes_min) {
                unsaved.store(0, Ordering::Relaxed);
                return;
            }
            more.await;
        }
    }

    /// Completes when the state has changed since this was called.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> + Send + '_ {
        // From here on it misses no change, though nobody waits yet.
        self.shared.grown.notified()
    }

    /// Completes when the state has all entries up to this one.
    pub(crate) async fn applied(&self, index: u64) {
        loop {
            // First, so that no change falls between the look and the waiting.
            let changed = self.changed();
            if self.state().applied.is_some_and(|applied| applied.index >= index) {
                return;
            }
            changed.await;
        }
    }

    /// The state as this member has it.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&dyn AnyMachine) -> T) -> T {
        look(&*self.state().machine)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn in_force(&self) -> Result<Option<RaftSnapshot>, io::Error> {
        let Shared { disk, directory, group, .. } = &*self.shared;
        let current = snapshot::current(disk, directory, *group).await?;
        current.map(raft_snapshot).transpose()
    }
}

/// The engine's form of a snapshot.
pub(crate) fn raft_snapshot(snapshot: Snapshot) -> io::Result<RaftSnapshot> {
    let Head { position, members_at, members, .. } = snapshot.head.clone();
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let membership: Membership = membership(members).map_err(invalid)?;
    let meta = SnapshotMeta {
        last_log_id: position.map(LogId::from),
        last_membership: StoredMembership::new(members_at.map(LogId::from), membership),
    };
    Ok(RaftSnapshot { meta, snapshot })
}

impl RaftStateMachine<Types> for Applier {
    type SnapshotData = Snapshot;
    type SnapshotBuilder = Saver;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        let state = self.state();
        Ok((state.applied, state.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let reply = {
                let mut state = self.state();
                state.applied = Some(entry.log_id);
                match &entry.payload {
                    Payload::Blank => Bytes::new(),
                    Payload::Normal(Command(command)) => {
                        let _applying = self.stages.applying(command);
                        self.shared.unsaved.fetch_add(command.len() as u64, Ordering::Relaxed);
                        state.machine.apply(entry.log_id.index, command)
                    }
                    Payload::Membership(membership) => {
                        let at = Some(entry.log_id);
                        state.membership = StoredMembership::new(at, membership.clone());
                        Bytes::new()
                    }
                }
            };
            if let (Some(observer), Payload::Normal(Command(command))) =
                (&self.observer, &entry.payload)
            {
                observer(Applied { index: entry.log_id.index, command, reply: &reply });
            }
            if let Some(responder) = responder {
                responder.send(reply);
            }
        }
        self.shared.grown.notify_waiters();
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Saver {
        Saver { applier: self.clone(), state: self.state().clone() }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Snapshot,
    ) -> Result<(), io::Error> {
        let Shared { disk, directory, snapshots, new_loader, .. } = &*self.shared;
        let mut position = snapshots.lock().await;
        let machine = snapshot::load(&snapshot, new_loader()).await?;
        *position = snapshot.head.position;
        self.shared.saved.store(snapshot.bytes, Ordering::Relaxed);
        until_it_passes(SNAPSHOT, is_shortage, || {
            let snapshot = snapshot.clone();
            async move { Ok(snapshot::put_in_force(disk, directory, snapshot).await.map(drop)?) }
        })
        .await?;
        let membership = meta.last_membership.clone();
        *self.state() = State { machine, applied: meta.last_log_id, membership };
        self.shared.grown.notify_waiters();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<RaftSnapshot>, io::Error> {
        let _whole = self.shared.snapshots.lock().await;
        until_it_passes(SNAPSHOT, is_shortage, || self.in_force()).await
    }
}

/// Saves the state as it was at some entry.
pub(crate) struct Saver {
    applier: Applier,
    state: State,
}

impl RaftSnapshotBuilder<Types> for Saver {
    type SnapshotData = Snapshot;

    async fn build_snapshot(&mut self) -> Result<RaftSnapshot, io::Error> {
        until_it_passes(SNAPSHOT, is_shortage, || self.save()).await
    }
}

impl Saver {
    async fn save(&self) -> Result<RaftSnapshot, io::Error> {
        let Shared { disk, directory, group, snapshots, .. } = &*self.applier.shared;
        let position = self.state.applied.as_ref().map(Position::from);
        let mut in_force = snapshots.lock().await;
        if *in_force >= position
            && let Some(later) = self.applier.in_force().await?
        {
            // A leader's came between.
            return Ok(later);
        }
        let membership = &self.state.membership;
        let members_at = membership.log_id().as_ref().map(Position::from);
        let head = Head::new(*group, position, members_at, membership.membership().into());
        let aside = format!("{directory}/snapshot.new");
        let written = snapshot::write(disk, aside, head, self.state.machine.save()).await?;
        let snapshot = snapshot::put_in_force(disk, directory, written).await?;
        *in_force = position;
        self.applier.shared.saved.store(snapshot.bytes, Ordering::Relaxed);
        raft_snapshot(snapshot)
    }
}
