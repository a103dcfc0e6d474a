//! Metrics as `status --json` has them: those of a group under the rest of their names.
//!
//! `gitstratum_store_puts_total` is `puts` of the group `store`. Nothing here knows a metric by its
//! name, so that one that a node gets is in the output at once.

use std::collections::BTreeMap;

use gitstratum_core::metrics::{Sample, Samples};
use serde::Serialize;

/// Whole numbers above are not exact.
const EXACT_MAX: f64 = (1_u64 << 53) as f64;

/// Numbers by key.
#[derive(Default, Serialize)]
#[serde(transparent)]
pub(super) struct Numbers(BTreeMap<String, Number>);

#[derive(Serialize)]
#[serde(untagged)]
enum Number {
    Whole(u64),
    Real(f64),
    /// By the value of a label.
    Labelled(BTreeMap<String, Number>),
}

impl Number {
    fn of(sample: &Sample) -> Self {
        let value = sample.value;
        match value.fract() == 0.0 && (0.0..EXACT_MAX).contains(&value) {
            true => Number::Whole(value as u64),
            false => Number::Real(value),
        }
    }
}

/// The samples of a group by key.
fn keyed<'s>(samples: &'s Samples, group: &str) -> impl Iterator<Item = (&'s str, &'s Sample)> {
    let prefix = format!("gitstratum_{group}_");
    samples.0.iter().filter_map(move |sample| {
        let key = sample.name.strip_prefix(&prefix)?;
        Some((key.strip_suffix("_total").unwrap_or(key), sample))
    })
}

impl Numbers {
    /// Those of the node as a whole.
    pub(super) fn of_node(samples: &Samples, group: &str) -> Self {
        let of_node = keyed(samples, group).filter(|(_, sample)| sample.labels.is_empty());
        Numbers(of_node.map(|(key, sample)| (key.to_owned(), Number::of(sample))).collect())
    }

    /// Those that a peer labels, by peer. A second label is a level of its own.
    pub(super) fn by_peer(samples: &Samples, group: &str) -> BTreeMap<String, Self> {
        Self::by_peer_where(samples, group, |_| true)
    }

    /// Of those, the ones that count.
    pub(super) fn counters_by_peer(samples: &Samples, group: &str) -> BTreeMap<String, Self> {
        Self::by_peer_where(samples, group, |sample| sample.name.ends_with("_total"))
    }

    /// And the others, which measure.
    pub(super) fn gauges_by_peer(samples: &Samples, group: &str) -> BTreeMap<String, Self> {
        Self::by_peer_where(samples, group, |sample| !sample.name.ends_with("_total"))
    }

    fn by_peer_where(
        samples: &Samples,
        group: &str,
        wanted: impl Fn(&Sample) -> bool,
    ) -> BTreeMap<String, Self> {
        let mut peers: BTreeMap<String, Self> = BTreeMap::new();
        for (key, sample) in keyed(samples, group).filter(|(_, sample)| wanted(sample)) {
            let [(label, peer), more @ ..] = &sample.labels[..] else { continue };
            if label != "peer" {
                continue;
            }
            let Numbers(numbers) = peers.entry(peer.clone()).or_default();
            match more {
                [] => _ = numbers.insert(key.to_owned(), Number::of(sample)),
                [(_, value), ..] => {
                    let labelled = numbers.entry(key.to_owned());
                    let labelled = labelled.or_insert_with(|| Number::Labelled(BTreeMap::new()));
                    if let Number::Labelled(labelled) = labelled {
                        labelled.insert(value.clone(), Number::of(sample));
                    }
                }
            }
        }
        peers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Raw<'r> = (&'r str, &'r [(&'r str, &'r str)], f64);

    fn samples(samples: &[Raw<'_>]) -> Samples {
        let sample = |&(name, labels, value): &Raw<'_>| Sample {
            name: name.to_owned(),
            labels: labels.iter().map(|&(name, of)| (name.to_owned(), of.to_owned())).collect(),
            value,
        };
        Samples(samples.iter().map(sample).collect())
    }

    #[test]
    fn the_key_of_a_number_is_what_its_name_adds_to_the_group() {
        let samples = samples(&[
            ("gitstratum_hints_recorded_total", &[], 3.0),
            ("gitstratum_hints_bytes", &[], 4096.0),
            ("gitstratum_hints_oldest_age_seconds", &[], 0.25),
            ("gitstratum_store_objects", &[], 7.0),
        ]);
        let hints = serde_json::to_string(&Numbers::of_node(&samples, "hints")).unwrap();
        assert_eq!(hints, r#"{"bytes":4096,"oldest_age_seconds":0.25,"recorded":3}"#);
    }

    #[test]
    fn numbers_of_peers_stand_with_their_peer_and_a_second_label_is_a_level() {
        let samples = samples(&[
            ("gitstratum_pool_connections", &[], 2.0),
            ("gitstratum_pool_waiters", &[("peer", "n2")], 1.0),
            ("gitstratum_pool_dials_total", &[("peer", "n2")], 5.0),
            ("gitstratum_pool_dials_failed_total", &[("peer", "n2"), ("stage", "connect")], 4.0),
            ("gitstratum_pool_dials_failed_total", &[("peer", "n2"), ("stage", "resolve")], 0.0),
            ("gitstratum_pool_dials_total", &[("peer", "")], 1.0),
        ]);
        let json = |peers: &BTreeMap<String, Numbers>| serde_json::to_string(peers).unwrap();
        let counters = Numbers::counters_by_peer(&samples, "pool");
        let failed = r#""dials_failed":{"connect":4,"resolve":0}"#;
        assert_eq!(json(&counters), format!(r#"{{"":{{"dials":1}},"n2":{{"dials":5,{failed}}}}}"#));
        let gauges = Numbers::gauges_by_peer(&samples, "pool");
        assert_eq!(json(&gauges), r#"{"n2":{"waiters":1}}"#);
    }
}
