//! Test fixture: a state with its log's position, and short ways to say commands.

use std::sync::Arc;

use gitstratum_core::object::{HashAlgorithm, ObjectId};
use gitstratum_core::placement::{ClusterId, Layout, Member, MemberState, NodeId};

use crate::command::{
    ApplyLayout, Command, CreateRepository, Expected, JoinNode, NewTarget, Operation, Push,
    RefUpdate, Request,
};
use crate::entity::{Pack, Program, RepositoryLimits};
use crate::error::CatalogError;
use crate::ids::{ClientId, DirectoryId, PackId, RepositoryId};
use crate::reply::{Outcome, Reply, Verdict};
use crate::state::{Counts, Head, Record, State};

/// A state, and one client who sends commands.
pub struct Machine {
    pub state: State,
    pub position: u64,
    pub at_ms: u64,
}

impl Machine {
    pub fn new() -> Self {
        Machine { state: State::new(0), position: 0, at_ms: 1_000 }
    }

    /// With the repository `project`, of number 1.
    pub fn with_repository() -> Self {
        let mut machine = Machine::new();
        machine.done(create("project"));
        machine
    }

    pub fn apply(&mut self, operation: Operation) -> Result<Outcome, CatalogError> {
        self.position += 1;
        let command = command(self.position, self.at_ms, operation);
        self.state.apply(self.position, command).into_result()
    }

    pub fn done(&mut self, operation: Operation) -> Outcome {
        self.apply(operation).expect("it is done")
    }

    /// The reason of a refusal, which changed nothing but what it may.
    pub fn refused(&mut self, operation: Operation) -> String {
        let before = self.state.clone();
        let reason = self.apply(operation).expect_err("it is refused").to_string();
        assert!(kept(&before).eq(kept(&self.state)), "a refused command changes nothing");
        reason
    }

    /// What became of each update: `ok`, or the reason.
    pub fn push(&mut self, push: Push) -> Vec<String> {
        match self.done(Operation::Push(push)) {
            Outcome::Pushed { verdicts } => verdicts.into_iter().map(said).collect(),
            other => panic!("a push gives verdicts, and not {other:?}"),
        }
    }

    /// The refs of repository 1, each as its name and where it points.
    pub fn refs(&self) -> Vec<String> {
        let refs = self.state.references(RepositoryId(1));
        refs.map(|(name, held)| format!("{name} {}", shortened(&held.target.to_string()))).collect()
    }
}

/// What no refused command changes.
fn kept(state: &State) -> impl Iterator<Item = Record> {
    state.records().filter_map(|record| match record {
        Record::Head(head) => Some(Record::Head(Head { position: 0, clock_ms: 0, ..head })),
        Record::Answer { .. } => None,
        Record::End(counts) => Some(Record::End(Counts { answers: 0, ..counts })),
        other => Some(other),
    })
}

fn said(verdict: Verdict) -> String {
    match verdict {
        Verdict::Done { .. } => "ok".to_owned(),
        Verdict::Refused(why) => shortened(&why.to_string()),
    }
}

/// Ids of tests are one digit many times.
fn shortened(text: &str) -> String {
    ('0'..='9').fold(text.to_owned(), |text, digit| {
        let id: String = std::iter::repeat_n(digit, 40).collect();
        text.replace(&id, &format!("#{digit}"))
    })
}

pub fn command(number: u64, at_ms: u64, operation: Operation) -> Command {
    let request = Request { client: ClientId([1; 16]), number };
    Command { group: 0, request, at_ms, who: "ann".to_owned(), operation }
}

pub fn create(name: &str) -> Operation {
    Operation::CreateRepository(CreateRepository {
        name: name.to_owned(),
        object_format: HashAlgorithm::Sha1,
        default_branch: "refs/heads/main".to_owned(),
        description: String::new(),
        limits: RepositoryLimits::default(),
        hidden_refs: vec!["refs/hidden".to_owned()],
    })
}

/// The id that is this digit, forty times.
pub fn oid(digit: u8) -> ObjectId {
    ObjectId::from_bytes(&[digit * 0x11; 20]).unwrap()
}

pub fn object(digit: u8) -> NewTarget {
    NewTarget::Object { id: oid(digit), peeled: None }
}

pub fn update(name: &str, expected: Expected, new: NewTarget) -> RefUpdate {
    RefUpdate { name: name.to_owned(), expected, new }
}

/// A ref that is to be made.
pub fn make(name: &str, digit: u8) -> RefUpdate {
    update(name, Expected::Absent, object(digit))
}

/// A ref that is to be deleted, whatever it is.
pub fn delete(name: &str) -> RefUpdate {
    update(name, Expected::Any, NewTarget::Deleted)
}

/// A push to repository 1.
pub fn push(updates: Vec<RefUpdate>) -> Push {
    Push {
        repository: RepositoryId(1),
        generation: 0,
        atomic: false,
        may_update_hidden: false,
        updates,
        packs: Vec::new(),
        message: "push".to_owned(),
    }
}

pub fn atomic(updates: Vec<RefUpdate>) -> Push {
    Push { atomic: true, ..push(updates) }
}

pub fn pack(id: u8) -> Pack {
    Pack { id: PackId([id; 32]), bytes: 1000, objects: 3, chunks: 1, source: vec![1, 2] }
}

pub fn join(node: &str, directory: u8) -> Operation {
    let directory = DirectoryId([directory; 16]);
    Operation::JoinNode(JoinNode {
        node: node.to_owned(),
        directory,
        address: format!("{node}:7400"),
        program: None,
    })
}

/// A node that states its program's version and features.
pub fn states(node: &str, directory: u8, version: &str, features: &[&str]) -> Operation {
    let Operation::JoinNode(join) = join(node, directory) else { unreachable!("it joins") };
    let features = features.iter().map(|name| (*name).to_owned()).collect();
    let program = Some(Program { version: version.to_owned(), features });
    Operation::JoinNode(JoinNode { program, ..join })
}

/// A layout of these nodes, those after a slash draining, those after another removed:
/// `n1 n2 / n3 / n4`.
pub fn layout(version: u64, (n, w, r): (usize, usize, usize), nodes: &str) -> Layout {
    let states = [MemberState::Active, MemberState::Draining, MemberState::Removed];
    let mut members = Vec::new();
    for (state, names) in states.into_iter().zip(nodes.split('/')) {
        members.extend(names.split_whitespace().map(|name| {
            let address = format!("{name}:7400");
            let member = Member::active(NodeId::new(name), address, "z".to_owned(), 1);
            Member { state, ..member }
        }));
    }
    let cluster = Some(ClusterId::parse("test").unwrap());
    Layout { cluster, version, ..Layout::first((n, w, r), members) }
}

pub fn apply(layout: Layout) -> Operation {
    Operation::ApplyLayout(ApplyLayout { layout: Arc::new(layout), accept_loss: false })
}

/// A state that has something of every kind.
pub fn rich() -> Machine {
    use crate::command::{ConfigureRepository, CreateToken};
    use crate::entity::{Access, NodeState};
    use crate::ids::TokenHash;

    let mut machine = Machine::with_repository();
    for name in ["team/a", "team/b"] {
        machine.done(create(name));
    }
    let tag = NewTarget::Object { id: oid(3), peeled: Some(oid(1)) };
    let updates = vec![make("refs/heads/main", 1), update("refs/tags/v1", Expected::Absent, tag)];
    machine.done(Operation::Push(Push { packs: vec![pack(7), pack(9)], ..push(updates) }));
    machine.done(Operation::Push(push(vec![update(
        "refs/heads/main",
        Expected::Object(oid(1)),
        object(2),
    )])));
    let description = Some("words \"quoted\"\n".to_owned());
    machine.done(Operation::ConfigureRepository(ConfigureRepository {
        repository: RepositoryId(2),
        default_branch: Some("refs/heads/trunk".to_owned()),
        description,
        limits: Some(RepositoryLimits { refs_max: Some(10), ..Default::default() }),
        hidden_refs: None,
        public: Some(true),
    }));
    machine.done(Operation::DeleteRepository { repository: RepositoryId(3), keep_for_ms: 500 });
    machine.done(join("n1", 1));
    machine.done(join("n2", 2));
    let state = NodeState::Voter;
    machine.done(Operation::SetNodeState { node: "n1".to_owned(), state });
    machine.done(apply(layout(4, (1, 1, 1), "n1")));
    machine.done(apply(layout(5, (2, 2, 1), "n1 n2")));
    machine.done(Operation::CreateToken(CreateToken {
        hash: TokenHash([5; 32]),
        description: "ci".to_owned(),
        access: Access::Write,
        prefix: "team".to_owned(),
        expires_at_ms: Some(1 << 40),
    }));
    // An answer that is a refusal, and of another client.
    let mut refused = command(1, 2_000, create("team"));
    refused.request.client = ClientId([2; 16]);
    machine.position += 1;
    let reply = machine.state.apply(machine.position, refused);
    assert!(matches!(reply, Reply::Refused(_)));
    machine
}
