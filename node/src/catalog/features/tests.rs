//! A node alone that leads, and what others have stated to it.

use std::sync::Arc;

use gitstratum_catalog::command::{EndRestore, JoinNode};
use gitstratum_catalog::encode::encode_command;
use gitstratum_catalog::ids::{ClientId, DirectoryId};
use gitstratum_catalog::{Command, Request};
use gitstratum_cluster::service::Agreement;
use gitstratum_host::disk::scratch;
use gitstratum_proto::v1::catalog_response::Answer;
use gitstratum_proto::v1::{CatalogRequest, catalog_request};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use super::super::voters::propose;
use super::super::{GROUP, tests};
use super::*;

const WITHIN: Duration = Duration::from_secs(5);

/// A leader, and a client of its catalog.
struct Alone {
    participant: Arc<Participant>,
    group: Arc<Group<Catalog>>,
    identity: Identity,
    number: u64,
}

impl Alone {
    async fn start(disk: &gitstratum_host::Disk) -> Self {
        let participant = tests::alone(disk).await;
        let mut rng = ChaCha12Rng::seed_from_u64(5);
        let (group, identity) = participant.take_part(&mut rng).await.unwrap();
        participant.enter(identity, &group).await;
        Alone { participant, group, identity, number: 0 }
    }

    fn command(&mut self, operation: Operation) -> Command {
        self.number += 1;
        let request = Request { client: ClientId([7; 16]), number: self.number };
        Command { group: GROUP, request, at_ms: 1, who: "somebody".to_owned(), operation }
    }

    /// Takes a command from a client.
    async fn takes(&mut self, operation: Operation) -> Reply {
        let command = encode_command(&self.command(operation)).unwrap().into();
        let request = Some(catalog_request::Request::Command(command));
        let request = CatalogRequest { request, local: false };
        match self.participant.catalog(request, None, WITHIN).await.unwrap().answer.unwrap() {
            Answer::Reply(reply) => decode_reply(&reply).unwrap(),
            Answer::Failure(failure) => panic!("{failure:?}"),
        }
    }

    /// The command of another node of this number, or of this one.
    async fn states(&mut self, number: u8, program: Option<Program>) {
        let directory = match number {
            1 => self.identity.directory,
            number => DirectoryId([number; 16]),
        };
        let (node, address) =
            (format!("n{number}"), format!("127.0.0.1:{}", 7399 + u32::from(number)));
        let join = Operation::JoinNode(JoinNode { node, directory, address, program });
        assert!(matches!(self.takes(join).await, Reply::Done(_)));
    }

    fn last_index(&self) -> u64 {
        self.group.status().last_index.unwrap()
    }
}

fn restores() -> Operation {
    Operation::EndRestore(EndRestore { repositories: Vec::new() })
}

fn is_off(reply: &Reply) -> bool {
    matches!(reply, Reply::Refused(CatalogError::FeatureOff { feature, .. }) if feature == "restore")
}

fn program(features: &[&str]) -> Program {
    let features = features.iter().map(|name| (*name).to_owned()).collect();
    Program { version: "0.9.0".to_owned(), features }
}

#[tokio::test]
async fn what_a_member_lacks_is_not_proposed_by_whoever_asks_and_is_once_it_has_it() {
    let scratch = scratch();
    let mut alone = Alone::start(&scratch.disk).await;
    assert!(matches!(alone.takes(restores()).await, Reply::Done(_)), "it is alone");
    assert_eq!(alone.participant.features_off(), []);
    alone.states(2, None).await;
    alone.states(3, Some(program(&[]))).await;

    let before = alone.last_index();
    let refused = alone.takes(restores()).await;
    assert!(is_off(&refused), "{refused:?}");
    let Err(error) = refused.into_result() else { unreachable!("it is off") };
    let expected = "lacked by n2 (states no version, as 0.1 does), n3 (version 0.9.0).";
    assert!(error.to_string().contains(expected), "{error}");
    let own = alone.command(restores());
    let refused = alone.participant.command(&own, WITHIN).await.unwrap();
    assert!(is_off(&refused), "by the node's own gateway: {refused:?}");
    let author = alone.participant.author_of(alone.identity);
    let refused = propose(author, &alone.group, restores()).await.unwrap();
    assert!(is_off(&refused), "as the leader that cares for members: {refused:?}");
    assert_eq!(alone.last_index(), before, "none of them is in the log");
    let off = alone.participant.features_off();
    let lacking: Vec<_> = off[0].nodes.iter().map(|node| node.node_id.as_str()).collect();
    assert_eq!(
        (off.len(), off[0].feature.as_str(), &lacking[..]),
        (1, "restore", &["n2", "n3"][..])
    );

    for node in [2, 3] {
        alone.states(node, Some(program(&["restore"]))).await;
    }
    assert!(matches!(alone.takes(restores()).await, Reply::Done(_)));
    assert_eq!(alone.participant.features_off(), []);
    alone.participant.close().await;
}

#[tokio::test]
async fn a_node_states_its_program_at_its_start_when_its_record_lost_it_and_after_others_did() {
    let scratch = scratch();
    let mut alone = Alone::start(&scratch.disk).await;
    let (participant, group) = (alone.participant.clone(), alone.group.clone());
    let kept = || {
        let ours = |state: &gitstratum_catalog::State| {
            let (_, node) = state.nodes().find(|(id, _)| id.as_str() == "n1").unwrap();
            node.program.clone()
        };
        participant.with_local(ours).unwrap()
    };
    let ours = Some(participant.program.clone());
    assert_eq!(kept(), ours, "with its address");
    let mut statements = Statements::new(&participant, alone.identity);
    // Entries that a call makes.
    let mut at = alone.last_index();
    let mut made = |alone: &Alone| {
        let before = std::mem::replace(&mut at, alone.last_index());
        alone.last_index() - before
    };
    statements.keep(&group).await;
    assert_eq!(made(&alone), 1, "those that were upgraded since its last run have not heard it");
    statements.keep(&group).await;
    assert_eq!(made(&alone), 0, "nothing is new");

    // As a snapshot of version 0.1 has it.
    alone.states(1, None).await;
    assert_eq!((kept(), made(&alone)), (None, 1));
    statements.keep(&group).await;
    assert_eq!((kept(), made(&alone)), (ours, 1));
    for (program, news) in [
        (None, "a node that is new"),
        (
            Some(program(&["restore"])),
            "a node that was upgraded, and skipped what was stated before",
        ),
    ] {
        alone.states(2, program.clone()).await;
        made(&alone);
        statements.keep(&group).await;
        assert_eq!(made(&alone), 1, "{news}");
        alone.states(2, program).await;
        made(&alone);
        statements.keep(&group).await;
        assert_eq!(
            made(&alone),
            0,
            "the same again is no news, or nodes would answer each other for ever"
        );
    }
    participant.close().await;
}
