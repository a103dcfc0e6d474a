//! Commit group: puts that are written together and answered together.

use std::sync::Arc;

use gitstratum_core::limits;
use gitstratum_core::replica::StoreError;
use tracing::{Span, debug_span};

use crate::codec::encode::EncodedRecord;
use crate::format::account::Tally;
use crate::format::index::Place;
use crate::format::record::{Content, parse_tombstone_data};
use crate::read::lookup::recent_in;
use crate::segment::unsealed::Ids;
use crate::state::health::Flushed;
use crate::state::queue::Queued;
use crate::state::shared::Shared;
use crate::state::view::{Recent, View};

/// A group, from the queue to its answer.
pub(super) struct Group {
    queued: Vec<Queued>,
    /// Of all records in order: whether it brings something that was not there.
    fresh: Vec<bool>,
    /// The ids of those that do.
    ids: Ids,
    /// Bytes of their records.
    bytes: u64,
    /// Where the last of these ends in the segment.
    pub(super) end: u64,
}

impl Group {
    /// These puts, of which it is not known yet what they bring.
    pub(super) fn new(queued: Vec<Queued>) -> Self {
        Group { queued, fresh: Vec::new(), ids: Ids::default(), bytes: 0, end: 0 }
    }

    /// Finds out which records bring something new. Since their puts were checked, other groups
    /// may have brought the same, and the segment that got it may have been sealed.
    pub(super) async fn find_fresh(&mut self, shared: &Arc<Shared>) {
        for queued in &self.queued {
            for records in queued.records.chunks(limits::LOOKED_UP_AT_ONCE) {
                let (recent, sealed) = {
                    let view = shared.view();
                    let recent = records.iter().map(|record| view.recent(&record.head.id));
                    (recent.collect::<Vec<_>>(), view.sealed_since(queued.seen))
                };
                for (record, recent) in records.iter().zip(recent) {
                    let id = record.head.id;
                    let recent = match recent {
                        Recent::Unknown if !sealed.is_empty() => {
                            recent_in(shared, &sealed, &id).await
                        }
                        recent => recent,
                    };
                    let fresh = is_news(record, recent) && self.ids.insert(id);
                    self.fresh.push(fresh);
                    self.bytes += if fresh { record.len() } else { 0 };
                }
            }
        }
    }

    /// Whether a record of `other` is of an id that this group writes.
    pub(super) fn meets(&self, other: &Group) -> bool {
        let mut records = other.queued.iter().flat_map(|queued| &queued.records);
        records.any(|record| self.ids.contains(&record.head.id))
    }

    /// The records to be written, in order.
    pub(super) fn fresh(&self) -> impl Iterator<Item = &EncodedRecord> {
        let records = self.queued.iter().flat_map(|queued| &queued.records);
        records.zip(&self.fresh).filter(|(_, fresh)| **fresh).map(|(record, _)| record)
    }

    /// A flush of this group begins: the same is a span of every put that waits for it and is
    /// traced, because each of them waits for all of it. It ends when these are dropped.
    pub(super) fn flush_spans(&self) -> Vec<Span> {
        let (puts, bytes) = (self.queued.len(), self.bytes);
        let traced = self.queued.iter().filter(|queued| !queued.span.is_disabled());
        traced.map(|queued| queued.span.in_scope(|| debug_span!("fsync", puts, bytes))).collect()
    }

    /// What a flush makes durable that is for this group.
    pub(super) fn flushed(&self) -> Flushed {
        Flushed { puts: self.queued.len(), bytes: self.bytes }
    }

    /// How many they are.
    pub(super) fn records(&self) -> usize {
        self.ids.len()
    }

    /// Bytes of their records.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Enters the records into the view. The file reaches to `file_len`, or as far as they do.
    pub(super) fn publish(&self, shared: &Shared, file_len: u64) {
        let records: Vec<_> = self.fresh().collect();
        let mut offset = self.end - self.bytes;
        // Gets wait for the lock: it is not held for a whole group of thousands.
        for records in records.chunks(limits::LOOKED_UP_AT_ONCE) {
            let mut view = shared.view();
            for record in records {
                enter(&mut view, record, offset);
                offset += record.len();
            }
            let active = view.active.as_mut().expect("records were just written to it");
            active.len = offset;
            active.file_len = active.file_len.max(offset).max(file_len);
        }
    }

    /// Tells every put what became of it, and gives its room in the queue back.
    pub(super) fn answer(self, shared: &Arc<Shared>, done: Result<(), StoreError>) {
        let shared = shared.clone();
        // Waking many from one place takes as long as a flush: the next group need not wait
        // for it.
        tokio::spawn(async move {
            let committed = done.map(|()| self.fresh);
            shared.queue.answer(self.queued, committed, shared.options.durability());
        });
    }
}

/// Whether a record changes what the store says of its id.
fn is_news(record: &EncodedRecord, recent: Recent) -> bool {
    match record.head.content {
        Content::Object { .. } => recent != Recent::Held,
        Content::Tombstone { .. } => recent != Recent::Deleted,
        Content::Void { .. } => unreachable!("only recovery writes them"),
    }
}

/// Enters the record at `offset` of the active segment.
fn enter(view: &mut View, record: &EncodedRecord, offset: u64) {
    let active = view.active.as_mut().expect("the record was just written to it");
    let offset = u32::try_from(offset).expect("a segment is below 4 GiB");
    let place = match record.head.content {
        Content::Object { size, stored, .. } => {
            active.accounts.held += Tally::one(record.len(), size.into());
            Place::Object { offset, stored }
        }
        Content::Tombstone { victim } => {
            let (bytes, payload) = parse_tombstone_data(&record.data);
            let killed = active.accounts.kills.entry(victim).or_default();
            *killed += Tally::one(bytes.into(), payload.into());
            Place::Tombstone { offset, victim }
        }
        Content::Void { .. } => unreachable!("only recovery writes them"),
    };
    active.places.insert(record.head.id, place);
    if !view.bad.is_empty()
        && let Some(bad) = view.bad.get_mut(&record.head.id)
    {
        bad.healed = true;
    }
}
