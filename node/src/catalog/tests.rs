//! A node that makes the group, before and after it is in the catalog itself.

use async_trait::async_trait;
use gitstratum_catalog::command::JoinNode;
use gitstratum_catalog::encode::decode_reply;
use gitstratum_catalog::ids::{DirectoryId, RaftId};
use gitstratum_catalog::{Operation, Outcome, Reply, Request};
use gitstratum_cluster::service::Agreement;
use gitstratum_cluster::transport::{Lease, Want};
use gitstratum_core::placement::{Layout, Member};
use gitstratum_core::replica::NodeError;
use gitstratum_host::disk::scratch;
use gitstratum_proto::v1::catalog_response::Answer as Answered;
use gitstratum_proto::v1::{CatalogFailure, CatalogFailureKind, CatalogRequest, catalog_request};
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::config::CatalogConfig;

const WITHIN: Duration = Duration::from_secs(5);

fn rng() -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(3)
}

/// There are no others.
struct Nobody;

#[async_trait]
impl Connections for Nobody {
    async fn lease(&self, peer: &NodeId, _: Want) -> Result<Lease, NodeError> {
        Err(NodeError::NotMember(peer.clone()))
    }

    fn ended(&self, _: &NodeId, _: &Lease, _: Result<(), &NodeError>) {}

    fn may_retry(&self, _: &NodeId) -> bool {
        false
    }
}

/// The only node of its layout.
pub(crate) async fn alone(disk: &Disk) -> Arc<Participant> {
    one_of(disk, "n1", &["n1"]).await
}

/// A node of a layout of these.
async fn one_of(disk: &Disk, node: &str, nodes: &[&str]) -> Arc<Participant> {
    let node = NodeId::new(node);
    let member = |(port, name): (u16, &&str)| {
        Member::active(NodeId::new(*name), format!("127.0.0.1:{port}"), "z".to_owned(), 1)
    };
    let members = (7400..).zip(nodes).map(member).collect();
    let layout = Layout::first((1, 1, 1), members).validated().unwrap();
    let keeper = LayoutKeeper::open(disk.clone(), layout).await.unwrap();
    let (disk, connections) = (disk.clone(), Arc::new(Nobody));
    let (options, program) = (Options::default(), CatalogConfig::default().program());
    Participant::new(Parts { node, disk, connections, keeper, options, program })
}

/// Another node asks to be let in.
async fn join(participant: &Participant) -> Result<RaftId, CatalogFailure> {
    let join = JoinNode {
        node: "n2".to_owned(),
        directory: DirectoryId([2; 16]),
        address: "127.0.0.1:7401".to_owned(),
        program: None,
    };
    let command = Command {
        group: GROUP,
        request: Request { client: ClientId([2; 16]), number: 1 },
        at_ms: 1,
        who: "n2".to_owned(),
        operation: Operation::JoinNode(join),
    };
    let command = encode_command(&command).unwrap().into();
    let request = Some(catalog_request::Request::Command(command));
    let request = CatalogRequest { request, local: false };
    match participant.catalog(request, None, WITHIN).await.expect("no token").answer {
        Some(Answered::Reply(reply)) => match decode_reply(&reply).unwrap() {
            Reply::Done(Outcome::Joined { raft }) => Ok(raft),
            other => panic!("{other:?}"),
        },
        Some(Answered::Failure(failure)) => Err(failure),
        None => panic!("no answer"),
    }
}

#[tokio::test]
async fn nobody_joins_before_the_founder_has_its_id() {
    let scratch = scratch();
    let founder = alone(&scratch.disk).await;
    let (group, identity) = founder.take_part(&mut rng()).await.unwrap();
    assert_eq!(group.member(), join::FOUNDER);
    let refused = join(&founder).await.unwrap_err();
    assert_eq!(refused.kind(), CatalogFailureKind::NoMember, "{refused:?}");
    founder.enter(identity, &group).await;
    assert_eq!(join(&founder).await.unwrap(), RaftId(join::FOUNDER + 1));
    founder.close().await;

    // After a restart it takes commands although what it knows by itself may be nothing yet.
    let founder = alone(&scratch.disk).await;
    founder.take_part(&mut rng()).await.unwrap();
    assert_eq!(join(&founder).await.unwrap(), RaftId(join::FOUNDER + 1), "the answer of then");
    founder.close().await;
}

/// Has a node of two look for the group, while the other one does not answer.
async fn looking(disk: &Disk, node: &str) -> (Arc<Participant>, tokio::task::JoinHandle<()>) {
    let participant = one_of(disk, node, &["n1", "n2"]).await;
    assert!(participant.may_be_member(), "it has not looked yet");
    let looks = participant.clone();
    let looking = tokio::spawn(async move {
        let taken = looks.take_part(&mut rng()).await;
        panic!("nobody let it in: {:?}", taken.map(drop));
    });
    (participant, looking)
}

#[tokio::test]
async fn who_has_not_looked_what_it_is_does_not_say_that_it_is_no_member() {
    let (scratch, other) = (scratch(), scratch());
    let (second, second_looks) = looking(&scratch.disk, "n2").await;
    let (first, first_looks) = looking(&other.disk, "n1").await;
    let began = tokio::time::Instant::now();
    while second.may_be_member() {
        assert!(began.elapsed() < WITHIN, "nobody could make the group for it");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // It may make the group as soon as the other has answered.
    tokio::time::sleep(2 * Duration::from_millis(500)).await;
    assert!(first.may_be_member());
    second_looks.abort();
    first_looks.abort();
    let identity = identity::Identity::keep(&scratch.disk, &mut rng()).await.unwrap();
    identity.became(&scratch.disk, 7).await.unwrap();
    let member = one_of(&scratch.disk, "n2", &["n1", "n2"]).await;
    assert!(member.take_part(&mut rng()).await.is_err(), "its log is not there");
    assert!(member.may_be_member(), "whatever became of its log");
}
