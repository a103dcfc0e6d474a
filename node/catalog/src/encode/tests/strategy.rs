//! Strategies: commands with anything in them, most of which no state would do.

use std::sync::Arc;

use gitstratum_core::object::{HashAlgorithm, ObjectId};
use gitstratum_core::placement::{ClusterId, Layout, Member, MemberState, NodeId};
use proptest::prelude::*;

use super::restored;
use crate::command::*;
use crate::entity::{
    Access, NodeState, Pack, Program, Ref, RefTarget, Repository, RepositoryLimits, Token,
};
use crate::ids::*;
use crate::names::RepositoryName;

pub fn commands() -> BoxedStrategy<Command> {
    let request = (any::<[u8; 16]>(), any::<u64>());
    let request = request.prop_map(|(client, number)| Request { client: ClientId(client), number });
    (0..2_u32, request, any::<u64>(), text(), operations())
        .prop_map(|(group, request, at_ms, who, operation)| Command {
            group,
            request,
            at_ms,
            who,
            operation,
        })
        .boxed()
}

/// Words that are names now and then.
fn text() -> BoxedStrategy<String> {
    prop_oneof![
        "[a-c](/[a-c]){0,2}",
        "refs/heads/[a-c](/[a-c]){0,2}",
        Just("HEAD".to_owned()),
        any::<String>(),
    ]
    .boxed()
}

fn operations() -> BoxedStrategy<Operation> {
    let repository = || (0..4_u64).prop_map(RepositoryId);
    let create =
        (text(), algorithms(), text(), text(), limits(), prop::collection::vec(text(), 0..3));
    let create = create.prop_map(
        |(name, object_format, default_branch, description, limits, hidden_refs)| {
            let create = CreateRepository {
                name,
                object_format,
                default_branch,
                description,
                limits,
                hidden_refs,
            };
            Operation::CreateRepository(create)
        },
    );
    let configure = (
        repository(),
        prop::option::of(text()),
        prop::option::of(text()),
        prop::option::of(limits()),
        prop::option::of(prop::collection::vec(text(), 0..3)),
        any::<Option<bool>>(),
    );
    let configure = configure.prop_map(
        |(repository, default_branch, description, limits, hidden_refs, public)| {
            let configure = ConfigureRepository {
                repository,
                default_branch,
                description,
                limits,
                hidden_refs,
                public,
            };
            Operation::ConfigureRepository(configure)
        },
    );
    let layout = (layouts(), any::<bool>());
    let layout = layout.prop_map(|(layout, accept_loss)| {
        Operation::ApplyLayout(ApplyLayout { layout: Arc::new(layout), accept_loss })
    });
    let adopt = layouts().prop_map(|layout| Operation::AdoptLayout(Arc::new(layout)));
    let program = (text(), prop::collection::btree_set(text(), 0..3));
    let program = program.prop_map(|(version, features)| Program { version, features });
    let join = (text(), any::<[u8; 16]>(), text(), prop::option::of(program));
    let join = join.prop_map(|(node, directory, address, program)| {
        let directory = DirectoryId(directory);
        Operation::JoinNode(JoinNode { node, directory, address, program })
    });
    let refound = (text(), any::<[u8; 16]>(), text(), any::<bool>());
    let refound = refound.prop_map(|(node, directory, address, forgets_others)| {
        let directory = DirectoryId(directory);
        Operation::Refound(Refound { node, directory, address, forgets_others })
    });
    let states = prop::sample::select(vec![
        NodeState::Joining,
        NodeState::Learner,
        NodeState::Voter,
        NodeState::Removed,
    ]);
    let access = prop::sample::select(vec![Access::Read, Access::Write, Access::Admin]);
    let token = (any::<[u8; 32]>(), text(), access, text(), any::<Option<u64>>());
    let token = token.prop_map(|(hash, description, access, prefix, expires_at_ms)| {
        let hash = TokenHash(hash);
        let token = CreateToken { hash, description, access, prefix, expires_at_ms };
        Operation::CreateToken(token)
    });
    prop_oneof![
        create,
        (repository(), text())
            .prop_map(|(repository, name)| Operation::RenameRepository { repository, name }),
        configure,
        (repository(), any::<u64>()).prop_map(|(repository, keep_for_ms)| {
            Operation::DeleteRepository { repository, keep_for_ms }
        }),
        (repository(), prop::option::of(text()))
            .prop_map(|(repository, name)| Operation::UndeleteRepository { repository, name }),
        repository().prop_map(|repository| Operation::PurgeRepository { repository }),
        pushes().prop_map(Operation::Push),
        layout,
        adopt,
        join,
        refound,
        (text(), states).prop_map(|(node, state)| Operation::SetNodeState { node, state }),
        token,
        (0..4_u64).prop_map(|token| Operation::RevokeToken { token: TokenId(token) }),
        (repository(), text())
            .prop_map(|(repository, name)| Operation::ForkRepository { repository, name }),
        Just(Operation::AdvanceClock),
        restores(),
    ]
    .boxed()
}

/// Steps of a restore, which meet each other now and then.
fn restores() -> BoxedStrategy<Operation> {
    let number = || (0..4_u64).prop_map(RepositoryId);
    let begin = (number(), any::<u64>(), any::<bool>(), "[a-c](/[a-c]){0,2}");
    let begin = begin.prop_map(|(number, position, keeps_number, name)| {
        let name = RepositoryName::parse(&name).expect("such names are those of repositories");
        let repository = Repository { name, ..restored() };
        let cluster = "there".to_owned();
        let begin = BeginRestore { repository, cluster, number, position, keeps_number };
        Operation::BeginRestore(begin)
    });
    let names = prop::collection::vec("refs/heads/[a-c](/[a-c]){0,2}", 0..3);
    let records = (number(), names, object_ids()).prop_map(|(repository, names, id)| {
        let refs = names.into_iter().map(|name| {
            let target = RefTarget::Object(id);
            RestoredRef { name, value: Ref { target, peeled: None, log: [].into() } }
        });
        let refs = refs.collect();
        Operation::RestoreRecords(RestoreRecords { repository, packs: Vec::new(), refs })
    });
    let ended = (number(), any::<Option<u64>>());
    let ended =
        ended.prop_map(|(repository, deleted_for_ms)| EndedRestore { repository, deleted_for_ms });
    let end = prop::collection::vec(ended, 0..3);
    let end = end.prop_map(|repositories| Operation::EndRestore(EndRestore { repositories }));
    let token = (0..4_u64, any::<[u8; 32]>(), text()).prop_map(|(id, hash, prefix)| {
        let (id, hash, access) = (TokenId(id), TokenHash(hash), Access::Read);
        let (description, created_at_ms, expires_at_ms) = (String::new(), 1, None);
        let token = Token { description, access, prefix, created_at_ms, expires_at_ms };
        Operation::RestoreToken(RestoreToken { id, hash, token })
    });
    prop_oneof![begin, records, end, token].boxed()
}

fn algorithms() -> BoxedStrategy<HashAlgorithm> {
    prop::sample::select(vec![HashAlgorithm::Sha1, HashAlgorithm::Sha256]).boxed()
}

fn limits() -> BoxedStrategy<RepositoryLimits> {
    any::<[Option<u64>; 3]>()
        .prop_map(|[refs_max, push_bytes_max, repository_bytes_max]| RepositoryLimits {
            refs_max,
            push_bytes_max,
            repository_bytes_max,
        })
        .boxed()
}

fn object_ids() -> BoxedStrategy<ObjectId> {
    prop_oneof![
        4 => (0..3_u8).prop_map(|byte| ObjectId::from_bytes(&[byte; 20]).unwrap()),
        1 => any::<[u8; 32]>().prop_map(|bytes| ObjectId::from_bytes(&bytes).unwrap()),
    ]
    .boxed()
}

fn pushes() -> BoxedStrategy<Push> {
    let expected = prop_oneof![
        Just(Expected::Any),
        Just(Expected::Absent),
        object_ids().prop_map(Expected::Object),
        text().prop_map(Expected::Symbolic),
    ];
    let new = prop_oneof![
        Just(NewTarget::Deleted),
        (object_ids(), prop::option::of(object_ids()))
            .prop_map(|(id, peeled)| NewTarget::Object { id, peeled }),
        text().prop_map(NewTarget::Symbolic),
    ];
    let update = (text(), expected, new);
    let update = update.prop_map(|(name, expected, new)| RefUpdate { name, expected, new });
    let packs = (0..3_u8, any::<u64>(), any::<u64>(), any::<u32>(), any::<Vec<u8>>());
    let packs = packs.prop_map(|(id, bytes, objects, chunks, source)| Pack {
        id: PackId([id; 32]),
        bytes,
        objects,
        chunks,
        source,
    });
    let flags = any::<[bool; 2]>();
    let updates = prop::collection::vec(update, 0..6);
    let packs = prop::collection::vec(packs, 0..3);
    (0..3_u64, 0..2_u64, flags, updates, packs, text())
        .prop_map(
            |(repository, generation, [atomic, may_update_hidden], updates, packs, message)| Push {
                repository: RepositoryId(repository),
                generation,
                atomic,
                may_update_hidden,
                updates,
                packs,
                message,
            },
        )
        .boxed()
}

fn layouts() -> BoxedStrategy<Layout> {
    (versions(), prop::collection::vec(versions(), 0..3), any::<bool>())
        .prop_map(|(layout, previous, named)| Layout {
            cluster: named.then(|| ClusterId::parse("test").unwrap()),
            previous: previous.into_iter().map(Arc::new).collect(),
            ..layout
        })
        .boxed()
}

fn versions() -> BoxedStrategy<Layout> {
    let states = prop::sample::select(vec![
        MemberState::Active,
        MemberState::Draining,
        MemberState::Removed,
    ]);
    let members = ("n[1-5]", 0..3_u32, states).prop_map(|(node, weight, state)| Member {
        address: format!("{node}:1"),
        node_id: NodeId::new(node),
        zone: "z".to_owned(),
        weight,
        state,
    });
    let members = prop::collection::vec(members, 0..5);
    (prop_oneof![0..4_u64, any::<u64>()], [0..4_usize, 0..4, 0..4], 0..4_u64, members)
        .prop_map(|(version, [replicas, write_quorum, read_quorum], settled, members)| Layout {
            cluster: None,
            version,
            replicas,
            write_quorum,
            read_quorum,
            settled,
            members,
            previous: Vec::new(),
        })
        .boxed()
}
