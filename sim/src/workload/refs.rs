//! One client of the catalog: makes repositories, updates their refs by compare-and-swap, and reads
//! them, one call after another through nodes that it draws.
//!
//! What it expects of a ref is what it was told last, so of clients that update the same ref at a
//! time all but one are refused.

use std::collections::BTreeMap;
use std::time::Duration;

use gitstratum::catalog::{CallError, CatalogClient};
use gitstratum_catalog::command::{
    CreateRepository, Expected as ExpectedTarget, NewTarget, Push, RefUpdate as Update,
};
use gitstratum_catalog::encode::{decode_answer, encode_query};
use gitstratum_catalog::entity::{RefTarget, RepositoryLimits};
use gitstratum_catalog::ids::RepositoryId;
use gitstratum_catalog::{Answer, CatalogError, Operation, Outcome, Query, Verdict};
use gitstratum_cluster::client::{CatalogError as AskError, Client};
use gitstratum_core::object::{HashAlgorithm, ObjectId};
use gitstratum_core::placement::NodeId;
use rand::Rng;
use rand_chacha::ChaCha12Rng;
use tokio::time::{Instant, sleep};

use super::claims::Claims;
use super::streams::{draw_duration, stream};
use crate::scenario::{CatalogPlan, Control};
use crate::trace::{CatalogCall, CatalogOutcome, Event, Expected, Recorder, RefUpdate, RefVerdict};

/// Share of updates that take a ref whatever it is.
const ANY_SHARE: f64 = 0.05;
/// Share of updates that delete.
const DELETE_SHARE: f64 = 0.05;
/// Share of commands of unknown end that are sent again, until their end is known.
const AGAIN_SHARE: f64 = 0.5;
/// How often one is sent again at most.
const AGAIN_MAX: u32 = 3;
/// Refs that are asked for at once; no repository of a run has more.
const REFS_MAX: u32 = 1_000;
/// Numbers of one client's calls.
const CALLS_MAX: u64 = 1_000_000;

/// One client of the catalog.
pub struct RefWorker {
    machine: String,
    client: Client,
    caller: CatalogClient,
    plan: CatalogPlan,
    /// How it is careless, and who says that it leads.
    careless: Option<(Control, Claims)>,
    recorder: Recorder,
    /// Who is asked.
    nodes: Vec<NodeId>,
    choices: ChaCha12Rng,
    pauses: ChaCha12Rng,
    /// Repositories that exist, as far as it knows.
    repositories: BTreeMap<String, RepositoryId>,
    /// Values that it was told last.
    values: BTreeMap<(String, String), u64>,
    calls: u64,
}

impl RefWorker {
    /// Client `number`, from 1, on a machine of this name.
    pub fn new(
        seed: u64,
        (number, machine): (usize, &str),
        client: Client,
        (plan, careless): (CatalogPlan, Option<(Control, Claims)>),
        recorder: Recorder,
    ) -> Self {
        let mut rng = stream(seed, &format!("catalog/{machine}"));
        let members = client.layout().members.clone();
        RefWorker {
            caller: CatalogClient::new(client.clone(), machine, &mut rng),
            choices: stream(seed, &format!("catalog-choices/{machine}")),
            pauses: stream(seed, &format!("catalog-pauses/{machine}")),
            nodes: members.into_iter().map(|member| member.node_id).collect(),
            machine: machine.to_owned(),
            client,
            plan,
            careless,
            recorder,
            repositories: BTreeMap::new(),
            values: BTreeMap::new(),
            calls: number as u64 * CALLS_MAX,
        }
    }

    /// Calls, with pauses, until `end`.
    pub async fn run_until(&mut self, end: Instant) {
        loop {
            let pause = draw_duration(&mut self.pauses, &self.plan.pace);
            // The simulated clock has no finer sleep.
            sleep(pause.max(Duration::from_millis(1))).await;
            if Instant::now() >= end {
                return;
            }
            let Some((name, repository)) = self.draw_repository().await else { continue };
            if self.choices.random_bool(self.plan.update_share) {
                self.update(&name, repository).await;
            } else {
                self.read(&name, repository).await;
            }
        }
    }

    /// So many updates, one after another.
    pub async fn update_many(&mut self, count: usize) {
        for _ in 0..count {
            if let Some((name, repository)) = self.draw_repository().await {
                self.update(&name, repository).await;
            }
        }
    }

    /// Reads all refs of every repository.
    pub async fn read_all(&mut self) -> Result<(), String> {
        for name in self.plan.repository_names() {
            let query = Query::Repository { name: name.clone() };
            match self.caller.ask(&query).await {
                Ok(Answer::Repositories { repositories, .. }) => {
                    let Some(found) = repositories.first() else { continue };
                    self.read(&name, found.id).await;
                }
                Ok(other) => return Err(format!("{name}: {other:?} is no repository")),
                Err(error) => return Err(format!("{name}: {error}")),
            }
        }
        Ok(())
    }

    /// One of the repositories; the first time it is made, or found to be there.
    async fn draw_repository(&mut self) -> Option<(String, RepositoryId)> {
        let names = self.plan.repository_names();
        let name = names[self.choices.random_range(0..names.len())].clone();
        let node = self.choices.random_range(0..self.nodes.len());
        self.caller.ask_first(&self.nodes[node]);
        self.client = self.client.asking_first(&self.nodes[node]);
        if let Some(known) = self.repositories.get(&name) {
            return Some((name, *known));
        }
        let repository = self.create(&name).await?;
        self.repositories.insert(name.clone(), repository);
        Some((name, repository))
    }

    async fn create(&mut self, name: &str) -> Option<RepositoryId> {
        let op = self.begin(name, CatalogCall::Create);
        let create = CreateRepository {
            name: name.to_owned(),
            object_format: HashAlgorithm::Sha1,
            default_branch: "refs/heads/main".to_owned(),
            description: String::new(),
            limits: RepositoryLimits::default(),
            hidden_refs: Vec::new(),
        };
        let done = self.command(Operation::CreateRepository(create)).await;
        let (repository, outcome) = match done {
            Ok(Outcome::Created { repository }) => (Some(repository), CatalogOutcome::Created),
            Err(CallError::Refused(CatalogError::RepositoryExists { repository, .. })) => {
                (Some(repository), CatalogOutcome::Existed)
            }
            Ok(other) => (None, unknown(format!("{other:?} is no answer to it"))),
            Err(error) => (None, failed(error)),
        };
        self.end(op, outcome);
        repository
    }

    async fn update(&mut self, name: &str, repository: RepositoryId) {
        let refs = self.plan.ref_names();
        let first = self.choices.random_range(0..refs.len());
        let second = (first + self.choices.random_range(1..refs.len())) % refs.len();
        let atomic = self.choices.random_bool(self.plan.atomic_share);
        let places = if atomic { vec![first, second] } else { vec![first] };
        let updates: Vec<RefUpdate> =
            places.iter().map(|&place| self.draw_update(name, &refs[place], place)).collect();
        let push = Push {
            repository,
            generation: 0,
            atomic,
            may_update_hidden: false,
            updates: updates.iter().map(update).collect(),
            packs: Vec::new(),
            message: String::new(),
        };
        let op = self.begin(name, CatalogCall::Update { atomic, updates: updates.clone() });
        let outcome = match self.command(Operation::Push(push)).await {
            Ok(Outcome::Pushed { verdicts }) => {
                for (update, verdict) in updates.iter().zip(&verdicts) {
                    self.learn(name, update, verdict);
                }
                CatalogOutcome::Updated { verdicts: verdicts.iter().map(verdict_of).collect() }
            }
            Ok(other) => unknown(format!("{other:?} is no answer to it")),
            Err(error) => failed(error),
        };
        self.end(op, outcome);
    }

    fn draw_update(&mut self, repository: &str, name: &str, place: usize) -> RefUpdate {
        let known = self.values.get(&(repository.to_owned(), name.to_owned())).copied();
        let expected = match known {
            _ if self.choices.random_bool(ANY_SHARE) => Expected::Any,
            Some(value) => Expected::Value(value),
            None => Expected::Absent,
        };
        let deletes = known.is_some() && self.choices.random_bool(DELETE_SHARE);
        // Nobody else ever writes this value.
        let value = (self.calls + 1) * (self.plan.refs as u64) + place as u64;
        RefUpdate { name: name.to_owned(), expected, new: (!deletes).then_some(value) }
    }

    /// Takes note of what an answer says about a ref.
    fn learn(&mut self, repository: &str, update: &RefUpdate, verdict: &Verdict) {
        let value = match verdict {
            Verdict::Done { .. } => update.new,
            Verdict::Refused(CatalogError::RefMoved { actual, .. }) => {
                actual.as_ref().and_then(value_of)
            }
            Verdict::Refused(_) => return,
        };
        let key = (repository.to_owned(), update.name.clone());
        match value {
            Some(value) => self.values.insert(key, value),
            None => self.values.remove(&key),
        };
    }

    async fn read(&mut self, name: &str, repository: RepositoryId) {
        let op = self.begin(name, CatalogCall::Read);
        let prefix = "refs/".to_owned();
        let query = Query::Refs { repository, prefix, after: None, max: REFS_MAX };
        let outcome = match self.ask(&query).await {
            Ok(Answer::Refs { refs, .. }) => {
                let refs: BTreeMap<String, u64> = refs
                    .iter()
                    .filter_map(|(name, held)| Some((name.to_string(), value_of(&held.target)?)))
                    .collect();
                self.values.retain(|(of, _), _| of != name);
                let read = refs.iter().map(|(of, value)| ((name.to_owned(), of.clone()), *value));
                self.values.extend(read);
                CatalogOutcome::Refs { refs }
            }
            Ok(other) => unknown(format!("{other:?} is no answer to it")),
            Err(CallError::Refused(CatalogError::NoRepository { .. })) => {
                CatalogOutcome::NoRepository
            }
            Err(error) => failed(error),
        };
        self.end(op, outcome);
    }

    /// What the cluster agreed on; or, with a control, what one node has, or one that says that it
    /// leads.
    async fn ask(&mut self, query: &Query) -> Result<Answer, CallError> {
        let asked = match &self.careless {
            Some((Control::LocalReads, _)) => self.client.clone(),
            Some((Control::UnconfirmedReads, claims)) => {
                let claiming = claims.now();
                if claiming.is_empty() {
                    return self.caller.ask(query).await;
                }
                self.client.asking_first(&claiming[self.choices.random_range(0..claiming.len())])
            }
            _ => return self.caller.ask(query).await,
        };
        let answer = asked.catalog_query(encode_query(query).into(), true).await?;
        Ok(decode_answer(&answer)?)
    }

    fn has_control(&self, wanted: Control) -> bool {
        self.careless.as_ref().is_some_and(|(control, _)| *control == wanted)
    }

    /// Has a command done; of those whose end is not known some are sent again.
    async fn command(&mut self, operation: Operation) -> Result<Outcome, CallError> {
        let mut done = self.caller.call(operation.clone()).await;
        let asks_again = self.choices.random_bool(AGAIN_SHARE);
        for _ in 0..AGAIN_MAX {
            if !asks_again || !done.as_ref().is_err_and(is_unknown) {
                break;
            }
            let node = self.choices.random_range(0..self.nodes.len());
            self.caller.ask_first(&self.nodes[node]);
            done = match self.has_control(Control::RenumberedRetry) {
                true => self.caller.call(operation.clone()).await,
                // Nothing was done this time, but it may have been before.
                false => match self.caller.again(operation.clone()).await {
                    Err(error) if !is_unknown(&error) && !is_refusal(&error) => {
                        Err(AskError::Unknown(error.to_string()).into())
                    }
                    done => done,
                },
            };
        }
        done
    }

    fn begin(&mut self, repository: &str, call: CatalogCall) -> u64 {
        self.calls += 1;
        let (op, repository) = (self.calls, repository.to_owned());
        self.recorder.record(&self.machine, Event::CatalogAsked { op, repository, call });
        op
    }

    fn end(&self, op: u64, outcome: CatalogOutcome) {
        self.recorder.record(&self.machine, Event::CatalogAnswered { op, outcome });
    }
}

fn update(update: &RefUpdate) -> Update {
    Update {
        name: update.name.clone(),
        expected: match update.expected {
            Expected::Any => ExpectedTarget::Any,
            Expected::Absent => ExpectedTarget::Absent,
            Expected::Value(value) => ExpectedTarget::Object(id_of(value)),
        },
        new: match update.new {
            Some(value) => NewTarget::Object { id: id_of(value), peeled: None },
            None => NewTarget::Deleted,
        },
    }
}

/// The object that stands for a value: nobody looks whether there is one.
pub(super) fn id_of(value: u64) -> ObjectId {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&value.to_be_bytes());
    ObjectId::from_bytes(&bytes).expect("as long as an id")
}

pub(super) fn value_of(target: &RefTarget) -> Option<u64> {
    match target {
        RefTarget::Object(id) => Some(id.prefix_u64()),
        RefTarget::Symbolic(_) => None,
    }
}

fn verdict_of(verdict: &Verdict) -> RefVerdict {
    match verdict {
        Verdict::Done { .. } => RefVerdict::Applied,
        Verdict::Refused(CatalogError::RefMoved { .. } | CatalogError::AtomicAborted) => {
            RefVerdict::Moved
        }
        Verdict::Refused(error) => RefVerdict::Rejected(error.to_string()),
    }
}

fn is_refusal(error: &CallError) -> bool {
    matches!(error, CallError::Refused(_))
}

/// Whether the command may have been done, or may be yet.
fn is_unknown(error: &CallError) -> bool {
    match error {
        CallError::Refused(_) | CallError::Encoding(_) => false,
        CallError::Asking(AskError::Unknown(_)) | CallError::Other => true,
        CallError::Asking(_) => false,
    }
}

fn failed(error: CallError) -> CatalogOutcome {
    match error {
        error if is_unknown(&error) => unknown(error.to_string()),
        error => CatalogOutcome::NotDone { error: error.to_string() },
    }
}

fn unknown(error: String) -> CatalogOutcome {
    CatalogOutcome::Unknown { error }
}
