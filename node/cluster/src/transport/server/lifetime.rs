//! Connection and stream timeouts.
//!
//! What a connection and the requests on it wait for, and when that is given up.
//!
//! A request ends when its client sends nothing of it, or reads nothing of its answer, for too
//! long; a connection when nothing was ever asked on it, or is asked no more. What goes on is never
//! limited, and time in which a request is worked on does not count.
//!
//! A task has one alarm, which is set when there is something to wait for; when it wakes the task,
//! that may have come meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::Duration;

use gitstratum_core::limits::SERVER_STALL_BYTES_MIN;
use gitstratum_host::rt::Alarm;
use tokio::time::Instant;

use super::numbers::Bound;
use super::options::ServerOptions;
use super::shares::{Exhausted, Held};

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    /// Its client is to send more of it.
    Request,
    /// Its client is to read so many bytes of its answer.
    Answer(usize),
}

/// One request with its answer, as those who handle both see it.
#[derive(Debug, Default)]
pub(super) struct Exchange(Mutex<Progress>);

#[derive(Debug, Default)]
struct Progress {
    /// Since when more of the request is waited for.
    receiving: Option<Instant>,
    /// How long that was waited for before, and what it brought, since enough came.
    waited: Duration,
    brought: u64,
    /// Since when part of the answer waits to be read, and its bytes.
    answering: Option<(Instant, usize)>,
    /// The rest of the request is not waited for any more.
    late: bool,
}

impl Progress {
    fn waiting(&self) -> Option<(Waits, Instant)> {
        // Who does not read the answer is not asked for more.
        let answer = self.answering.map(|(since, bytes)| (Waits::Answer(bytes), since));
        answer.or(self.receiving.map(|since| (Waits::Request, since)))
    }
}

impl Exchange {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().expect("nothing panics while it notes the time")
    }

    /// More of the request is waited for.
    pub(super) fn waits(&self) {
        self.progress().receiving.get_or_insert_with(Instant::now);
    }

    /// So many bytes of it came, or its end.
    pub(super) fn received(&self, bytes: usize) {
        let mut progress = self.progress();
        progress.brought += bytes as u64;
        if let Some(since) = progress.receiving.take() {
            progress.waited += since.elapsed();
        }
        if progress.brought >= SERVER_STALL_BYTES_MIN {
            (progress.waited, progress.brought) = (Duration::ZERO, 0);
        }
    }

    /// Whether the rest of the request comes too late.
    pub(super) fn is_late(&self) -> bool {
        self.progress().late
    }

    /// So many bytes of the answer are there for the client to read, of which the first were
    /// handed out.
    pub(super) fn answers(&self, bytes: usize) {
        self.progress().answering = Some((Instant::now(), bytes));
    }

    /// What was handed out was read, or the client has made room for it.
    pub(super) fn answered(&self) {
        let mut progress = self.progress();
        if progress.answering.take().is_some() && progress.receiving.is_some() {
            progress.receiving = Some(Instant::now());
        }
    }

    /// What it waits for, if that is its client; since when; and when that is given up.
    fn due(&self, stall_timeout: Duration) -> Option<(Waits, Instant, Instant)> {
        let progress = self.progress();
        let (what, since) = progress.waiting()?;
        let waited = match what {
            Waits::Request => progress.waited,
            Waits::Answer(_) => Duration::ZERO,
        };
        Some((what, since, since + stall_timeout.saturating_sub(waited)))
    }

    /// Has the request end as soon as it is looked at again; `false` if it was told before.
    fn give_up(&self) -> bool {
        let mut progress = self.progress();
        progress.receiving = None;
        !std::mem::replace(&mut progress.late, true)
    }

    /// Runs a task that receives the request and answers it, until it ends or its client has stood
    /// still for too long: a request that is not sent ends with an error, an answer that is not
    /// read with a reset, at once where there is no room for it to wait. `reached` is told which.
    pub(super) async fn tend<F: Future>(
        &self,
        task: F,
        options: &ServerOptions,
        room: impl Fn(usize) -> Result<Held, Exhausted>,
        reached: impl Fn(Bound),
    ) {
        let mut task = std::pin::pin!(task);
        let mut alarm = Alarm::default();
        // Of the answer that waits since then.
        let mut unread: Option<(Instant, Held)> = None;
        std::future::poll_fn(|cx| {
            loop {
                if task.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                let Some((what, since, mut due)) = self.due(options.stall_timeout) else {
                    unread = None;
                    return Poll::Pending;
                };
                unread = unread.take().filter(|(counted, _)| *counted == since);
                let is_new = matches!(what, Waits::Answer(_)) && unread.is_none();
                if is_new {
                    due = due.min(since + options.unread_after);
                }
                if alarm.poll(due, cx).is_pending() {
                    return Poll::Pending;
                }
                match what {
                    Waits::Request => {
                        reached(Bound::RequestStalled);
                        if !self.give_up() {
                            return Poll::Ready(());
                        }
                    }
                    Waits::Answer(bytes) if is_new => match room(bytes) {
                        Ok(held) => unread = Some((since, held)),
                        Err(_) => {
                            reached(Bound::AnswerBytes);
                            return Poll::Ready(());
                        }
                    },
                    Waits::Answer(_) => {
                        reached(Bound::AnswerUnread);
                        return Poll::Ready(());
                    }
                }
            }
        })
        .await;
    }
}

/// A connection, as the requests on it and whoever keeps it see it.
#[derive(Debug)]
pub(super) struct Lifetime {
    opened: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Requests that ever began.
    asked: u64,
    /// Those in flight, by their numbers.
    open: BTreeMap<u64, Arc<Exchange>>,
    /// The one that began last, until its task begins.
    begun: Option<Open>,
    /// When the last one ended.
    idle_since: Instant,
}

impl Lifetime {
    /// Of a connection that has just come.
    pub(super) fn new() -> Arc<Self> {
        let opened = Instant::now();
        let state = State { asked: 0, open: BTreeMap::new(), begun: None, idle_since: opened };
        Arc::new(Lifetime { opened, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it notes the time")
    }

    /// A request begins; its task takes it with [`Lifetime::begun`].
    pub(super) fn begin(self: &Arc<Self>) -> Arc<Exchange> {
        let exchange = Arc::new(Exchange::default());
        let mut state = self.state();
        state.asked += 1;
        let number = state.asked;
        state.open.insert(number, exchange.clone());
        let open = Open { lifetime: self.clone(), number, exchange: exchange.clone() };
        let before = state.begun.replace(open);
        // Its end is noted under the same lock.
        drop(state);
        drop(before);
        exchange
    }

    /// The request that has just begun.
    pub(super) fn begun(&self) -> Option<Open> {
        self.state().begun.take()
    }

    /// When to look next, if nothing happens before, and whether the connection is over.
    pub(super) fn due(
        &self,
        stopping: Option<Instant>,
        options: &ServerOptions,
    ) -> (Option<Instant>, Option<Bound>) {
        let now = Instant::now();
        let state = self.state();
        let (due, over) = if let Some(stopping) = stopping {
            let mut waiting = state
                .open
                .values()
                .map(|exchange| exchange.progress().waiting().map(|(_, since)| since));
            let still_since = waiting
                .try_fold(stopping.max(state.idle_since), |latest, since| Some(latest.max(since?)));
            match still_since {
                Some(since) => (since + options.stall_timeout_stopping, Bound::Stopping),
                // Somebody is worked for.
                None => return (Some(now + options.stall_timeout_stopping), None),
            }
        } else if state.asked == 0 {
            (self.opened + options.first_request_timeout, Bound::ConnectionSilent)
        } else if state.open.is_empty() {
            (state.idle_since + options.idle_timeout, Bound::ConnectionIdle)
        } else {
            return (None, None);
        };
        (Some(due), (now >= due).then_some(over))
    }
}

/// A request in flight on a connection.
#[derive(Debug)]
pub(super) struct Open {
    lifetime: Arc<Lifetime>,
    number: u64,
    pub(super) exchange: Arc<Exchange>,
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.lifetime.state();
        state.open.remove(&self.number);
        state.idle_since = Instant::now();
    }
}
