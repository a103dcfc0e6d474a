//! Commit stages of commands that are traced: append, commit, apply, as spans below the one that
//! proposes the command on the leader.
//!
//! The engine works in tasks of its own, on commands of many callers at once, and hands a command
//! on as it got it: so a command is known again by where its bytes are, for as long as who proposed
//! it waits. Where none is traced this costs a look at a counter.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tracing::{Span, debug_span};

use super::types::{Command, Payload, RaftEntry};

/// Of all commands that are traced and under way. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Stages(Arc<Shared>);

#[derive(Default)]
struct Shared {
    under_way: AtomicUsize,
    commands: Mutex<BTreeMap<usize, Traced>>,
}

struct Traced {
    proposing: Span,
    /// Of the stage that it is in; dropped, it ends.
    stage: Span,
}

impl Traced {
    fn enter(&mut self, stage: impl FnOnce() -> Span) {
        self.stage = Span::none();
        self.stage = self.proposing.in_scope(stage);
    }
}

/// A command that is followed until this is dropped.
pub(crate) struct Followed<'a> {
    stages: &'a Stages,
    key: usize,
}

impl Drop for Followed<'_> {
    fn drop(&mut self) {
        self.stages.commands().remove(&self.key);
        self.stages.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

fn key(command: &Bytes) -> usize {
    command.as_ptr() as usize
}

impl Stages {
    fn commands(&self) -> MutexGuard<'_, BTreeMap<usize, Traced>> {
        self.0.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_idle(&self) -> bool {
        self.0.under_way.load(Ordering::Relaxed) == 0
    }

    /// Follows a command that is proposed within this span, if that is traced.
    pub(crate) fn follow(&self, command: &Bytes, proposing: &Span) -> Option<Followed<'_>> {
        if proposing.is_disabled() {
            return None;
        }
        let (key, proposing) = (key(command), proposing.clone());
        self.0.under_way.fetch_add(1, Ordering::Relaxed);
        self.commands().insert(key, Traced { proposing, stage: Span::none() });
        Some(Followed { stages: self, key })
    }

    /// Those of these entries that are followed are given to the journal. What is returned is for
    /// [`Stages::appended`].
    pub(crate) fn appending(&self, entries: &[RaftEntry]) -> Vec<usize> {
        if self.is_idle() {
            return Vec::new();
        }
        let mut commands = self.commands();
        let keys = entries.iter().filter_map(|entry| match &entry.payload {
            Payload::Normal(Command(command)) => Some(key(command)),
            Payload::Blank | Payload::Membership(_) => None,
        });
        let is_followed = |key: &usize| {
            let followed = commands.get_mut(key);
            followed.map(|traced| traced.enter(|| debug_span!("append"))).is_some()
        };
        keys.filter(is_followed).collect()
    }

    /// These are on this member's disk: from here on a majority is waited for.
    pub(crate) fn appended(&self, keys: &[usize]) {
        if keys.is_empty() {
            return;
        }
        let mut commands = self.commands();
        for key in keys {
            if let Some(traced) = commands.get_mut(key) {
                traced.enter(|| debug_span!("commit"));
            }
        }
    }

    /// A command is agreed on, and is applied until what is returned is dropped.
    pub(crate) fn applying(&self, command: &Bytes) -> Span {
        if self.is_idle() {
            return Span::none();
        }
        let mut commands = self.commands();
        let Some(traced) = commands.get_mut(&key(command)) else { return Span::none() };
        traced.enter(|| debug_span!("apply"));
        std::mem::replace(&mut traced.stage, Span::none())
    }
}
