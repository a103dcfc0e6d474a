//! A node that makes the group, before and after it is in the catalog itself.

use gitstratum_catalog::command::JoinNode;
use gitstratum_catalog::encode::decode_reply;
use gitstratum_catalog::ids::{DirectoryId, RaftId};
use gitstratum_catalog::{Operation, Outcome, Reply, Request};
use gitstratum_cluster::transport::{Lease, Want};
use gitstratum_core::placement::{Layout, Member};
use gitstratum_core::replica::NodeError;
use gitstratum_host::disk::scratch;
use rand_chacha::rand_core::SeedableRng;

use super::*;

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
    let node = NodeId::new("n1");
    let member = Member::active(node.clone(), "127.0.0.1:7400".to_owned(), "z".to_owned(), 1);
    let layout = Layout::first((1, 1, 1), vec![member]).validated().unwrap();
    let keeper = LayoutKeeper::open(disk.clone(), layout).await.unwrap();
    let (disk, connections) = (disk.clone(), Arc::new(Nobody));
    Participant::new(Parts { node, disk, connections, keeper, options: Options::default() })
}

/// Another node asks to be let in.
async fn join(participant: &Participant) -> Result<RaftId, CatalogFailure> {
    let join = JoinNode {
        node: "n2".to_owned(),
        directory: DirectoryId([2; 16]),
        address: "127.0.0.1:7401".to_owned(),
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
    match participant.catalog(CatalogRequest { request, local: false }, WITHIN).await.answer {
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
