//! One Git client: pushes, clones and fetches, one request after another, through nodes that it
//! draws.
//!
//! Before each push it asks for the refs, and what it was told is what its updates expect: of
//! clients that push to the same branch at a time all but one are refused.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use gitstratum_core::object::ObjectId;
use gitstratum_host::Net;
use rand::Rng;
use rand_chacha::ChaCha12Rng;
use tokio::time::{Instant, sleep, timeout};

use super::super::streams::{draw_duration, stream};
use super::histories::Histories;
use super::http::Stay;
use super::object::Made;
use super::pack::{self, Objects};
use super::remote::{Failure, Refs, Remote};
use crate::scenario::GitPlan;
use crate::trace::{Delivery, Event, GitCall, GitOutcome, GitUpdate, Recorder, Service};

/// Numbers of one client's requests.
const CALLS_MAX: u64 = 1_000_000;
/// How long a client stays at most that does not wait for its answer.
const UNHEARD_MAX: Duration = Duration::from_millis(80);
/// Commits that a shallow clone asks for at most.
const DEPTH_MAX: u32 = 3;
/// Tags of a repository.
const TAGS: u32 = 20;
/// Of these names one is a directory of the other.
const NESTED: [&str; 2] = ["refs/heads/topic", "refs/heads/topic/part"];
/// The branch that HEAD points to.
const MAIN: &str = "refs/heads/main";
/// Between two attempts at a clone that has to succeed.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Another way to update refs than by a push: a gateway of the testbed's own, which is broken.
#[async_trait]
pub trait SideDoor: Send + Sync {
    /// Updates refs of a repository.
    async fn update(&mut self, repository: &str, atomic: bool, updates: &[GitUpdate])
    -> GitOutcome;
}

/// One Git client.
pub struct GitWorker {
    machine: String,
    net: Net,
    plan: GitPlan,
    histories: Histories,
    recorder: Recorder,
    /// Who is asked, as `HOST:PORT` by name.
    nodes: Vec<(String, String)>,
    /// Where pushes go whose objects are not all there.
    side_door: Option<Box<dyn SideDoor>>,
    choices: ChaCha12Rng,
    contents: ChaCha12Rng,
    pauses: ChaCha12Rng,
    /// Its clones.
    clones: BTreeMap<String, LocalClone>,
    calls: u64,
}

/// A clone of a repository.
#[derive(Default)]
struct LocalClone {
    objects: Objects,
    /// Commits that it has with all that they reach.
    tips: Vec<ObjectId>,
}

/// A push that was drawn.
struct Drawn {
    atomic: bool,
    updates: Vec<GitUpdate>,
    objects: Vec<Made>,
}

/// What a client of a run is given.
pub struct Outfit {
    /// The run's seed.
    pub seed: u64,
    /// What it does.
    pub plan: GitPlan,
    /// What all clients made.
    pub histories: Histories,
    /// Where it says what it does.
    pub recorder: Recorder,
    /// The nodes by name, each with its `HOST:PORT`.
    pub nodes: Vec<(String, String)>,
}

impl GitWorker {
    /// Client `number`, on a machine of this name.
    pub fn new(
        (number, machine): (u64, &str),
        net: Net,
        side_door: Option<Box<dyn SideDoor>>,
        outfit: Outfit,
    ) -> Self {
        let Outfit { seed, plan, histories, recorder, nodes } = outfit;
        let stream = |purpose: &str| stream(seed, &format!("{purpose}/{machine}"));
        GitWorker {
            machine: machine.to_owned(),
            net,
            plan,
            histories,
            recorder,
            nodes,
            side_door,
            choices: stream("git-choices"),
            contents: stream("git-contents"),
            pauses: stream("git-pauses"),
            clones: BTreeMap::new(),
            calls: number * CALLS_MAX,
        }
    }

    /// Pushes and fetches, with pauses, until `end`.
    pub async fn run_until(&mut self, end: Instant) {
        loop {
            let pause = draw_duration(&mut self.pauses, &self.plan.pace);
            // The simulated clock has no finer sleep.
            sleep(pause.max(Duration::from_millis(1))).await;
            if Instant::now() >= end {
                return;
            }
            let place = self.draw_place();
            if self.choices.random_bool(self.plan.push_share) {
                self.push(&place, true).await;
            } else {
                self.fetch(&place).await;
            }
        }
    }

    /// So many pushes as they should be, one after another.
    pub async fn push_many(&mut self, count: usize) {
        for _ in 0..count {
            let place = self.draw_place();
            self.push(&place, false).await;
        }
    }

    /// Clones every repository through every node; each again and again until it succeeds, or
    /// `within` is over.
    pub async fn clone_all(&mut self, within: Duration) {
        let end = Instant::now() + within;
        for repository in self.plan.repository_names() {
            for node in 0..self.nodes.len() {
                let place = Place { repository: repository.clone(), node };
                while !self.clone_whole(&place).await && Instant::now() < end {
                    sleep(AGAIN_AFTER).await;
                }
            }
        }
    }

    fn draw_place(&mut self) -> Place {
        let names = self.plan.repository_names();
        let repository = names[self.choices.random_range(0..names.len())].clone();
        Place { repository, node: self.choices.random_range(0..self.nodes.len()) }
    }

    async fn push(&mut self, place: &Place, may_err: bool) {
        let Some(refs) = self.refs(place, Service::Push).await else { return };
        let Drawn { atomic, updates, mut objects } = self.draw_push(&refs, may_err);
        let traced = objects.iter().map(Made::traced).collect();
        self.recorder.record(&self.machine, Event::GitMade { objects: traced });
        let delivery = match () {
            () if !may_err => Delivery::Whole,
            () if objects.len() > 1 && self.choices.random_bool(self.plan.incomplete_share) => {
                Delivery::Incomplete
            }
            () if self.choices.random_bool(self.plan.vanish_share) => {
                if self.choices.random_bool(0.5) { Delivery::CutOff } else { Delivery::Unheard }
            }
            () => Delivery::Whole,
        };
        if delivery == Delivery::Incomplete {
            objects.pop();
        }
        let ids = objects.iter().map(|made| made.id.to_string()).collect();
        let call = GitCall::Push { atomic, updates: updates.clone(), objects: ids, delivery };
        let op = self.begin(place, call);
        if let Some(side_door) = &mut self.side_door
            && delivery == Delivery::Incomplete
        {
            let outcome = side_door.update(&place.repository, atomic, &updates).await;
            return self.end(op, outcome);
        }
        let pack = updates.iter().any(|it| it.new.is_some()).then(|| pack::write(objects.iter()));
        let stay = match delivery {
            Delivery::Whole | Delivery::Incomplete => Stay::Answered,
            Delivery::CutOff => Stay::Sent(self.choices.random_range(0..100)),
            Delivery::Unheard => {
                let range = Duration::ZERO..=UNHEARD_MAX;
                Stay::Waited(draw_duration(&mut self.choices, &range))
            }
        };
        let remote = self.remote(place);
        let pushed = remote.push((atomic, &updates), pack.as_deref(), stay);
        let outcome = match timeout(*self.plan.answer_within, pushed).await {
            Ok(Ok(verdicts)) => GitOutcome::Pushed { verdicts },
            Ok(Err(failure)) => failure.into(),
            Err(_) => GitOutcome::TimedOut,
        };
        self.end(op, outcome);
    }

    /// A push on top of what refs are; an ordinary one unless it may be of any kind.
    fn draw_push(&mut self, refs: &Refs, of_any_kind: bool) -> Drawn {
        let plan = &self.plan;
        let shares = [
            plan.merge_share,
            plan.tag_share,
            plan.force_share,
            plan.delete_share,
            plan.atomic_share,
            plan.nested_share,
        ];
        let mut drawn: f64 = self.choices.random();
        let kind = shares.iter().position(|share| {
            drawn -= share;
            drawn < 0.0
        });
        let branches: Vec<String> = (1..=plan.branches)
            .map(
                |number| {
                    if number == 1 { MAIN.to_owned() } else { format!("refs/heads/b{number}") }
                },
            )
            .collect();
        let first = self.choices.random_range(0..branches.len());
        let second = (first + self.choices.random_range(1..branches.len())) % branches.len();
        let (branch, other) = (&branches[first], &branches[second]);
        let is_large = of_any_kind && self.choices.random_bool(self.plan.large_share);
        let tip = refs.get(branch).copied();
        match (kind.filter(|_| of_any_kind), tip, refs.get(other).copied()) {
            (Some(0), Some(ours), Some(theirs)) if ours != theirs => {
                self.commit(refs, &[branch], &[ours, theirs], is_large)
            }
            (Some(1), Some(target), _) => {
                let short = format!("v{}", self.choices.random_range(0..TAGS));
                let tag = self.histories.tag(target, &short, &mut self.contents);
                let update = update(refs, &format!("refs/tags/{short}"), Some(tag.id));
                Drawn { atomic: false, updates: vec![update], objects: vec![tag] }
            }
            (Some(2), Some(dropped), _) => {
                let kept = self.histories.parent(&dropped);
                self.commit(refs, &[branch], kept.as_slice(), is_large)
            }
            (Some(3), Some(_), _) if branch != MAIN => {
                let updates = vec![update(refs, branch, None)];
                Drawn { atomic: false, updates, objects: Vec::new() }
            }
            (Some(4), _, _) => {
                let base = base(refs, branch);
                let mut drawn = self.commit(refs, &[branch, other], base.as_slice(), is_large);
                drawn.atomic = true;
                drawn
            }
            (Some(5), _, _) => {
                let name = NESTED[self.choices.random_range(0..NESTED.len())];
                if refs.contains_key(name) && self.choices.random_bool(0.5) {
                    let updates = vec![update(refs, name, None)];
                    return Drawn { atomic: false, updates, objects: Vec::new() };
                }
                let base = base(refs, name);
                self.commit(refs, &[name], base.as_slice(), is_large)
            }
            _ => {
                let base = base(refs, branch);
                self.commit(refs, &[branch], base.as_slice(), is_large)
            }
        }
    }

    /// A push of a new commit on top of these, as the new value of some refs.
    fn commit(&mut self, refs: &Refs, names: &[&str], parents: &[ObjectId], large: bool) -> Drawn {
        let (tip, objects) = self.histories.commit(parents, large, &mut self.contents);
        let updates = names.iter().map(|name| update(refs, name, Some(tip))).collect();
        Drawn { atomic: false, updates, objects }
    }

    async fn fetch(&mut self, place: &Place) {
        let Some(refs) = self.refs(place, Service::Fetch).await else { return };
        let goes_on = self.choices.random_bool(self.plan.fetch_share);
        let is_shallow = !goes_on && self.choices.random_bool(self.plan.shallow_share);
        let depth = is_shallow.then(|| self.choices.random_range(1..=DEPTH_MAX));
        let held = match goes_on {
            true => self.clones.remove(&place.repository).unwrap_or_default(),
            false => LocalClone::default(),
        };
        let (held, _) = self.bring(place, &refs, held, depth).await;
        if depth.is_none() && !held.tips.is_empty() {
            self.clones.insert(place.repository.clone(), held);
        }
    }

    /// Whether there is no such repository, or a clone of it.
    async fn clone_whole(&mut self, place: &Place) -> bool {
        let op = self.begin(place, GitCall::Refs { service: Service::Fetch });
        match self.refs_of(place, Service::Fetch, op).await {
            Ok(refs) => self.bring(place, &refs, LocalClone::default(), None).await.1,
            Err(failure) => failure == Failure::NoRepository,
        }
    }

    /// Fetches what a clone lacks of these; gives what it has then, and whether all is there.
    async fn bring(
        &mut self,
        place: &Place,
        refs: &Refs,
        mut held: LocalClone,
        depth: Option<u32>,
    ) -> (LocalClone, bool) {
        let wants: BTreeSet<ObjectId> =
            refs.values().filter(|id| !held.objects.contains_key(id)).copied().collect();
        let wants: Vec<ObjectId> = wants.into_iter().collect();
        if wants.is_empty() {
            return (held, true);
        }
        let texts = |ids: &[ObjectId]| ids.iter().map(ToString::to_string).collect();
        let call = GitCall::Fetch { wants: texts(&wants), haves: texts(&held.tips), depth };
        let op = self.begin(place, call);
        let remote = self.remote(place);
        let fetched = remote.fetch(&wants, &held.tips, depth, &held.objects);
        let fetched = timeout(*self.plan.answer_within, fetched).await;
        let (outcome, is_whole) = match fetched {
            Ok(Ok((objects, shallow))) => {
                let ids: Vec<ObjectId> = objects.keys().copied().collect();
                held.objects.extend(objects);
                let commits = refs.values().filter(|id| self.histories.is_commit(id));
                held.tips = commits.copied().collect::<BTreeSet<_>>().into_iter().collect();
                (GitOutcome::Fetched { objects: texts(&ids), shallow: texts(&shallow) }, true)
            }
            Ok(Err(failure)) => (failure.into(), false),
            Err(_) => (GitOutcome::TimedOut, false),
        };
        self.end(op, outcome);
        (held, is_whole)
    }

    /// Asks for all refs; records what came.
    async fn refs(&mut self, place: &Place, service: Service) -> Option<Refs> {
        let op = self.begin(place, GitCall::Refs { service });
        self.refs_of(place, service, op).await.ok()
    }

    async fn refs_of(&self, place: &Place, service: Service, op: u64) -> Result<Refs, Failure> {
        let remote = self.remote(place);
        let asked = async {
            match service {
                Service::Push => remote.refs_to_push().await,
                Service::Fetch => remote.refs_to_fetch().await,
            }
        };
        let Ok(asked) = timeout(*self.plan.answer_within, asked).await else {
            self.end(op, GitOutcome::TimedOut);
            return Err(Failure::Unknown("timed out".to_owned()));
        };
        match asked {
            Ok(refs) => {
                let texts = refs.iter().map(|(name, id)| (name.clone(), id.to_string()));
                self.end(op, GitOutcome::Refs { refs: texts.collect() });
                Ok(refs)
            }
            Err(failure) => {
                self.end(op, GitOutcome::from(&failure));
                Err(failure)
            }
        }
    }

    fn remote<'a>(&'a self, place: &'a Place) -> Remote<'a> {
        let authority = self.nodes[place.node].1.clone();
        Remote { net: &self.net, authority, repository: &place.repository }
    }

    fn begin(&mut self, place: &Place, call: GitCall) -> u64 {
        self.calls += 1;
        let (op, repository) = (self.calls, place.repository.clone());
        let node = self.nodes[place.node].0.clone();
        self.recorder.record(&self.machine, Event::GitAsked { op, node, repository, call });
        op
    }

    fn end(&self, op: u64, outcome: GitOutcome) {
        self.recorder.record(&self.machine, Event::GitAnswered { op, outcome });
    }
}

/// Where a request goes.
struct Place {
    repository: String,
    /// The place of a node among those that are asked.
    node: usize,
}

/// What a branch is built on: itself, or else the main branch, if there is one.
fn base(refs: &Refs, branch: &str) -> Option<ObjectId> {
    refs.get(branch).or_else(|| refs.get(MAIN)).copied()
}

fn update(refs: &Refs, name: &str, new: Option<ObjectId>) -> GitUpdate {
    let old = refs.get(name).map(ToString::to_string);
    GitUpdate { name: name.to_owned(), old, new: new.map(|id| id.to_string()) }
}

impl From<Failure> for GitOutcome {
    fn from(failure: Failure) -> Self {
        GitOutcome::from(&failure)
    }
}

impl From<&Failure> for GitOutcome {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::NoRepository => GitOutcome::NoRepository,
            Failure::NotDone(error) => GitOutcome::NotDone { error: error.clone() },
            Failure::Unknown(error) => GitOutcome::Unknown { error: error.clone() },
            Failure::Damaged(error) => GitOutcome::Damaged { error: error.clone() },
        }
    }
}
