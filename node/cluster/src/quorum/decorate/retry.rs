//! Retry layer.
//!
//! The layer of second attempts: a request whose connection failed is sent once more.
//!
//! Invariant: a request is sent twice at most, the second time on a connection that was opened
//! after the first began, within the timeout of both, and only when the budget of second
//! attempts, which is the connections' own, allows it. That is safe because objects are
//! immutable. What failed for any other reason is not sent again, nor what is gone once it
//! was sent, such as the parts of a large object.

use std::time::Duration;

use gitstratum_core::limits;
use gitstratum_core::replica::NodeError;
use tokio::time::Instant;

use super::call::Call;
use super::layered::{Layer, Layered};

/// Sends requests whose connection failed once more.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retry;

impl Layer for Retry {
    async fn run<C: Call>(&self, call: C) -> Result<C::Answer, NodeError> {
        // A stream is opened within the time that any request has.
        let timeout = call.timeout().unwrap_or(limits::REQUEST_TIMEOUT);
        let spare = call.spare();
        let again = |first_began, left| spare?.within(left).send_afresh(first_began);
        repeated(timeout, call.send(), again).await
    }
}

/// A replica whose requests are sent once more when their connection failed.
pub type Retried<N> = Layered<Retry, N>;

impl<N> Retried<N> {
    /// `inner`, asked twice at most.
    pub fn new(inner: N) -> Self {
        Layered::around(Retry, inner)
    }
}

/// Runs `first`; when its connection failed, and some of `timeout` is left, what `again` makes
/// of the moment at which `first` began and of the time that is left, if it makes anything.
///
/// # Errors
/// Of the last attempt that was made.
pub(crate) async fn repeated<T, F>(
    timeout: Duration,
    first: impl Future<Output = Result<T, NodeError>>,
    again: impl FnOnce(Instant, Duration) -> Option<F>,
) -> Result<T, NodeError>
where
    F: Future<Output = Result<T, NodeError>>,
{
    let first_began = Instant::now();
    let answer = first.await;
    let Err(NodeError::ConnectionLost { .. } | NodeError::Dial(_)) = answer else { return answer };
    let left = timeout.saturating_sub(first_began.elapsed());
    if left.is_zero() {
        return answer;
    }
    let Some(second) = again(first_began, left) else { return answer };
    match second.await {
        // The caller waited for both.
        Err(NodeError::TimedOut { stage, .. }) => {
            Err(NodeError::TimedOut { stage, after: timeout })
        }
        answer => answer,
    }
}
