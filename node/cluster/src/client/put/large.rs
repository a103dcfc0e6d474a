//! Large puts across a layout change.
//!
//! Large objects whose put meets a change of the layout.
//!
//! They are tried by the newer layout as small ones are, but their parts come once. What the next
//! attempt sends are the parts that were kept, or else the object as a replica stored it: whoever
//! refuses does so before it takes a part, and whoever has begun to store goes on. So the next
//! attempt waits until the one before has handed over what it was given.

use std::pin::Pin;

use futures_util::future::select_all;
use gitstratum_core::limits;
use gitstratum_core::object::{ObjectHead, ObjectId};
use gitstratum_core::replica::Parts;
use tokio::time::Instant;

use super::{Client, Outcome};
use crate::quorum::{PutError, PutLarge, Source};

/// An attempt that ended.
struct Ended {
    /// Which layout was in force when it began.
    version: u64,
    /// No other attempt was under way then.
    alone: bool,
    /// `None` when there was nothing that it could have sent.
    outcome: Option<Outcome>,
}

impl Client {
    /// Stores a large object by the layout that the client goes by, and by those that come into
    /// force while that is under way.
    pub(in crate::client) async fn put_large_following(
        &self,
        head: ObjectHead,
        parts: Parts,
    ) -> Outcome {
        let put = &self.writer.begin_large(head, parts);
        let attempt = |version: u64, first: bool, alone: bool| async move {
            let outcome = match first {
                true => Some(put.attempt().await),
                false => match self.once_more(put, head.id).await {
                    Some(source) => Some(put.attempt_again(source).await),
                    None => None,
                },
            };
            Ended { version, alone, outcome }
        };
        let mut begun = self.layout.version();
        let mut attempts = vec![Box::pin(attempt(begun, true, true))];
        let mut failed: Option<(u64, PutError)> = None;
        loop {
            let late = async {
                self.overtaken(begun).await;
                put.handed_over().await;
                tokio::time::sleep(limits::HEDGE_AFTER).await;
            };
            let ended = tokio::select! {
                biased;
                ended = next_ended(&mut attempts) => Some(ended),
                () = late => None,
            };
            if let Some(Ended { version, alone, outcome }) = ended {
                let in_vain = alone && outcome.is_none();
                match outcome {
                    // Stored by any attempt is stored; of failures the latest attempt's counts.
                    Some(Ok(report)) => return Ok(report),
                    Some(Err(error)) if failed.as_ref().is_none_or(|(at, _)| *at <= version) => {
                        failed = Some((version, error));
                    }
                    _ => {}
                }
                if !attempts.is_empty() {
                    continue;
                }
                self.catch_up().await;
                let (tried, error) = failed.as_ref().expect("the first attempt sent something");
                if in_vain || self.layout.version() <= *tried {
                    return Err(error.clone());
                }
            }
            begun = self.layout.version();
            attempts.push(Box::pin(attempt(begun, false, attempts.is_empty())));
        }
    }

    /// What can be sent once the attempts before have handed over what they were given. A replica
    /// that took all of it may be storing it yet.
    async fn once_more(&self, put: &PutLarge, id: ObjectId) -> Option<Source> {
        put.handed_over().await;
        if let Some(source) = put.rewound() {
            return Some(source);
        }
        let (began, mut wait) = (Instant::now(), limits::HEDGE_AFTER);
        loop {
            let answered = put.is_answered();
            if let Ok(reader) = self.reader.get_large(id).await {
                return Some(Source::stored(reader));
            }
            if answered || began.elapsed() >= self.options.request_timeout {
                return None;
            }
            // Whether or not they all did by then, it is looked for again.
            let _ = tokio::time::timeout(wait, put.answered()).await;
            wait *= 2;
        }
    }
}

/// The outcome of the next attempt that ends, which is under way no more then.
async fn next_ended<F: Future>(attempts: &mut Vec<Pin<Box<F>>>) -> F::Output {
    let (outcome, place, _) = select_all(attempts.iter_mut()).await;
    drop(attempts.swap_remove(place));
    outcome
}
