//! Two sets of ids that are compared: what differs is found to the last id, and what that
//! takes grows with the difference, not with the sets.

use std::collections::BTreeSet;

use async_trait::async_trait;
use gitstratum_cluster::repair::reconcile::{Listing, Session, Step, answer};
use gitstratum_cluster::wire::compare::{
    question_from_wire, question_to_wire, reply_from_wire, reply_to_wire,
};
use gitstratum_core::object::ObjectId;
use gitstratum_core::placement::Versions;
use gitstratum_core::replica::StoreError;
use gitstratum_core::replica::compare::{Key, Span};
use gitstratum_proptests::ids;
use proptest::collection::btree_set;
use proptest::prelude::*;
use prost::Message;

/// What each difference may cost at each level, in bytes: sixteen sums either way, and at the
/// last a list and an id.
const BYTES_PER_LEVEL: usize = 340;
/// What a comparison costs where nothing differs.
const BYTES_EQUAL: usize = 330;

#[derive(Clone, Debug)]
struct Set(BTreeSet<ObjectId>);

impl Set {
    fn within(&self, span: Span) -> impl Iterator<Item = &ObjectId> {
        self.0.iter().filter(move |id| span.range().contains(&id.prefix_u64()))
    }
}

#[async_trait]
impl Listing for Set {
    fn count_max(&self, span: Span) -> u64 {
        self.within(span).count() as u64
    }

    async fn ids(&self, span: Span) -> Result<Vec<ObjectId>, StoreError> {
        Ok(self.within(span).copied().collect())
    }
}

#[derive(Default)]
struct Compared {
    ours: Vec<ObjectId>,
    theirs: Vec<ObjectId>,
    bytes: usize,
    round_trips: usize,
}

fn compare(ours: &Set, theirs: &Set, key: Key) -> Compared {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut session = Session::new(key, &[Span::ALL]);
        let mut compared = Compared::default();
        let versions = Versions { in_force: 1, unsettled: Vec::new() };
        loop {
            let found = match session.next(ours).await.expect("sets in memory can be read") {
                Step::Done => return compared,
                Step::Found(found) => found,
                Step::Ask(question) => {
                    let request = question_to_wire(&question, "n1", &versions);
                    compared.bytes += request.encoded_len();
                    compared.round_trips += 1;
                    let question = question_from_wire(request).expect("it is one");
                    let reply = answer(theirs, &question).await.expect("it can be read");
                    let response = reply_to_wire(reply, versions.clone());
                    compared.bytes += response.encoded_len();
                    let reply = reply_from_wire(response, &versions).expect("it is one");
                    session.take(ours, reply).await.expect("it answers the question")
                }
            };
            compared.ours.extend(found.ours);
            compared.theirs.extend(found.theirs);
        }
    })
}

/// Ids as they are, or crowded into a small part of all positions.
fn sets(count: usize) -> impl Strategy<Value = BTreeSet<ObjectId>> {
    let crowded = |id: ObjectId, bytes: usize| {
        let mut raw = id.as_bytes().to_vec();
        raw[..bytes].fill(0x5a);
        ObjectId::from_bytes(&raw).expect("as long as it was")
    };
    let all = btree_set(ids(), 0..count);
    (all, prop_oneof![Just(0_usize), 1..9_usize])
        .prop_map(move |(all, bytes)| all.into_iter().map(|id| crowded(id, bytes)).collect())
}

fn keys() -> impl Strategy<Value = Key> {
    (any::<u64>(), any::<u64>()).prop_map(|(low, high)| Key { low, high })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn exactly_what_differs_is_found(
        common in sets(3_000), ours in sets(400), theirs in sets(400), key in keys()
    ) {
        let ours = Set(&common | &ours);
        let theirs = Set(&common | &theirs);
        let compared = compare(&ours, &theirs, key);
        let (found, expected) = (compared.ours.len(), &ours.0 - &theirs.0);
        prop_assert_eq!(BTreeSet::from_iter(compared.ours), expected);
        prop_assert_eq!(found, ours.0.difference(&theirs.0).count(), "none twice");
        let (found, expected) = (compared.theirs.len(), &theirs.0 - &ours.0);
        prop_assert_eq!(BTreeSet::from_iter(compared.theirs), expected);
        prop_assert_eq!(found, theirs.0.difference(&ours.0).count(), "none twice");
    }

    #[test]
    fn bytes_grow_with_the_difference(
        common in btree_set(ids(), 0..4_000), ours in btree_set(ids(), 0..60),
        theirs in btree_set(ids(), 0..60), key in keys()
    ) {
        let levels = 2 + (common.len().max(16)).ilog2() as usize / 4;
        let ours = Set(&common | &ours);
        let theirs = Set(&common | &theirs);
        let differing = ours.0.symmetric_difference(&theirs.0).count();
        let compared = compare(&ours, &theirs, key);
        let allowed = BYTES_EQUAL + differing * levels * BYTES_PER_LEVEL;
        prop_assert!(
            compared.bytes <= allowed,
            "{} bytes for {differing} among {}, {allowed} allowed", compared.bytes, common.len()
        );
        prop_assert!(compared.round_trips <= levels + 2);
    }

    #[test]
    fn equal_sets_cost_one_small_round_trip(set in sets(4_000), key in keys()) {
        let compared = compare(&Set(set.clone()), &Set(set), key);
        prop_assert!(compared.ours.is_empty() && compared.theirs.is_empty());
        prop_assert_eq!(compared.round_trips, 1);
        prop_assert!(compared.bytes <= BYTES_EQUAL, "{} bytes", compared.bytes);
    }
}
