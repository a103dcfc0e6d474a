//! Puts that wait go together: how many requests that makes, and whose answer is whose.

use gitstratum_core::limits;
use gitstratum_core::object::ObjectId;
use gitstratum_core::replica::Stored;
use gitstratum_testing::Asked;
use tokio::time::Instant;

use super::*;
use crate::quorum::decorate::{Batched, Batches};

const TIMEOUT: Duration = Duration::from_secs(5);
const TAKES: Duration = Duration::from_millis(100);

/// An object of so many bytes.
fn sized(bytes: usize) -> Object {
    Object::hash(HashAlgorithm::Sha1, Kind::Blob, vec![b'x'; bytes].into()).unwrap()
}

fn batched(replica: &ScriptedReplica) -> Batched<ScriptedReplica> {
    Batched::new(replica.clone(), &Batches::default())
}

/// Puts objects of these sizes in one request.
async fn put_sized(
    node: &impl NodeWriter,
    sizes: &[usize],
    timeout: Duration,
) -> Result<Vec<Result<Stored, StoreError>>, NodeError> {
    node.put(sizes.iter().map(|size| sized(*size)).collect(), timeout).await
}

/// Objects of each put that the replica was sent.
fn puts(replica: &ScriptedReplica) -> Vec<usize> {
    let requests = replica.requests();
    let puts = requests.iter().filter(|request| request.asked == Asked::Put);
    puts.map(|request| request.ids.len()).collect()
}

/// Whether the replica was sent an object, stored or not yet.
fn was_sent(replica: &ScriptedReplica, id: ObjectId) -> bool {
    replica.requests().iter().any(|request| request.ids.contains(&id))
}

#[tokio::test]
async fn who_is_alone_goes_alone_and_who_waits_goes_together_each_with_its_own_answer() {
    let replica = replica("n1");
    replica.take(TAKES);
    let node = batched(&replica);
    put(&node).await.unwrap();
    put(&node).await.unwrap();
    assert_eq!(puts(&replica), [1, 1]);

    // Of different sizes, by which the answers are told apart, and two of them at once.
    let callers = (1..=50).map(|size| {
        let node = &node;
        async move { (size, put_sized(node, &[size, size + 1000], TIMEOUT).await.unwrap()) }
    });
    for (size, answers) in join_all(callers).await {
        let bytes: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().bytes).collect();
        assert_eq!(bytes, [size as u64, size as u64 + 1000]);
    }
    assert_eq!(puts(&replica)[2..], [2, 2, 96], "two are on their way; the others wait together");
}

#[tokio::test]
async fn a_batch_is_no_larger_than_a_message_and_large_puts_wait_for_nobody() {
    let replica = replica("n1");
    replica.take(TAKES);
    let node = batched(&replica);
    let callers = (0..102).map(|n| put_sized(&node, std::slice::from_ref(&BYTES[n]), TIMEOUT));
    let all = join_all(callers);
    let large = async {
        tokio::task::yield_now().await;
        let began = Instant::now();
        put_sized(&node, &[limits::BATCHED_PUT_BYTES_MAX + 1], TIMEOUT).await.unwrap();
        assert!(began.elapsed() < 3 * TAKES, "it did not wait for a turn");
    };
    let (answers, ()) = futures_util::join!(all, large);
    assert!(answers.iter().all(Result::is_ok));
    let sent = puts(&replica);
    // 20 of 50 KiB are just less than a MiB.
    assert_eq!(sent, [1, 1, 1, 20, 20, 20, 20, 20]);
}

const BYTES: [usize; 102] = {
    let mut sizes = [0; 102];
    let mut n = 0;
    while n < 102 {
        sizes[n] = (50 << 10) + n;
        n += 1;
    }
    sizes
};

#[tokio::test]
async fn deadlines_are_each_callers_own() {
    let replica = replica("n1");
    replica.take(4 * TAKES);
    let node = batched(&replica);
    let first = async { join_all([put(&node), put(&node)]).await };
    // They wait for the first two to end, and one of them has no time for that.
    let hasty = put_sized(&node, &[7], TAKES);
    let patient = put_sized(&node, &[8], TIMEOUT);
    let (first, hasty, patient) = futures_util::join!(first, hasty, patient);
    assert!(first.iter().all(Result::is_ok));
    let late = hasty.expect_err("it had no time");
    assert!(matches!(late, NodeError::TimedOut { after, .. } if after == TAKES), "{late}");
    patient.expect("it had");
    assert!(!was_sent(&replica, sized(7).id()), "what nobody waits for is not sent");

    // Who has less time than the batch leaves it.
    let first = async { join_all([put(&node), put(&node)]).await };
    let hasty = put_sized(&node, &[9], 6 * TAKES);
    let patient = put_sized(&node, &[10], TIMEOUT);
    let (_, hasty, patient) = futures_util::join!(first, hasty, patient);
    assert!(matches!(hasty, Err(NodeError::TimedOut { after, .. }) if after == 6 * TAKES));
    patient.expect("the batch has the time of who has most");
    assert!(replica.holds(sized(9).id()), "they were sent together");
}

#[tokio::test]
async fn what_one_object_is_to_blame_for_fails_its_own_caller() {
    let replica = replica("n1");
    replica.take(TAKES);
    let foreign: ObjectId = sized(13).id();
    replica.script(move |request| {
        let stale = || NodeError::StaleLayout { version: 2, reason: "no replica of it".into() };
        (request.asked == Asked::Put && request.ids.contains(&foreign)).then(stale)
    });
    let node = batched(&replica);
    let callers = (10..20).map(|size| {
        let node = &node;
        async move { (size, put_sized(node, &[size], TIMEOUT).await) }
    });
    for (size, answer) in join_all(callers).await {
        match size {
            13 => assert!(matches!(answer, Err(NodeError::StaleLayout { version: 2, .. }))),
            _ => assert_eq!(answer.unwrap()[0].as_ref().unwrap().bytes, size as u64),
        }
    }
    assert_eq!(puts(&replica), [1, 1, 8, 1, 1, 1, 1, 1, 1, 1, 1]);

    // A bound of the replica's is nobody's fault, and is not asked for again.
    replica.script(|_| Some(NodeError::Overloaded { reason: "enough".into() }));
    let before = puts(&replica).len();
    let answers = join_all((0..10).map(|_| put(&node))).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(NodeError::Overloaded { .. }))));
    assert_eq!(puts(&replica)[before..], [1, 1, 8]);
}

#[tokio::test]
async fn a_batch_that_lost_its_connection_is_sent_once_more_as_a_whole() {
    let replica = replica("n1");
    replica.take(TAKES);
    let node = Batched::new(Retried::new(replica.clone()), &Batches::default());
    replica.script(|request| {
        let lost = || NodeError::ConnectionLost { address: "n1:7000".into(), reason: "".into() };
        (request.ids.len() > 1 && request.first_began.is_none()).then(lost)
    });
    replica.allow_second_attempts(1);
    let answers = join_all((0..10).map(|_| put(&node))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(puts(&replica), [1, 1, 8, 8]);
}

#[tokio::test]
async fn who_goes_away_stops_nobody() {
    let replica = replica("n1");
    replica.behave(Behaviour::Waits);
    let node = batched(&replica);
    let gone = Duration::from_millis(5);
    for _ in 0..limits::REPLICA_PUTS_IN_FLIGHT {
        tokio::time::timeout(gone, put(&node)).await.expect_err("nobody answers");
    }
    // Their turns are free again, and the next one's, which is waited for in vain, is too.
    replica.behave(Behaviour::Well);
    put(&node).await.unwrap();
    replica.take(4 * TAKES);
    let first = async { join_all([put(&node), put(&node)]).await };
    let given_up = async { tokio::time::timeout(gone, put_sized(&node, &[7], TIMEOUT)).await };
    let (_, given_up) = futures_util::join!(first, given_up);
    given_up.expect_err("it is given up while it waits");
    put(&node).await.unwrap();
    assert!(!was_sent(&replica, sized(7).id()), "what nobody waits for is not sent");
}

#[tokio::test]
async fn a_panic_in_a_batch_is_an_error_of_all_in_it_and_of_nobody_after() {
    let replica = replica("n1");
    replica.take(TAKES);
    let node = batched(&replica);
    let first = async { join_all([put(&node), put(&node)]).await };
    let together = async {
        let waiting = join_all((0..3).map(|_| put(&node)));
        let panics = async {
            sleep(TAKES / 2).await;
            replica.behave(Behaviour::Panics);
        };
        futures_util::join!(waiting, panics).0
    };
    // The first two panic too, which is their callers' affair: caught as the writer does.
    use futures_util::FutureExt;
    let first = std::panic::AssertUnwindSafe(first).catch_unwind();
    let (_, answers) = futures_util::join!(first, together);
    let ended = |answer: &Result<(), _>| matches!(answer, Err(NodeError::Protocol { .. }));
    assert!(answers.iter().all(ended), "{answers:?}");
    replica.behave(Behaviour::Well);
    put(&node).await.unwrap();
}
