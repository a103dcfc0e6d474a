//! Two sets in memory, compared: what is found, and what it takes.

mod round;

use std::collections::BTreeSet;

use async_trait::async_trait;
use gitstratum_core::object::ObjectId;
use gitstratum_core::placement::{Arcs, Versions};
use gitstratum_core::replica::StoreError;
use gitstratum_core::replica::compare::{Difference, Key, Reply, Span, What};
use prost::Message;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::*;
use crate::wire::compare::{question_from_wire, question_to_wire, reply_from_wire, reply_to_wire};

#[derive(Clone, Default)]
struct Set(BTreeSet<ObjectId>);

fn at(position: u64, rest: u64) -> ObjectId {
    let mut raw = [0; 20];
    raw[..8].copy_from_slice(&position.to_be_bytes());
    raw[8..16].copy_from_slice(&rest.to_be_bytes());
    ObjectId::from_bytes(&raw).unwrap()
}

#[async_trait]
impl Listing for Set {
    fn count_max(&self, span: Span) -> u64 {
        let from = at(span.first, 0);
        let within = self.0.range(from..).take_while(|id| id.prefix_u64() <= span.last);
        within.count() as u64
    }

    async fn ids(&self, span: Span) -> Result<Vec<ObjectId>, StoreError> {
        let within = self.0.range(at(span.first, 0)..);
        Ok(within.take_while(|id| id.prefix_u64() <= span.last).copied().collect())
    }
}

/// What a whole comparison found and took.
#[derive(Default)]
struct Compared {
    ours: BTreeSet<ObjectId>,
    theirs: BTreeSet<ObjectId>,
    round_trips: usize,
    bytes: usize,
}

async fn compare(ours: &dyn Listing, theirs: &dyn Listing) -> Compared {
    let key = Key { low: 1, high: 2 };
    let versions = Versions { in_force: 3, unsettled: vec![1, 2] };
    let mut session = Session::new(key, &[Span::ALL]);
    let mut compared = Compared::default();
    loop {
        let before = session.position();
        let found = match session.next(ours).await.unwrap() {
            Step::Done => {
                assert_eq!(session.position(), None);
                return compared;
            }
            Step::Found(found) => found,
            Step::Ask(question) => {
                let request = question_to_wire(&question, "n1", &versions);
                compared.bytes += request.encoded_len();
                compared.round_trips += 1;
                assert!(compared.round_trips < 10_000, "it does not end");
                let question = question_from_wire(request).unwrap();
                let reply = answer(theirs, &question).await.unwrap();
                let response = reply_to_wire(reply, versions.clone());
                compared.bytes += response.encoded_len();
                session.take(ours, reply_from_wire(response, &versions).unwrap()).await.unwrap()
            }
        };
        assert!(session.position().is_none_or(|after| before.unwrap() <= after));
        compared.ours.extend(found.ours);
        compared.theirs.extend(found.theirs);
    }
}

fn random_ids(count: usize, seed: u64) -> Set {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    Set((0..count).map(|_| at(rng.next_u64(), rng.next_u64())).collect())
}

#[track_caller]
fn assert_found(compared: &Compared, ours: &Set, theirs: &Set) {
    assert_eq!(compared.ours, &ours.0 - &theirs.0);
    assert_eq!(compared.theirs, &theirs.0 - &ours.0);
}

#[tokio::test]
async fn equal_sets_cost_one_small_round_trip() {
    for count in [0, 1, 30, 31, 40, 5_000, 200_000] {
        let set = random_ids(count, 1);
        let compared = compare(&set, &set).await;
        assert_found(&compared, &set, &set);
        assert_eq!(compared.round_trips, 1, "{count} ids");
        assert!(compared.bytes < 800, "{count} ids: {} bytes", compared.bytes);
    }
}

#[tokio::test]
async fn few_differences_among_many_cost_little() {
    let mut ours = random_ids(200_000, 1);
    let mut theirs = ours.clone();
    ours.0.extend(random_ids(5, 2).0);
    theirs.0.extend(random_ids(5, 3).0);
    let compared = compare(&ours, &theirs).await;
    assert_found(&compared, &ours, &theirs);
    assert!(compared.round_trips <= 4, "{} round trips", compared.round_trips);
    assert!(compared.bytes < 10 << 10, "{} bytes", compared.bytes);
}

#[tokio::test]
async fn a_side_that_has_nothing_is_found_out_without_listing_everything_twice() {
    let (full, empty) = (random_ids(100_000, 1), Set::default());
    let filling = compare(&empty, &full).await;
    assert_found(&filling, &empty, &full);
    assert!(filling.bytes < 100_000 * 24, "{} bytes", filling.bytes);
    let emptied = compare(&full, &empty).await;
    assert_found(&emptied, &full, &empty);
    assert!(emptied.bytes < 4_000, "{} bytes", emptied.bytes);
}

/// Nobody can choose ids that share eight bytes of a hash in numbers; if they could, the
/// comparison would still end and be right.
#[tokio::test]
async fn ids_on_one_position_are_told_apart() {
    let crowd = |from: u64| Set((from..from + 3_000).map(|rest| at(7, rest)).collect());
    let (ours, theirs) = (crowd(0), crowd(1_000));
    assert_found(&compare(&ours, &theirs).await, &ours, &theirs);
    let (ours, theirs) = (crowd(0), Set::default());
    assert_found(&compare(&ours, &theirs).await, &ours, &theirs);
    assert_found(&compare(&theirs, &ours).await, &theirs, &ours);
}

/// As when a store grows, shrinks, or its peer restarts half-way: each answer is from
/// another state, some are lost, and the end is reached all the same.
#[tokio::test]
async fn answers_lost_and_sets_changing_do_not_stop_it() {
    let mut rng = ChaCha12Rng::seed_from_u64(5);
    let (mut ours, mut theirs) = (random_ids(20_000, 1), random_ids(20_000, 2));
    let mut session = Session::new(Key { low: 1, high: 2 }, &[Span::ALL]);
    let mut steps = 0;
    loop {
        steps += 1;
        assert!(steps < 5_000, "it does not end");
        let found = match session.next(&ours).await.unwrap() {
            Step::Done => break,
            Step::Found(found) => found,
            Step::Ask(_) if rng.random_bool(0.3) => {
                session.unanswered();
                continue;
            }
            Step::Ask(question) => {
                let reply = answer(&theirs, &question).await.unwrap();
                ours.0.insert(at(rng.next_u64(), 0));
                theirs.0.insert(at(rng.next_u64(), 0));
                session.take(&ours, reply).await.unwrap()
            }
        };
        ours.0.extend(found.theirs);
        theirs.0.extend(found.ours);
    }
    let left = ours.0.symmetric_difference(&theirs.0).count();
    assert!(left <= 2 * steps, "{left} differ after {steps} steps");
}

#[tokio::test]
async fn only_shared_positions_are_compared() {
    let (ours, theirs) = (random_ids(3_000, 1), random_ids(3_000, 2));
    let layout = {
        let member = |name: &str| {
            use gitstratum_core::placement::{Member, NodeId};
            Member::active(NodeId::new(name), format!("{name}:1"), "z".to_owned(), 1)
        };
        let members = ["n1", "n2", "n3", "n4", "n5"].map(member).to_vec();
        gitstratum_core::placement::Layout::first((3, 2, 2), members).validated().unwrap()
    };
    let ring = gitstratum_core::placement::Ring::new(layout.into());
    let (one, other) = (
        gitstratum_core::placement::NodeId::new("n1"),
        gitstratum_core::placement::NodeId::new("n2"),
    );
    let arcs = ring.shared_by(&[&one, &other]);
    let shared = |set: &Set| {
        let both = |id: &&ObjectId| {
            let replicas = ring.replicas(id);
            replicas.contains(&one) && replicas.contains(&other)
        };
        Set(set.0.iter().filter(both).copied().collect())
    };
    let compared =
        compare(&Shared::new(ours.clone(), arcs.clone()), &Shared::new(theirs.clone(), arcs)).await;
    assert_found(&compared, &shared(&ours), &shared(&theirs));
    assert!(!compared.ours.is_empty() && compared.ours.len() < ours.0.len());
    let nowhere = Shared::new(ours, Arcs::default());
    assert!(compare(&nowhere, &theirs).await.ours.is_empty());
}

#[test]
fn parts_cover_a_span_without_overlap() {
    for span in
        [Span::ALL, Span { first: 3, last: 19 }, Span { first: u64::MAX - 20, last: u64::MAX }]
    {
        for parts in 1..=PARTS_MAX {
            let all: Vec<Span> = (0..parts).map(|index| span.part(index, parts)).collect();
            assert_eq!((all[0].first, all[all.len() - 1].last), (span.first, span.last));
            assert!(all.windows(2).all(|two| two[0].last + 1 == two[1].first));
        }
    }
}

#[tokio::test]
async fn a_reply_to_something_else_is_refused() {
    let (ours, theirs) = (random_ids(20, 1), random_ids(20, 2));
    let id = *ours.0.first().unwrap();
    let wrong = |what: What| Reply {
        compared: 1,
        differences: vec![Difference { item: 0, part: 0, what }],
        held: None,
    };
    let elsewhere = Difference { item: 1, part: 0, what: What::Divide };
    let lists = |indexes: Vec<u32>| What::Members { besides: vec![id], lacking: indexes };
    for reply in [
        Reply::default(),
        Reply { compared: 2, differences: Vec::new(), held: None },
        Reply { compared: 1, differences: vec![elsewhere], held: None },
        wrong(What::Sums(vec![1])),
        wrong(What::Sums(vec![1; 17])),
        wrong(lists(vec![20])),
    ] {
        let mut session = Session::new(Key { low: 1, high: 2 }, &[Span::ALL]);
        let Step::Ask(question) = session.next(&ours).await.unwrap() else { panic!("no question") };
        assert!(session.take(&ours, reply.clone()).await.is_err(), "{reply:?}");
        // What was refused is asked again.
        let Step::Ask(again) = session.next(&ours).await.unwrap() else { panic!("no question") };
        assert_eq!(again, question);
        let reply = answer(&theirs, &again).await.unwrap();
        assert_eq!(session.take(&ours, reply).await.unwrap().ours.len(), 20);
    }
}

/// A node of an earlier version takes the question and leaves out what earlier layouts placed.
#[tokio::test]
async fn an_answer_by_the_layout_in_force_alone_is_refused_where_another_is_unsettled() {
    let by = |unsettled: &[u64]| Versions { in_force: 3, unsettled: unsettled.into() };
    let reply = || Reply { compared: 1, differences: Vec::new(), held: None };
    let refused = reply_from_wire(reply_to_wire(reply(), by(&[])), &by(&[2])).unwrap_err();
    assert!(refused.0.contains("earlier version"), "{}", refused.0);
    for same in [by(&[]), by(&[1, 2])] {
        assert_eq!(reply_from_wire(reply_to_wire(reply(), same.clone()), &same).unwrap(), reply());
    }
}
