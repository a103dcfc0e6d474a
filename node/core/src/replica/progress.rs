//! Progress deadline.
//!
//! A large object is put in as much time as it takes, as long as there is progress.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::{NodeError, Parts, Stored};

/// Puts a large object by `put`, which is given its parts, for as long as there is progress: each
/// part is taken within `patience` of when it came, and the answer is there as soon after the last
/// one. The caller may take its time with the next part.
///
/// # Errors
/// Those of `put`, and [`NodeError::TimedOut`].
pub async fn while_progressing<F>(
    patience: Duration,
    mut parts: Parts,
    put: impl FnOnce(Parts) -> F,
) -> Result<Stored, NodeError>
where
    F: Future<Output = Result<Stored, NodeError>>,
{
    let (to, taken) = mpsc::channel(1);
    let watched = async {
        while let Some(part) = parts.recv().await {
            match timeout(patience, to.send(part)).await {
                Ok(Ok(())) => {}
                // It takes no more, and its answer says why.
                Ok(Err(_)) => break,
                Err(_) => return "taking a part",
            }
        }
        drop(to);
        sleep(patience).await;
        "waiting for the answer"
    };
    tokio::select! {
        biased;
        answer = put(taken) => answer,
        stage = watched => Err(NodeError::TimedOut { stage, after: patience }),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::replica::Durability;

    const PATIENCE: Duration = Duration::from_millis(200);

    fn stored() -> Stored {
        Stored { durability: Durability::Synced, already_present: false, bytes: 0 }
    }

    /// Three parts, each so much after the one before.
    fn parts_after(pause: Duration) -> Parts {
        let (to, parts) = mpsc::channel(1);
        tokio::spawn(async move {
            for _ in 0..3 {
                sleep(pause).await;
                if to.send(Bytes::from_static(b"part")).await.is_err() {
                    return;
                }
            }
        });
        parts
    }

    #[tokio::test]
    async fn a_caller_that_takes_its_time_is_waited_for() {
        let put = async |mut parts: Parts| {
            let mut taken = 0;
            while parts.recv().await.is_some() {
                taken += 1;
            }
            assert_eq!(taken, 3);
            Ok(stored())
        };
        while_progressing(PATIENCE, parts_after(PATIENCE * 2), put).await.unwrap();
    }

    #[tokio::test]
    async fn one_that_takes_no_part_or_never_answers_is_given_up_with_where_it_stood() {
        let takes_none = async |_parts: Parts| std::future::pending().await;
        let never_answers = async |mut parts: Parts| {
            while parts.recv().await.is_some() {}
            std::future::pending().await
        };
        let given_up = while_progressing(PATIENCE, parts_after(Duration::ZERO), takes_none).await;
        assert!(matches!(given_up, Err(NodeError::TimedOut { stage: "taking a part", .. })));
        let given_up =
            while_progressing(PATIENCE, parts_after(Duration::ZERO), never_answers).await;
        let waiting = "waiting for the answer";
        assert!(matches!(given_up, Err(NodeError::TimedOut { stage, .. }) if stage == waiting));
    }

    #[tokio::test]
    async fn what_was_refused_says_why_whatever_is_left_of_it() {
        let refuses = async |_parts: Parts| Err(NodeError::ShuttingDown);
        let refused = while_progressing(PATIENCE, parts_after(Duration::ZERO), refuses).await;
        assert!(matches!(refused, Err(NodeError::ShuttingDown)));
    }
}
