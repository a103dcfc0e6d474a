//! Anti-entropy round.
//!
//! One comparison with one peer, and the exchange of what differs.

use std::time::Duration;

use gitstratum_core::placement::{CurrentLayout, NodeId};
use gitstratum_core::replica::compare::{Counterpart, Key, Span};
use gitstratum_core::replica::{NodeError, StoreError};
use gitstratum_store::SegmentStore;
use tokio::time::Instant;

use super::exchange::{Exchange, ExchangeError};
use super::{Listing, Numbers, Session, Shared, Step, TakeError};
use crate::repair::Budget;

/// How often it is asked how much is left.
const COUNT_AGAIN: Duration = Duration::from_secs(1);

/// What a round works with.
pub struct Round<'a> {
    /// Who we are.
    pub ourselves: &'a NodeId,
    /// What we hold.
    pub store: &'a SegmentStore,
    /// What we go by.
    pub layout: &'a CurrentLayout,
    /// With whom.
    pub peer: &'a dyn Counterpart,
    /// What it may take.
    pub budget: &'a Budget,
    /// Where it is counted.
    pub numbers: &'a Numbers,
}

/// Why a round ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// The peer did not answer, or refused.
    #[error(transparent)]
    Peer(#[from] NodeError),
    /// Its answer was not taken.
    #[error(transparent)]
    Taken(#[from] TakeError),
    /// Our own ids could not be read.
    #[error("our store: {0}")]
    Store(#[from] StoreError),
    /// What differs could not be exchanged.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
}

impl Round<'_> {
    /// Compares the positions of `spans`, from `position` on, that one of us owns and the other
    /// may hold, and brings what the owner lacks. `position` is moved on: below it all is compared and
    /// exchanged, so a round that failed is gone on with from there, though not under another
    /// layout.
    ///
    /// # Errors
    /// [`RoundError`]; what was exchanged until then stays.
    pub async fn run(
        &self,
        key: Key,
        spans: &[Span],
        position: &mut u64,
    ) -> Result<(), RoundError> {
        let placement = self.layout.placement();
        let versions = placement.versions();
        let peer = self.peer.node_id();
        let sharing = placement.sharing(self.ourselves, peer);
        let exchange = Exchange {
            store: self.store,
            peer: self.peer,
            budget: self.budget,
            numbers: self.numbers,
        };
        let left = spans.iter().filter_map(|span| span.at_or_above(*position));
        let left: Vec<Span> = left.collect();
        let Some(last) = left.last().map(|span| span.last) else { return Ok(()) };
        let mut session = Session::new(key, &left);
        if sharing.compared.is_empty() {
            return Ok(());
        }
        self.numbers.begun(peer, *position);
        let mut counted_at = None;
        while let Some(from) = session.position() {
            *position = from;
            self.numbers.reached(peer, from);
            let inventory = self.store.inventory(from, last).await;
            let listing = Shared::new(inventory, sharing.compared.clone());
            let mut found = match session.next(&listing).await? {
                Step::Done => break,
                Step::Found(found) => found,
                Step::Ask(mut question) => {
                    // Counting costs a look at every index.
                    let count = counted_at.is_none_or(|at: Instant| at.elapsed() >= COUNT_AGAIN);
                    question.count_to = count.then_some(last);
                    let operation = self.budget.operation().await;
                    let reply = self.peer.compare(&question, self.ourselves, &versions).await?;
                    drop(operation);
                    self.numbers.count(peer, |counts| counts.round_trips += 1);
                    if let Some(theirs) = reply.held {
                        counted_at = Some(Instant::now());
                        let ours = listing.count_about(Span { first: from, last });
                        let (ours, theirs) = match () {
                            // Of the other direction nothing is brought, whatever differs.
                            () if sharing.to_one.is_empty() => (ours, theirs.min(ours)),
                            () if sharing.to_other.is_empty() => (ours.min(theirs), theirs),
                            () => (ours, theirs),
                        };
                        self.numbers.left(peer, ours, theirs);
                    }
                    session.take(&listing, reply).await?
                }
            };
            // One that does not own a position is a source of what lies there, and takes nothing.
            found.theirs.retain(|id| sharing.to_one.contains(id.prefix_u64()));
            found.ours.retain(|id| sharing.to_other.contains(id.prefix_u64()));
            exchange.run(&found).await?;
        }
        Ok(())
    }
}
