//! Delivery rate estimate.
//!
//! How fast the hints of each target are settled, as was lately seen.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use gitstratum_core::limits;
use gitstratum_core::placement::NodeId;
use tokio::time::Instant;

/// Hints that were settled together.
#[derive(Clone, Copy, Debug)]
struct Batch {
    hints: u64,
    began: Instant,
    ended: Instant,
}

/// The last batches of each target, at most `limits::HINT_PACE_BATCHES_MAX` of each.
#[derive(Debug, Default)]
pub(super) struct Paces {
    lately: Mutex<BTreeMap<NodeId, VecDeque<Batch>>>,
}

impl Paces {
    /// Notes that so many hints of a target were settled.
    pub(super) fn note(&self, target: &NodeId, hints: u64, began: Instant, ended: Instant) {
        if hints == 0 {
            return;
        }
        let mut lately = self.lately.lock().expect("nothing panics while it notes a batch");
        // Targets that get nothing any more go, or those that left would stay for ever.
        lately.retain(|_, batches| {
            batches.retain(|batch| is_recent(batch, ended));
            !batches.is_empty()
        });
        let batches = lately.entry(target.clone()).or_default();
        if batches.len() == limits::HINT_PACE_BATCHES_MAX {
            batches.pop_front();
        }
        batches.push_back(Batch { hints, began, ended });
    }

    /// Hints that are settled in a second, by target; nothing of targets of which none was
    /// settled lately. What passed between two batches counts, so that a target which is left
    /// alone for a while is the slower for it.
    pub(super) fn rates(&self, now: Instant) -> BTreeMap<NodeId, f64> {
        let lately = self.lately.lock().expect("nothing panics while it notes a batch");
        let rate = |batches: &VecDeque<Batch>| {
            let recent = batches.iter().filter(|batch| is_recent(batch, now));
            let began = recent.clone().map(|batch| batch.began).min()?;
            let hints: u64 = recent.map(|batch| batch.hints).sum();
            Some(hints as f64 / now.duration_since(began).as_secs_f64().max(0.001))
        };
        lately.iter().filter_map(|(node, batches)| Some((node.clone(), rate(batches)?))).collect()
    }
}

fn is_recent(batch: &Batch, now: Instant) -> bool {
    now.duration_since(batch.ended) < limits::HINT_PACE_OVER
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_batches_and_unknown_when_none_was_settled_for_a_while() {
        let (paces, n2, zero) = (Paces::default(), NodeId::new("n2"), Instant::now());
        let at = |seconds| zero + Duration::from_secs(seconds);
        assert!(paces.rates(zero).is_empty());
        paces.note(&n2, 0, zero, at(1));
        assert!(paces.rates(at(1)).is_empty(), "nothing was settled");
        paces.note(&n2, 100, at(1), at(2));
        paces.note(&n2, 100, at(4), at(5));
        assert_eq!(paces.rates(at(5))[&n2], 50.0);
        assert_eq!(paces.rates(at(11))[&n2], 20.0, "it is left alone, and slower for it");
        assert!(paces.rates(at(5) + limits::HINT_PACE_OVER).is_empty());
        for n in 0..1000 {
            paces.note(&n2, 1, at(100 + n), at(101 + n));
        }
        assert_eq!(paces.rates(at(1100))[&n2], 1.0);
        let held = paces.lately.lock().unwrap()[&n2].len();
        assert!(held <= limits::HINT_PACE_BATCHES_MAX, "{held}");
        paces.note(&NodeId::new("n3"), 1, at(2000), at(2001));
        assert_eq!(paces.lately.lock().unwrap().len(), 1, "who gets nothing is forgotten");
    }
}
