//! Encodings: what they look like, that they come back, and that no bytes make a reader panic.

pub(crate) mod strategy;

use std::fmt::Write;

use gitstratum_core::limits::CATALOG_FRAME_BYTES;
use gitstratum_core::object::HashAlgorithm;
use proptest::prelude::*;

use super::*;
use crate::State;
use crate::command::{
    BeginRestore, ConfigureRepository, CreateToken, EndRestore, EndedRestore, Expected, NewTarget,
    Operation, Push, RestoreRecords, RestoreToken, RestoredRef,
};
use crate::entity::{
    Access, Deletion, NodeState, Ref, RefTarget, Repository, RepositoryLimits, Restored, Token,
};
use crate::fixture::*;
use crate::ids::{RepositoryId, TokenHash, TokenId};
use crate::names::RepositoryName;

/// A repository that came from a backup, with something in each field.
pub(super) fn restored() -> Repository {
    Repository {
        name: RepositoryName::parse("team/project").unwrap(),
        object_format: HashAlgorithm::Sha256,
        description: "words".to_owned(),
        limits: RepositoryLimits { refs_max: Some(5), ..RepositoryLimits::default() },
        hidden_refs: vec!["refs/x".to_owned()],
        created_at_ms: 3,
        generation: 1,
        deleted: Some(Deletion { at_ms: 1, until_ms: 2 }),
        public: true,
        restored: Some(Box::new(Restored {
            cluster: "other".to_owned(),
            repository: RepositoryId(5),
            position: 8,
            under_way: true,
        })),
        refs: 0,
        packs: 0,
    }
}

/// A command of each kind, with something in each field.
fn examples() -> Vec<(&'static str, Operation)> {
    let repository = RepositoryId(7);
    let limits =
        RepositoryLimits { refs_max: Some(5), push_bytes_max: None, repository_bytes_max: Some(6) };
    let updates = vec![
        update("refs/heads/main", Expected::Object(oid(1)), object(2)),
        update("refs/heads/x", Expected::Any, NewTarget::Deleted),
        update(
            "refs/tags/v1",
            Expected::Absent,
            NewTarget::Object { id: oid(3), peeled: Some(oid(4)) },
        ),
        update(
            "HEAD",
            Expected::Symbolic("refs/heads/x".to_owned()),
            NewTarget::Symbolic("refs/heads/main".to_owned()),
        ),
    ];
    let mut layout = layout(3, (2, 2, 1), "n1 n2 / n3");
    layout.previous = vec![std::sync::Arc::new(gitstratum_core::placement::Layout {
        cluster: None,
        ..self::layout(2, (1, 1, 1), "n1 / / n4")
    })];
    vec![
        ("create repository", create("team/project")),
        ("rename repository", Operation::RenameRepository { repository, name: "b".to_owned() }),
        (
            "configure repository",
            Operation::ConfigureRepository(ConfigureRepository {
                repository,
                default_branch: None,
                description: Some("words".to_owned()),
                limits: Some(limits),
                hidden_refs: Some(vec!["refs/x".to_owned()]),
                public: None,
            }),
        ),
        (
            "configure repository, public",
            Operation::ConfigureRepository(ConfigureRepository {
                repository,
                default_branch: None,
                description: None,
                limits: None,
                hidden_refs: None,
                public: Some(true),
            }),
        ),
        ("delete repository", Operation::DeleteRepository { repository, keep_for_ms: 1000 }),
        (
            "undelete repository",
            Operation::UndeleteRepository { repository, name: Some("c".to_owned()) },
        ),
        ("purge repository", Operation::PurgeRepository { repository }),
        ("push", Operation::Push(Push { packs: vec![pack(6)], ..atomic(updates) })),
        ("apply layout", apply(layout)),
        ("join node", join("n1", 9)),
        ("join node, with its program", states("n1", 9, "0.2.0", &["a", "restore"])),
        (
            "set node state",
            Operation::SetNodeState { node: "n1".to_owned(), state: NodeState::Learner },
        ),
        (
            "create token",
            Operation::CreateToken(CreateToken {
                hash: TokenHash([8; 32]),
                description: "ci".to_owned(),
                access: Access::Admin,
                prefix: "team".to_owned(),
                expires_at_ms: Some(1 << 40),
            }),
        ),
        ("revoke token", Operation::RevokeToken { token: TokenId(2) }),
        ("fork repository", Operation::ForkRepository { repository, name: "d".to_owned() }),
        ("advance clock", Operation::AdvanceClock),
        (
            "begin restore",
            Operation::BeginRestore(BeginRestore {
                repository: restored(),
                cluster: "there".to_owned(),
                number: repository,
                position: 9,
                keeps_number: true,
            }),
        ),
        (
            "restore records",
            Operation::RestoreRecords(RestoreRecords {
                repository,
                packs: vec![pack(6)],
                refs: vec![RestoredRef {
                    name: "HEAD".to_owned(),
                    value: Ref { target: RefTarget::Object(oid(1)), peeled: None, log: [].into() },
                }],
            }),
        ),
        (
            "end restore",
            Operation::EndRestore(EndRestore {
                repositories: vec![
                    EndedRestore { repository, deleted_for_ms: None },
                    EndedRestore { repository, deleted_for_ms: Some(4) },
                ],
            }),
        ),
        (
            "restore token",
            Operation::RestoreToken(RestoreToken {
                id: TokenId(3),
                hash: TokenHash([8; 32]),
                token: Token {
                    description: "ci".to_owned(),
                    access: Access::Admin,
                    prefix: String::new(),
                    created_at_ms: 2,
                    expires_at_ms: None,
                },
            }),
        ),
    ]
}

#[test]
fn commands_look_as_they_always_did() {
    let mut text = String::new();
    for (name, operation) in examples() {
        let bytes = encode_command(&command(1, 1_700_000_000_000, operation)).unwrap();
        writeln!(text, "{name}: {}", hex::encode(bytes)).unwrap();
    }
    let golden = include_str!("tests/golden.txt");
    assert_eq!(text, golden, "nodes of two versions must read each other's commands:\n{text}");
}

#[test]
fn what_a_newer_version_adds_is_skipped() {
    let command = command(1, 2, Operation::PurgeRepository { repository: RepositoryId(7) });
    let bytes = encode_command(&command).unwrap();
    assert_eq!(bytes[..2], [FORMAT, 0x85], "an array of five fields");
    // A sixth field, which is a map with an array in it.
    let mut newer = bytes.clone();
    newer[1] = 0x86;
    newer.extend([0xa1, 0x01, 0x82, 0x00, 0x61, b'x']);
    assert_eq!(decode_command(&newer).unwrap(), command);
    // And the operation with a second field, which is text.
    let (before, operation) = bytes.split_at(bytes.len() - 3);
    assert_eq!(operation, [0x82, 5, 7], "operation 5, of repository 7");
    let newer = [before, &[0x83, 5, 7, 0x61, b'x']].concat();
    assert_eq!(decode_command(&newer).unwrap(), command);
    let trailing = [&bytes[..], &[0]].concat();
    assert!(matches!(decode_command(&trailing), Err(EncodingError::Trailing(1))));
    let mut other = bytes;
    other[0] = 9;
    assert!(matches!(decode_command(&other), Err(EncodingError::Format(9))));
    assert!(matches!(decode_command(&[]), Err(EncodingError::Empty)));
}

/// Nodes and their joining as version 0.1 has them.
mod before_programs {
    use minicbor::{Decode, Encode};

    use crate::entity::NodeState;
    use crate::ids::{DirectoryId, RaftId};

    #[derive(Debug, PartialEq, Encode, Decode)]
    pub struct JoinNode {
        #[n(0)]
        pub node: String,
        #[n(1)]
        pub directory: DirectoryId,
        #[n(2)]
        pub address: String,
    }

    #[derive(Debug, PartialEq, Encode, Decode)]
    pub struct Node {
        #[n(0)]
        pub raft: RaftId,
        #[n(1)]
        pub directory: DirectoryId,
        #[n(2)]
        pub address: String,
        #[n(3)]
        pub state: NodeState,
    }
}

#[test]
fn what_a_node_states_of_its_program_is_skipped_by_version_0_1_and_missing_from_its_words() {
    let statement = states("n1", 9, "0.2.0", &["restore"]);
    let Operation::JoinNode(join) = statement.clone() else { unreachable!("it joins") };
    let old: before_programs::JoinNode = minicbor::decode(&encode(&join)[1..]).unwrap();
    assert_eq!((old.node.as_str(), old.directory), ("n1", join.directory));
    let back: crate::command::JoinNode = minicbor::decode(&encode(&old)[1..]).unwrap();
    assert_eq!(back, crate::command::JoinNode { program: None, ..join });

    let mut machine = Machine::new();
    machine.done(statement);
    let (_, node) = machine.state.nodes().next().unwrap();
    assert!(node.program.is_some());
    let old: before_programs::Node = minicbor::decode(&encode(&**node)[1..]).unwrap();
    assert_eq!((old.raft, old.address.as_str()), (node.raft, "n1:7400"));
    let back: crate::entity::Node = minicbor::decode(&encode(&old)[1..]).unwrap();
    assert_eq!(back, crate::entity::Node { program: None, ..(**node).clone() });
    // Of a whole snapshot of such a node, nothing else is missing.
    let read = read(&frames(&machine.state)).unwrap();
    assert_eq!(read, machine.state);
}

#[test]
fn a_command_over_its_bound_is_neither_written_nor_read() {
    let name = "refs/heads/".to_owned() + &"x".repeat(2000);
    let updates = (0..1000).map(|_| make(&name, 1)).collect();
    let large = command(1, 1, Operation::Push(push(updates)));
    let error = encode_command(&large).unwrap_err();
    assert!(error.to_string().ends_with("over the limit of 1048576: send it in parts"), "{error}");
    let bytes = vec![FORMAT; COMMAND_BYTES_MAX + 1];
    assert!(matches!(decode_command(&bytes), Err(EncodingError::Large { .. })));
}

#[test]
fn bytes_that_end_early_are_an_error() {
    for (name, operation) in examples() {
        let bytes = encode_command(&command(1, 2, operation)).unwrap();
        for end in 0..bytes.len() {
            assert!(decode_command(&bytes[..end]).is_err(), "{name} up to {end}");
        }
    }
}

#[test]
fn a_length_that_is_claimed_is_not_believed() {
    // An array of updates, a byte string and a text that claim 2^60.
    let bytes =
        encode_command(&command(1, 2, Operation::Push(push(vec![make("HEAD", 1)])))).unwrap();
    for at in 0..bytes.len() {
        for major in [0x40, 0x60, 0x80, 0xa0] {
            let mut claims = bytes[..at].to_vec();
            claims.push(major | 0x1b);
            claims.extend((1_u64 << 60).to_be_bytes());
            claims.extend(&bytes[at..]);
            assert!(decode_command(&claims).is_err(), "at {at}");
        }
    }
}

#[test]
fn a_snapshot_is_made_in_a_task_of_its_own() {
    fn is_sent<T: Send>(_: &T) {}
    let state = State::new(0);
    is_sent(&state);
    is_sent(&snapshot(&state));
    is_sent(&SnapshotReader::default());
}

fn frames(state: &State) -> Vec<Vec<u8>> {
    snapshot(state).collect()
}

fn read(frames: &[Vec<u8>]) -> Result<State, SnapshotError> {
    let mut reader = SnapshotReader::default();
    frames.iter().try_for_each(|frame| reader.add(frame))?;
    reader.finish()
}

#[test]
fn a_state_comes_back_from_its_snapshot() {
    for state in [State::new(0), rich().state] {
        let frames = frames(&state);
        let back = read(&frames).unwrap();
        assert_eq!(back, state);
        assert_eq!(self::frames(&back), frames);
    }
}

#[test]
fn a_large_state_comes_in_frames_each_of_which_is_needed() {
    let mut machine = Machine::with_repository();
    for at in 0..10 {
        let updates = (0..1000).map(|n| make(&format!("refs/{at}/{n}"), 1)).collect();
        machine.push(push(updates));
    }
    let frames = frames(&machine.state);
    assert!(frames.len() > 3);
    assert!(frames.iter().all(|frame| frame.len() <= CATALOG_FRAME_BYTES * 9 / 8));
    assert_eq!(read(&frames).unwrap(), machine.state);
    for at in 0..frames.len() {
        let mut missing = frames.clone();
        missing.remove(at);
        assert!(read(&missing).is_err(), "without frame {at}");
        let mut twice = frames.clone();
        twice.insert(at, frames[at].clone());
        assert!(read(&twice).is_err(), "frame {at} twice");
    }
    let mut swapped = frames.clone();
    swapped.swap(1, 2);
    assert!(read(&swapped).is_err());
}

#[test]
fn the_longest_answer_fits_a_record() {
    let mut machine = Machine::with_repository();
    let long = "y".repeat(4000);
    let count = gitstratum_core::limits::REFS_PER_PUSH_MAX;
    for first in (0..count).step_by(200) {
        let names = first..first + 200;
        let updates = names.map(|n| make(&format!("refs/{n}/{long}"), 1)).collect();
        machine.push(push(updates));
    }
    let updates = (0..count).map(|n| make(&format!("refs/{n}"), 1)).collect();
    let verdicts = machine.push(push(updates));
    assert!(verdicts.iter().all(|verdict| verdict.contains("cannot both be refs")));
    assert_eq!(read(&frames(&machine.state)).unwrap(), machine.state);
}

#[test]
fn a_damaged_frame_is_an_error_wherever_it_is_damaged() {
    let frames = frames(&rich().state);
    assert_eq!(frames.len(), 1);
    for at in 0..frames[0].len() {
        let mut damaged = frames[0].clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(matches!(read(&[damaged]), Err(SnapshotError::Checksum)));
        assert!(read(&[frames[0][..at].to_vec()]).is_err());
    }
}

/// A frame with a checksum that fits whatever is in it.
fn sealed(mut frame: Vec<u8>) -> Vec<u8> {
    let sum = crc32c::crc32c(&frame[4..]);
    frame[..4].copy_from_slice(&sum.to_le_bytes());
    frame
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn commands_come_back(command in strategy::commands()) {
        let bytes = encode_command(&command).unwrap();
        prop_assert_eq!(decode_command(&bytes).unwrap(), command);
    }

    #[test]
    fn replies_come_back(commands in prop::collection::vec(strategy::commands(), 1..20)) {
        let mut state = State::new(0);
        for (position, command) in (1..).zip(commands) {
            let reply = state.apply(position, command);
            prop_assert_eq!(decode_reply(&encode_reply(&reply)).unwrap(), reply);
        }
        prop_assert_eq!(read(&frames(&state)).unwrap(), state);
    }

    #[test]
    fn damaged_commands_are_errors_or_other_commands(
        command in strategy::commands(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = encode_command(&command).unwrap();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(other) = decode_command(&bytes) {
            State::new(0).apply(1, other);
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(mut bytes in prop::collection::vec(any::<u8>(), 1..200)) {
        bytes[0] = FORMAT;
        let _ = decode_command(&bytes);
        let _ = decode_reply(&bytes);
        bytes.splice(0..0, [0; 4]);
        let _ = read(&[sealed(bytes)]);
    }

    #[test]
    fn damaged_records_are_errors_or_other_states(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut frame = frames(&rich().state).remove(0);
        let at = 5 + at.index(frame.len() - 5);
        frame[at] = byte;
        // Whatever state that is, commands can be applied to it.
        if let Ok(mut state) = read(&[sealed(frame)]) {
            for (position, (_, operation)) in (state.position() + 1..).zip(examples()) {
                let mut command = command(position, 2, operation);
                command.group = state.group();
                state.apply(position, command);
            }
        }
    }
}
