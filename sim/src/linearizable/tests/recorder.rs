//! Recorded histories: random clients of a register that is right.
//!
//! Each operation takes effect in one instant between its invocation and its response, so what is
//! recorded is linearizable by construction. One of unknown outcome takes effect at any time after
//! its invocation, or never.

use std::collections::BTreeMap;

use super::register::Register;
use crate::linearizable::{
    Action, Answer, Expected, History, Moment, Operation, RefUpdate, Verdict,
};

/// Pseudo-random numbers (SplitMix64), the same for the same seed.
pub(super) struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    pub fn in_hundred(&mut self, share: usize) -> bool {
        self.below(100) < share
    }
}

/// What clients do. Shares are of a hundred.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub clients: usize,
    pub repositories: usize,
    pub refs: usize,
    /// How many values there are; nothing where each update has one of its own.
    pub values: Option<usize>,
    pub operations: usize,
    pub reads: usize,
    /// Creations and deletions, beside a creation of each repository at first.
    pub lifecycle: usize,
    /// Updates that expect nothing of their ref.
    pub blind: usize,
    /// Updates of several refs, half of them atomic.
    pub several: usize,
    pub unknown: usize,
    pub not_done: usize,
}

impl Shape {
    /// A few operations on two refs of one repository with few values, full of doubt.
    pub const SMALL: Shape = Shape {
        clients: 3,
        repositories: 1,
        refs: 2,
        values: Some(2),
        operations: 6,
        reads: 35,
        lifecycle: 10,
        blind: 40,
        several: 40,
        unknown: 25,
        not_done: 5,
    };

    /// What the figures are about.
    pub const LARGE: Shape = Shape {
        clients: 16,
        repositories: 8,
        refs: 20,
        values: None,
        operations: 10_000,
        reads: 40,
        lifecycle: 1,
        blind: 20,
        several: 20,
        unknown: 5,
        not_done: 2,
    };
}

/// What a client is doing.
enum Phase {
    Idle,
    Invoked(usize),
    Effective(usize),
}

struct Recorder {
    shape: Shape,
    random: Random,
    register: Register,
    operations: Vec<Operation>,
    sequence: u64,
    /// Answered as unknown, and still to take effect.
    late: Vec<usize>,
}

/// The history of a run.
pub(super) fn record(shape: Shape, seed: u64) -> History {
    let mut recorder = Recorder {
        shape,
        random: Random(seed),
        register: Register::default(),
        operations: Vec::new(),
        sequence: 0,
        late: Vec::new(),
    };
    for repository in 0..shape.repositories {
        let create = Action::Create { answer: Answer::Unknown };
        let index = recorder.invoke(u64::MAX, format!("r{repository}"), create);
        recorder.take_effect(index);
        recorder.respond(index);
    }
    let mut phases: Vec<Phase> = (0..shape.clients).map(|_| Phase::Idle).collect();
    while recorder.operations.len() < shape.operations
        || phases.iter().any(|phase| !matches!(phase, Phase::Idle))
    {
        let client = recorder.random.below(shape.clients);
        phases[client] = recorder.step(client, &phases[client]);
    }
    History::new(recorder.operations).expect("what was recorded is a history")
}

impl Recorder {
    fn step(&mut self, client: usize, phase: &Phase) -> Phase {
        if !self.late.is_empty() && self.random.in_hundred(30) {
            let chosen = self.random.below(self.late.len());
            let index = self.late.swap_remove(chosen);
            let Operation { repository, action, .. } = &self.operations[index];
            self.register.carry_out(repository, action);
        }
        match *phase {
            Phase::Idle if self.operations.len() >= self.shape.operations => Phase::Idle,
            Phase::Idle => {
                let repository = format!("r{}", self.random.below(self.shape.repositories));
                let action = self.action(&repository);
                Phase::Invoked(self.invoke(client as u64, repository, action))
            }
            Phase::Invoked(index)
                if matches!(self.operations[index].action, Action::Read { .. }) =>
            {
                self.take_effect(index);
                Phase::Effective(index)
            }
            Phase::Invoked(index) if self.random.in_hundred(self.shape.not_done) => {
                set_answer(&mut self.operations[index].action, Answer::NotDone, Answer::NotDone);
                Phase::Effective(index)
            }
            Phase::Invoked(index) if self.random.in_hundred(self.shape.unknown) => {
                if self.random.in_hundred(60) {
                    self.late.push(index);
                }
                Phase::Effective(index)
            }
            Phase::Invoked(index) => {
                self.take_effect(index);
                Phase::Effective(index)
            }
            Phase::Effective(index) => {
                self.respond(index);
                Phase::Idle
            }
        }
    }

    fn moment(&mut self) -> Moment {
        self.sequence += 1;
        Moment { sequence: self.sequence, at_ns: self.sequence * 1_000_000 }
    }

    fn invoke(&mut self, client: u64, repository: String, action: Action) -> usize {
        let invoked = self.moment();
        self.operations.push(Operation { client, repository, invoked, responded: None, action });
        self.operations.len() - 1
    }

    fn take_effect(&mut self, index: usize) {
        let Operation { repository, action, .. } = &mut self.operations[index];
        *action = self.register.carry_out(repository, action);
    }

    fn respond(&mut self, index: usize) {
        self.operations[index].responded = Some(self.moment());
    }

    fn action(&mut self, repository: &str) -> Action {
        let Shape { reads, lifecycle, .. } = self.shape;
        match self.random.below(100) {
            percent if percent < reads => Action::Read { refs: None },
            percent if percent < reads + lifecycle => {
                // Mostly creations, so that there mostly is a repository.
                match self.random.below(3) {
                    0 => Action::Delete { answer: Answer::Unknown },
                    _ => Action::Create { answer: Answer::Unknown },
                }
            }
            _ => self.update(repository),
        }
    }

    fn update(&mut self, repository: &str) -> Action {
        let several = self.random.in_hundred(self.shape.several);
        let count = if several { 2.min(self.shape.refs) } else { 1 };
        let first = self.random.below(self.shape.refs);
        let actual = self.register.repositories.get(repository).cloned().unwrap_or_default();
        let updates = (0..count).map(|at| {
            let name = format!("b{}", (first + at) % self.shape.refs);
            let expected = match actual.get(&name) {
                _ if self.random.in_hundred(self.shape.blind) => Expected::Any,
                _ if self.random.in_hundred(10) => Expected::Value(self.value()),
                None => Expected::Absent,
                Some(value) => Expected::Value(*value),
            };
            let new = (!self.random.in_hundred(10)).then(|| self.value());
            RefUpdate { name, expected, new }
        });
        let updates = updates.collect();
        let atomic = several && self.random.in_hundred(50);
        Action::Update { atomic, updates, answer: Answer::Unknown }
    }

    fn value(&mut self) -> u64 {
        match self.shape.values {
            Some(values) => self.random.below(values) as u64 + 1,
            None => self.sequence * 10 + self.random.below(10) as u64,
        }
    }
}

fn set_answer(action: &mut Action, update: Answer<Vec<Verdict>>, other: Answer<bool>) {
    match action {
        Action::Update { answer, .. } => *answer = update,
        Action::Create { answer } | Action::Delete { answer } => *answer = other,
        Action::Read { .. } => {}
    }
}

/// A history with one thing in it changed: an answer, or when it came.
pub(super) fn with_one_change(history: &History, random: &mut Random) -> History {
    let mut operations = history.operations().to_vec();
    let chosen = random.below(operations.len());
    let operation = &mut operations[chosen];
    match &mut operation.action {
        _ if random.in_hundred(20) => {
            // Answered as soon as asked, in the time between two events.
            operations.iter_mut().for_each(|it| {
                it.invoked.sequence *= 2;
                it.responded.iter_mut().for_each(|moment| moment.sequence *= 2);
            });
            let operation = &mut operations[chosen];
            let soon = operation.invoked.sequence + 1;
            operation.responded.iter_mut().for_each(|moment| moment.sequence = soon);
        }
        Action::Read { refs } => change_read(refs, random),
        Action::Update { answer: Answer::Known(verdicts), atomic, .. } => {
            let turned = |verdict: &Verdict| match verdict {
                Verdict::Applied => Verdict::Refused,
                _ => Verdict::Applied,
            };
            if *atomic {
                verdicts.iter_mut().for_each(|verdict| *verdict = turned(verdict));
            } else {
                let at = random.below(verdicts.len());
                verdicts[at] = turned(&verdicts[at]);
            }
        }
        Action::Create { answer } | Action::Delete { answer } if operation.responded.is_some() => {
            *answer = match answer {
                Answer::Known(known) => Answer::Known(!*known),
                _ => Answer::Known(random.in_hundred(50)),
            };
        }
        Action::Update { answer, .. } if operation.responded.is_some() => {
            *answer = match answer {
                Answer::NotDone => Answer::Unknown,
                _ => Answer::NotDone,
            };
        }
        _ => {}
    }
    History::new(operations).expect("it is still a history")
}

fn change_read(refs: &mut Option<BTreeMap<String, u64>>, random: &mut Random) {
    match refs {
        Some(read) if random.in_hundred(80) => {
            let name = format!("b{}", random.below(2));
            match read.get(&name) {
                Some(_) if random.in_hundred(50) => drop(read.remove(&name)),
                Some(value) => drop(read.insert(name, value % 2 + 1)),
                None => drop(read.insert(name, random.below(2) as u64 + 1)),
            }
        }
        Some(_) => *refs = None,
        None => *refs = Some(BTreeMap::new()),
    }
}
