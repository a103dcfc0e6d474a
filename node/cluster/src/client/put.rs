//! Puts across a layout change.
//!
//! Puts that meet a change of the layout.
//!
//! An attempt goes by one layout from beginning to end. When another one comes, some of its
//! replicas may refuse, or be gone, and the rest of them may be down: the attempt fails, or it
//! waits until its time is over, though a quorum by the new layout is there. So as soon as the
//! client goes by another layout, what is not stored yet is tried by that as well. The attempts
//! before go on beside it, because a version that was heard of may be nobody's, and because W
//! replicas by any layout that is not settled are enough: readers look there.

mod large;

#[cfg(test)]
mod tests;

use futures_util::stream::{FuturesUnordered, StreamExt};
use gitstratum_core::limits;
use gitstratum_core::object::Object;
use tokio::time::Instant;

use super::Client;
use crate::quorum::{PutError, PutReport};

type Outcome = Result<PutReport, PutError>;

impl Client {
    /// Stores objects by the layout that the client goes by, and by those that come into force
    /// while that is under way.
    pub(super) async fn put_following(
        &self,
        objects: Vec<Object>,
        skip_present: bool,
    ) -> Vec<Outcome> {
        let (began, timeout) = (Instant::now(), self.options.request_timeout);
        let mut open: Vec<_> = (0..objects.len()).collect();
        // The outcome of the latest attempt, with its number, until one of them stored the object.
        let mut outcomes: Vec<Option<(u32, Outcome)>> = objects.iter().map(|_| None).collect();
        let put = &self.writer.begin(objects);
        let attempt = |number: u32, places: Vec<usize>, skip_present| async move {
            let outcomes = put.attempt(&places, skip_present).await;
            (number, places, outcomes)
        };
        let mut number = 0;
        let mut version = self.layout.version();
        let mut attempts =
            FuturesUnordered::from_iter([attempt(number, open.clone(), skip_present)]);
        while !open.is_empty() {
            let ended = tokio::select! {
                biased;
                ended = attempts.next() => ended,
                () = self.overtaken(version), if began.elapsed() < timeout => None,
            };
            if let Some((number, places, ended)) = ended {
                for (place, outcome) in places.into_iter().zip(ended) {
                    // Stored by any attempt is stored; of failures the latest attempt's counts.
                    let known = &mut outcomes[place];
                    let keep = match known {
                        Some((_, Ok(_))) => true,
                        Some((at, Err(_))) => outcome.is_err() && *at > number,
                        None => false,
                    };
                    if !keep {
                        *known = Some((number, outcome));
                    }
                }
                let stored = |place: usize| matches!(&outcomes[place], Some((_, Ok(_))));
                open.retain(|place| !stored(*place));
                if !attempts.is_empty() || open.is_empty() {
                    continue;
                }
                if began.elapsed() >= timeout {
                    break;
                }
                self.catch_up().await;
                if self.layout.version() == version {
                    break;
                }
            }
            number += 1;
            version = self.layout.version();
            // What was sent by the attempts before need not be sent again.
            attempts.push(attempt(number, open.clone(), true));
        }
        let decided = outcomes.into_iter().map(|outcome| outcome.map(|(_, outcome)| outcome));
        decided.map(|outcome| outcome.expect("an attempt at every object ended")).collect()
    }

    /// Waits until the client has gone by another layout than `version` for so long that an
    /// attempt by `version` is late. A newer one that is heard of meanwhile, which a replica that
    /// refuses for its sake says, is fetched.
    async fn overtaken(&self, version: u64) {
        loop {
            tokio::select! {
                biased;
                _ = self.layout.changed_since(version) => break,
                _ = self.layout.until_behind() => self.catch_up().await,
            }
        }
        tokio::time::sleep(limits::HEDGE_AFTER).await;
    }
}
