//! Cache of failed configurations, so that none is searched twice.
//!
//! A configuration is what the rest of a history depends on: how many responses are behind, which
//! open operations have taken effect, and the state. Two rules make one failure stand for many.
//! Where more operations of unknown outcome were used up for the same state, fewer are left, so it
//! fails as well; and where fewer observers have been placed, more is asked, so it fails as well.

use std::collections::BTreeMap;

use super::model::State;

/// What the rest of a history depends on. Lists of calls are in ascending order.
pub(super) struct Configuration {
    /// How many responses are behind.
    pub position: usize,
    pub state: State,
    /// Open answered calls that change something and were placed.
    pub writers: Vec<usize>,
    /// Open answered calls that change nothing and were placed.
    pub observers: Vec<usize>,
    /// Calls of unknown outcome that were placed and can still be seen.
    pub unknown: Vec<usize>,
}

/// Observers and unknown calls of configurations that are the same in all else.
type Variants = Vec<(Vec<usize>, Vec<usize>)>;

/// Configurations from which no order was found.
#[derive(Default)]
pub(super) struct Failed {
    by_position: BTreeMap<usize, BTreeMap<(Vec<usize>, State), Variants>>,
}

impl Failed {
    /// Whether anything failed at that position; if not there is no need to make a configuration.
    pub fn any_at(&self, position: usize) -> bool {
        self.by_position.contains_key(&position)
    }

    pub fn insert(&mut self, configuration: Configuration) {
        let Configuration { position, state, writers, observers, unknown } = configuration;
        let variants =
            self.by_position.entry(position).or_default().entry((writers, state)).or_default();
        variants.retain(|(other_observers, other_unknown)| {
            !(is_subset(other_observers, &observers) && is_subset(&unknown, other_unknown))
        });
        variants.push((observers, unknown));
    }

    /// Whether it is known that no order can be found from there.
    pub fn covers(&self, configuration: Configuration) -> bool {
        let Configuration { position, state, writers, observers, unknown } = configuration;
        let variants =
            self.by_position.get(&position).and_then(|states| states.get(&(writers, state)));
        variants.is_some_and(|variants| {
            variants.iter().any(|(failed_observers, failed_unknown)| {
                is_subset(&observers, failed_observers) && is_subset(failed_unknown, &unknown)
            })
        })
    }
}

/// Whether all of one ascending list is in another.
fn is_subset(part: &[usize], whole: &[usize]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|call| whole.find(|other| *other >= call) == Some(call))
}
