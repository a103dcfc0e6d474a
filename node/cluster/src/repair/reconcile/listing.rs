//! Windowed id listing.
//!
//! What a side can list of what it holds, and a window over it that moves forward.

use async_trait::async_trait;
use gitstratum_core::object::ObjectId;
use gitstratum_core::placement::Arcs;
use gitstratum_core::replica::StoreError;
use gitstratum_core::replica::compare::{Key, Span};
use gitstratum_store::Inventory;

use super::tags::{Tagged, in_span};
use super::{GAP_IDS_MAX, WINDOW_IDS_MAX};

/// Ids that can be listed by range.
#[async_trait]
pub trait Listing: Send + Sync {
    /// How many ids there are at most in a range. Cheap.
    fn count_max(&self, span: Span) -> u64;

    /// How many ids there are about, as closely as can be told without reading them.
    fn count_about(&self, span: Span) -> u64 {
        self.count_max(span)
    }

    /// The ids in a range, in order.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    async fn ids(&self, span: Span) -> Result<Vec<ObjectId>, StoreError>;
}

#[async_trait]
impl Listing for Inventory {
    fn count_max(&self, span: Span) -> u64 {
        Inventory::count_max(self, span.first, span.last)
    }

    async fn ids(&self, span: Span) -> Result<Vec<ObjectId>, StoreError> {
        Inventory::ids(self, span.first, span.last).await
    }
}

/// What of a listing lies at positions that two nodes share.
pub struct Shared<L> {
    listing: L,
    arcs: Arcs,
}

impl<L: Listing> Shared<L> {
    /// The part of `listing` within `arcs`.
    pub fn new(listing: L, arcs: Arcs) -> Self {
        Shared { listing, arcs }
    }
}

#[async_trait]
impl<L: Listing> Listing for Shared<L> {
    fn count_max(&self, span: Span) -> u64 {
        let mut arcs = self.arcs.within(span.range());
        let (Some(first), last) = (arcs.next(), arcs.last()) else { return 0 };
        // Arcs in between are not left out one by one: with many the bound would cost more
        // than it is worth.
        let last = last.unwrap_or_else(|| first.clone());
        self.listing.count_max(Span { first: *first.start(), last: *last.end() })
    }

    fn count_about(&self, span: Span) -> u64 {
        let arcs = self.arcs.within(span.range());
        let counts = arcs
            .map(|arc| self.listing.count_about(Span { first: *arc.start(), last: *arc.end() }));
        counts.sum()
    }

    async fn ids(&self, span: Span) -> Result<Vec<ObjectId>, StoreError> {
        let mut arcs = self.arcs.within(span.range()).peekable();
        if arcs.peek().is_none() {
            return Ok(Vec::new());
        }
        let mut ids = self.listing.ids(span).await?;
        // Both are in order, so one pass is enough.
        ids.retain(|id| {
            let position = id.prefix_u64();
            while arcs.next_if(|arc| *arc.end() < position).is_some() {}
            arcs.peek().is_some_and(|arc| *arc.start() <= position)
        });
        Ok(ids)
    }
}

/// Lists ranges that are asked for in ascending order, several near ones at once.
pub(super) struct Window<'a> {
    listing: &'a dyn Listing,
    key: Key,
    span: Option<Span>,
    members: Vec<Tagged>,
    /// Ids listed since the beginning.
    pub(super) scanned: u64,
}

impl<'a> Window<'a> {
    pub(super) fn new(listing: &'a dyn Listing, key: Key) -> Self {
        Window { listing, key, span: None, members: Vec::new(), scanned: 0 }
    }

    /// The members in `wanted`, each with its tag. What is wanted soon after, in `next`, is
    /// listed along when it is near.
    pub(super) async fn members(
        &mut self,
        wanted: Span,
        next: impl Iterator<Item = Span>,
    ) -> Result<&[Tagged], StoreError> {
        if !self.span.is_some_and(|span| span.covers(wanted)) {
            let span = self.reach(wanted, next);
            let ids = self.listing.ids(span).await?;
            self.scanned += ids.len() as u64;
            self.members = ids.into_iter().map(|id| (id, self.key.tag(&id))).collect();
            self.span = Some(span);
        }
        Ok(in_span(&self.members, wanted))
    }

    fn reach(&self, wanted: Span, next: impl Iterator<Item = Span>) -> Span {
        let mut reached = wanted;
        for next in next {
            let longer = Span { last: next.last, ..reached };
            let is_far = || {
                let gap = Span { first: reached.last + 1, last: next.first - 1 };
                next.first - reached.last > 1 && self.listing.count_max(gap) > GAP_IDS_MAX
            };
            if self.listing.count_max(longer) > WINDOW_IDS_MAX || is_far() {
                break;
            }
            reached = longer;
        }
        reached
    }
}
