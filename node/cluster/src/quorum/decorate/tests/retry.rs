//! Second attempts: when there is one, what it may take, and what stands around it.

use gitstratum_core::object::ObjectHead;
use gitstratum_core::replica::{DialError, DialProblem, Missed, Stage};
use gitstratum_testing::Asked;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;

/// A replica that fails the next requests so, and allows ten second attempts.
fn failing(errors: impl IntoIterator<Item = NodeError>) -> ScriptedReplica {
    let replica = replica("n1");
    replica.fail_next(errors);
    replica.allow_second_attempts(10);
    replica
}

fn lost() -> NodeError {
    NodeError::ConnectionLost { address: "n1:7000".into(), reason: "reset".into() }
}

fn refused() -> NodeError {
    let (stage, address) = (Stage::Connect, "n1:7000".into());
    NodeError::Dial(DialError { stage, address, problem: DialProblem::Refused })
}

/// Whatever may be sent twice.
const REPEATED: [Asked; 5] =
    [Asked::Put, Asked::Has, Asked::StoreHints, Asked::Get, Asked::GetLarge];

async fn ask(node: &(impl NodeWriter + NodeReader), asked: Asked) -> Result<(), NodeError> {
    let (id, timeout) = (object().id(), Duration::from_secs(5));
    let missed = || Missed::new(NodeId::new("n2"), id, &NodeError::ShuttingDown);
    match asked {
        Asked::Put => node.put([object()].into(), timeout).await.map(drop),
        Asked::Has => node.has([id].into(), timeout).await.map(drop),
        Asked::StoreHints => node.store_hints(vec![missed()], timeout).await.map(drop),
        Asked::Get => node.get([id].into(), timeout).await.map(drop),
        Asked::GetLarge => node.get_large(id).await.map(drop),
        Asked::PutLarge => unreachable!("parts come once"),
    }
}

#[tokio::test]
async fn what_lost_its_connection_or_had_none_is_sent_once_more_on_one_opened_since() {
    for request in REPEATED {
        for error in [lost(), refused()] {
            let replica = failing([error]);
            let before = Instant::now();
            ask(&Retried::new(replica.clone()), request).await.expect("the second succeeds");
            let seen = replica.requests();
            let [first, second] = &seen[..] else { panic!("{request:?} was sent as {seen:?}") };
            assert_eq!((first.asked, second.asked), (request, request));
            assert_eq!(first.first_began, None);
            assert!(second.first_began.unwrap() >= before);
        }
    }
}

#[tokio::test]
async fn nothing_is_sent_a_third_time() {
    for request in REPEATED {
        let replica = failing([lost(), refused(), lost()]);
        let answer = ask(&Retried::new(replica.clone()), request).await;
        assert!(matches!(answer, Err(NodeError::Dial(_))), "the last one's: {answer:?}");
        assert_eq!(replica.requests().len(), 2);
    }
}

#[tokio::test]
async fn what_failed_for_another_reason_is_not_sent_again() {
    let others = [
        NodeError::ShuttingDown,
        NodeError::TimedOut { stage: "waiting for the answer", after: OPEN },
        NodeError::CircuitOpen { trial_in: OPEN },
        NodeError::Overloaded { reason: "streams".into() },
        NodeError::Limited { bound: "waiters", limit: 1 },
        NodeError::NotMember(NodeId::new("n1")),
        NodeError::Protocol { reason: "no".into() },
        NodeError::Rejected(StoreError::CatchingUp),
    ];
    for request in REPEATED {
        for error in &others {
            let replica = failing([error.clone()]);
            let answer = ask(&Retried::new(replica.clone()), request).await.unwrap_err();
            assert_eq!(answer.to_string(), error.to_string());
            assert_eq!(replica.requests().len(), 1, "{request:?} after {error}");
            assert_eq!(replica.second_attempts_left(), 10);
        }
    }
}

#[tokio::test]
async fn without_a_budget_there_is_no_second_attempt() {
    let replica = failing([lost(), lost(), lost()]);
    replica.allow_second_attempts(1);
    let node = Retried::new(replica.clone());
    assert!(matches!(put(&node).await, Err(NodeError::ConnectionLost { .. })));
    assert_eq!(replica.requests().len(), 2);
    assert!(matches!(put(&node).await, Err(NodeError::ConnectionLost { .. })));
    assert_eq!(replica.requests().len(), 3, "the budget was for one");
}

#[tokio::test]
async fn both_attempts_are_within_the_callers_timeout() {
    let (takes, timeout) = (Duration::from_millis(30), Duration::from_millis(50));
    let replica = failing([lost()]);
    replica.take(takes);
    let node = Retried::new(replica.clone());
    let answer = node.put([object()].into(), timeout).await;
    // The second would have taken 30 ms too, and was not given as much.
    assert!(matches!(answer, Err(NodeError::TimedOut { after, .. }) if after == timeout));
    let given: Vec<_> = replica.requests().iter().map(|seen| seen.timeout.unwrap()).collect();
    assert!(given[0] == timeout && given[1] <= timeout - takes, "{given:?}");

    // None is left, and none is taken from the budget.
    let replica = failing([lost()]);
    let answer = Retried::new(replica.clone()).put([object()].into(), Duration::ZERO).await;
    assert!(matches!(answer, Err(NodeError::ConnectionLost { .. })));
    assert_eq!((replica.requests().len(), replica.second_attempts_left()), (1, 10));
}

#[tokio::test]
async fn a_large_object_is_never_sent_again() {
    let replica = failing([lost()]);
    let head: ObjectHead = object().head();
    let (_parts, receiver) = mpsc::channel(1);
    let answer = Retried::new(replica.clone()).put_large(head, receiver).await;
    assert!(matches!(answer, Err(NodeError::ConnectionLost { .. })));
    assert_eq!((replica.requests().len(), replica.second_attempts_left()), (1, 10));
}

/// What decorators know of replicas.
#[derive(Default)]
struct Known {
    breakers: Breakers,
    latencies: Latencies,
    meters: Meters,
}

const DECORATORS: [&str; 5] = ["breaker", "deadline", "metrics", "spans", "retry"];

impl Known {
    fn around<N>(&self, inner: N, decorator: &str) -> Arc<dyn NodeWriter>
    where
        N: NodeWriter + Clone + 'static,
    {
        match decorator {
            "breaker" => Arc::new(Guarded::new(inner, &self.breakers)),
            "deadline" => Arc::new(Adaptive::new(inner, &self.latencies)),
            "metrics" => Arc::new(Metered::new(inner, &self.meters)),
            "spans" => Arc::new(Traced::new(inner)),
            "retry" => Arc::new(Retried::new(inner)),
            _ => unreachable!("{decorator}"),
        }
    }
}

/// All orders of these.
fn orders(of: &[&'static str]) -> Vec<Vec<&'static str>> {
    let Some((first, rest)) = of.split_first() else { return vec![Vec::new()] };
    let insert = |order: Vec<_>| {
        (0..of.len()).map(move |place| {
            let mut order = order.clone();
            order.insert(place, *first);
            order
        })
    };
    orders(rest).into_iter().flat_map(insert).collect()
}

#[tokio::test]
async fn five_decorators_answer_alike_in_any_order() {
    let orders = orders(&DECORATORS);
    assert_eq!(orders.len(), 120);
    // Innermost first.
    for order in orders {
        let known = Known::default();
        let replica = failing([lost()]);
        let shared: Arc<dyn NodeWriter> = Arc::new(replica.clone());
        let around = |inner: Arc<dyn NodeWriter>, decorator: &&str| known.around(inner, decorator);
        let node = order.iter().fold(shared, around);
        put(&node).await.unwrap_or_else(|error| panic!("{order:?}: {error}"));
        let seen = replica.requests();
        assert!(seen.len() == 2 && seen[1].first_began.is_some(), "{order:?}: {seen:?}");

        // Whoever insists passes the breaker, and loses none of the others.
        replica.fail_next([refused(), lost(), lost()]);
        let bypassing_breaker = node.bypassing_breaker().expect("there is a breaker");
        let answer = put(&bypassing_breaker).await;
        assert!(matches!(answer, Err(NodeError::ConnectionLost { .. })), "{order:?}: {answer:?}");
        assert_eq!(replica.requests().len(), 4, "{order:?}");

        // What is within the retry sees attempts, what is around it requests.
        let place = |decorator| order.iter().position(|one| *one == decorator);
        let puts = known.meters.list()[0].1.puts;
        let within = place("metrics") < place("retry");
        let counted = if within { (4, 1, 3) } else { (2, 1, 1) };
        assert_eq!((puts.begun, puts.answered, puts.failed), counted, "{order:?}");
    }
}

#[tokio::test]
async fn readers_are_layered_as_writers_are() {
    let known = Known::default();
    let replica = failing([lost()]);
    let node = Traced::new(Metered::new(replica.clone(), &known.meters));
    let node = Retried::new(Guarded::new(Adaptive::new(node, &known.latencies), &known.breakers));
    ask(&node, Asked::Get).await.expect("the second attempt goes through the same decorators");
    replica.fail_next([lost()]);
    let bypassing_breaker = NodeReader::bypassing_breaker(&node).expect("there is a breaker");
    bypassing_breaker
        .get([object().id()].into(), OPEN)
        .await
        .expect("and so does an bypassing_breaker one");
    let gets = known.meters.list()[0].1.gets;
    assert_eq!((gets.begun, gets.answered, gets.failed), (4, 2, 2));
}
