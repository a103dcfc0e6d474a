//! Log rate limiting.
//!
//! Log lines that are due once in a while, with a count of what they stand for.
//!
//! What is refused at a bound is refused often: a line for each would fill the disk that the
//! log is on, and none at all would leave an operator without the reason.

use std::sync::Mutex;

use tokio::time::Instant;

use crate::limits::REFUSALS_LOGGED_EVERY;

/// Counts one kind of event between two lines about it.
#[derive(Debug, Default)]
pub struct Seldom {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    logged: Option<Instant>,
    since: u64,
}

impl Seldom {
    /// Counts an event. When a line is due, how many there were since the last one, this one
    /// included.
    pub fn count(&self) -> Option<u64> {
        let mut state = self.state.lock().expect("nothing panics while it counts");
        state.since += 1;
        if state.logged.is_some_and(|logged| logged.elapsed() < REFUSALS_LOGGED_EVERY) {
            return None;
        }
        state.logged = Some(Instant::now());
        Some(std::mem::take(&mut state.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_is_due_at_once_and_the_others_are_counted() {
        let seldom = Seldom::default();
        assert_eq!(seldom.count(), Some(1));
        assert_eq!([(); 5].map(|()| seldom.count()), [None; 5]);
        let mut state = seldom.state.lock().unwrap();
        state.logged = Some(Instant::now() - REFUSALS_LOGGED_EVERY);
        drop(state);
        assert_eq!(seldom.count(), Some(6));
        assert_eq!(seldom.count(), None);
    }
}
