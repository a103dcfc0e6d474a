//! Replica selection and hedging.
//!
//! Which replica is asked first, and when the next one is asked too.
//!
//! First come those that did not fail lately, among them those that are not much slower than
//! the best, among them those of the reader's own zone; else the order of the ring, which
//! spreads reads over all. A replica that takes longer than it took for 95 of a hundred reads
//! is not waited for alone (Dean and Barroso, "The Tail at Scale", 2013): the next is asked
//! too, within a budget, so that a slow cluster is not asked twice for everything.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use gitstratum_core::limits;
use gitstratum_core::placement::{NodeId, Placement};
use gitstratum_core::token_bucket::{TOKEN, TokenBucket};
use tokio::time::Instant;

use crate::quorum::decorate::Latencies;

/// How a reader chooses.
#[derive(Clone, Default)]
pub struct Preference {
    /// Where the reader is.
    pub zone: Option<String>,
    /// The replica that is in the same process: it is asked first, unless it failed lately.
    pub own: Option<NodeId>,
    /// What replicas' reads took lately.
    pub latencies: Latencies,
}

/// What a reader knows of its replicas.
pub(super) struct Health {
    preference: Preference,
    /// Replicas that failed lately, and until when they are asked last.
    suspects: Mutex<BTreeMap<NodeId, Instant>>,
    /// Requests that may be asked early.
    early: TokenBucket,
    asked: AtomicU64,
}

impl Health {
    pub(super) fn new(preference: Preference) -> Self {
        Health {
            preference,
            suspects: Mutex::default(),
            early: TokenBucket::full(limits::HEDGES_MAX),
            asked: AtomicU64::new(0),
        }
    }

    fn suspects(&self) -> MutexGuard<'_, BTreeMap<NodeId, Instant>> {
        self.suspects.lock().expect("nothing panics while it ranks")
    }

    pub(super) fn suspect(&self, node_id: &NodeId) {
        self.suspects().insert(node_id.clone(), Instant::now() + limits::SUSPECT_FOR);
    }

    /// Replicas, the likeliest first.
    pub(super) fn ranked(&self, placement: &Placement, replicas: &[NodeId]) -> Vec<NodeId> {
        let now = Instant::now();
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let Preference { zone, own, latencies } = &self.preference;
        let usual: Vec<_> = replicas.iter().map(|node_id| latencies.usual_read(node_id)).collect();
        let best = usual.iter().flatten().min().copied();
        // Now and then a slow one is asked first all the same, or it would stay slow for ever.
        let tries_all = asked.is_multiple_of(limits::READS_BEFORE_A_TRIAL);
        let suspects = self.suspects();
        let rank = |(node_id, usual): (&NodeId, Option<Duration>)| {
            let is_suspect = suspects.get(node_id).is_some_and(|until| now < *until);
            let slower = |usual| best.is_some_and(|best| usual > best * limits::MUCH_SLOWER);
            let is_slower = !tries_all && usual.is_some_and(slower);
            let member = placement.layout().member(node_id);
            let elsewhere =
                zone.as_ref().is_some_and(|zone| member.is_none_or(|member| member.zone != *zone));
            let is_own = own.as_ref() == Some(node_id);
            (is_suspect, own.is_some() && !is_own, is_slower, elsewhere)
        };
        let mut ranked: Vec<_> =
            replicas.iter().zip(usual).map(|(node, usual)| (rank((node, usual)), node)).collect();
        // Stable: else the order of the ring.
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, node_id)| node_id.clone()).collect()
    }

    /// How long a replica is waited for before it is looked whether another may be asked
    /// early; never longer than `limits::HEDGE_AFTER`, after which another is in any case.
    pub(super) fn patience(&self, node_id: &NodeId) -> Duration {
        let usual = self.preference.latencies.read_p95(node_id);
        usual.map_or(limits::HEDGE_AFTER, |p95| {
            p95.clamp(limits::HEDGE_AFTER_MIN, limits::HEDGE_AFTER)
        })
    }

    /// A replica is asked because it is the next: a twentieth of another may be asked early.
    pub(super) fn earn(&self) {
        self.early.earn(TOKEN * limits::HEDGE_PERCENT / 100);
    }

    /// Whether one may be asked early; it counts as asked.
    pub(super) fn may_ask_early(&self) -> bool {
        self.early.spend()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quorum::decorate::AdaptiveOptions;
    use gitstratum_core::placement::{Layout, Member};

    fn node(name: &str) -> NodeId {
        NodeId::new(name)
    }

    fn placement() -> Placement {
        let member = |name: &str, zone: &str| {
            Member::active(node(name), format!("{name}:1"), zone.to_owned(), 1)
        };
        let members = vec![member("n1", "east"), member("n2", "west"), member("n3", "west")];
        Placement::new(Layout::first((3, 2, 2), members).validated().unwrap().into())
    }

    fn latencies(reads: &[(&str, u64)]) -> Latencies {
        let latencies = Latencies::new(AdaptiveOptions::default());
        for (name, ms) in reads {
            for _ in 0..200 {
                latencies.record_read(&node(name), Duration::from_millis(*ms));
            }
        }
        latencies
    }

    fn ranked(health: &Health) -> String {
        // The first of all is one that tries the slow.
        health.asked.fetch_max(1, Ordering::Relaxed);
        let replicas = ["n1", "n2", "n3"].map(node);
        let ranked = health.ranked(&placement(), &replicas);
        ranked.iter().map(NodeId::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_reader_s_own_zone_comes_first_and_who_failed_lately_last() {
        let zone = Some("west".to_owned());
        let health = Health::new(Preference { zone, ..Preference::default() });
        assert_eq!(ranked(&health), "n2 n3 n1");
        health.suspect(&node("n2"));
        assert_eq!(ranked(&health), "n3 n1 n2");
        assert_eq!(ranked(&Health::new(Preference::default())), "n1 n2 n3");
    }

    #[test]
    fn the_reader_s_own_replica_comes_first_unless_it_failed() {
        let latencies = latencies(&[("n1", 2), ("n2", 3), ("n3", 40)]);
        let own = Some(node("n3"));
        let health = Health::new(Preference { own, latencies, ..Preference::default() });
        assert_eq!(ranked(&health), "n3 n1 n2");
        health.suspect(&node("n3"));
        assert_eq!(ranked(&health), "n1 n2 n3");
    }

    #[test]
    fn who_is_much_slower_than_the_best_comes_later_but_is_tried_now_and_then() {
        let latencies = latencies(&[("n1", 40), ("n2", 3), ("n3", 2)]);
        let health = Health::new(Preference { latencies, ..Preference::default() });
        let orders: Vec<_> = (0..limits::READS_BEFORE_A_TRIAL).map(|_| ranked(&health)).collect();
        let first = orders.iter().filter(|order| order.starts_with("n1")).count();
        assert_eq!(first, 1, "{orders:?}");
        assert_eq!(orders[0], "n2 n3 n1", "what is about as fast stays in the ring's order");
    }

    #[test]
    fn a_replica_is_waited_for_as_long_as_it_usually_takes() {
        let latencies = latencies(&[("n1", 20), ("n2", 0)]);
        let health = Health::new(Preference { latencies, ..Preference::default() });
        let patience = health.patience(&node("n1"));
        assert!((20..50).contains(&patience.as_millis()), "{patience:?}");
        assert_eq!(health.patience(&node("n2")), limits::HEDGE_AFTER_MIN);
        assert_eq!(health.patience(&node("n3")), limits::HEDGE_AFTER, "nothing is known of it");
    }

    #[test]
    fn few_are_asked_early_when_all_are_slow() {
        let health = Health::new(Preference::default());
        let mut early = 0;
        for _ in 0..10_000 {
            health.earn();
            early += u64::from(health.may_ask_early());
        }
        let share = 10_000 * limits::HEDGE_PERCENT / 100;
        assert!((share..=share + limits::HEDGES_MAX).contains(&early), "{early}");
    }
}
