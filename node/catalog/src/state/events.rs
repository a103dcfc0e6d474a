//! Event log: committed changes in order, the latest of them kept.
//!
//! Invariant: numbers begin at 1 and have no gap, and those that are kept end with the last one.

use std::sync::Arc;

use gitstratum_core::limits::{EVENTS_MAX, EVENTS_PAGE_MAX};
use imbl::OrdMap;
use minicbor::{Decode, Encode};

use super::Context;
use crate::entity::{Change, Event};

/// Why events cannot be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[cbor(flat)]
pub enum EventsError {
    /// Some of them are not kept any more.
    #[error(
        "events after {since} are not all kept: they begin with {begins_at}, so read the state \
         anew and follow from there"
    )]
    #[n(0)]
    TooOld {
        /// What was asked for.
        #[n(0)]
        since: u64,
        /// The first that is kept.
        #[n(1)]
        begins_at: u64,
    },
    /// None was ever given that number: the asker followed another cluster, or this one before it
    /// was restored.
    #[error("there is no event {since} yet: the last one is {last}")]
    #[n(1)]
    Ahead {
        /// What was asked for.
        #[n(0)]
        since: u64,
        /// The last one.
        #[n(1)]
        last: u64,
    },
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Events {
    kept: OrdMap<u64, Arc<Event>>,
    last: u64,
}

impl Events {
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn set_last(&mut self, last: u64) {
        self.last = last;
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Event>> {
        self.kept.values()
    }

    pub(super) fn first(&self) -> u64 {
        self.kept.get_min().map_or(self.last + 1, |(number, _)| *number)
    }

    pub(super) fn add(&mut self, context: &Context, change: Change) {
        self.last += 1;
        let event = Event {
            number: self.last,
            position: context.position,
            at_ms: context.now_ms,
            who: context.who.clone(),
            change,
        };
        self.insert(Arc::new(event));
        while self.kept.len() as u64 > EVENTS_MAX {
            let first = self.first();
            self.kept.remove(&first);
        }
    }

    /// Enters an event as it was read from elsewhere.
    pub(super) fn insert(&mut self, event: Arc<Event>) {
        self.kept.insert(event.number, event);
    }

    pub(super) fn since(&self, since: u64, max: usize) -> Result<Vec<Arc<Event>>, EventsError> {
        if since > self.last {
            return Err(EventsError::Ahead { since, last: self.last });
        }
        let begins_at = self.first();
        if since + 1 < begins_at {
            return Err(EventsError::TooOld { since, begins_at });
        }
        let found = self.kept.range(since + 1..).map(|(_, event)| event.clone());
        Ok(found.take(max.min(EVENTS_PAGE_MAX)).collect())
    }
}
