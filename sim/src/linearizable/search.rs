//! Search for a linearization, after Wing and Gong, with Lowe's improvements.
//!
//! The search walks along the responses. At each one its operation has to have taken effect: if it
//! has not, operations that are open then are placed one after another until it is
//! (*just-in-time linearization*: nothing is placed before a response forces it). If none helps the
//! search goes back to the last response where there was another choice, and remembers what failed.
//!
//! Four rules keep it small; each leaves at least one order to be found if there is any.
//!
//! 1. *Observers are placed as soon as their answer fits.* A read or a refused update changes
//!    nothing, so whatever can follow without it can follow with it.
//! 2. *Partial-order reduction.* What has no ref in common with the operation to be placed, nor
//!    with any that may have to precede it, can as well be placed later.
//! 3. *Operations of unknown outcome are used only for somebody who sees them*: one that is open
//!    and lacks what they write, directly or by way of others of unknown outcome. Those of several
//!    refs are also tried when one of their refs is about to be replaced. In any case, somebody who
//!    is not answered yet needs a value that they write, or needs one that they replace to be gone.
//! 4. *Look-ahead.* If an open operation lacks a value that nothing left to be placed before its
//!    response writes, there is nothing to try, even if that response is far away.
//!
//! The third rule is first taken more strictly than is right (see [`Effort::Quick`]), since almost
//! every order that there is can be found so. Only if none is, the search is made again, thoroughly.
//!
//! The search is exponential in the worst case, as the problem is NP-complete. It counts its steps
//! and stops at a bound without an answer.

use super::dependence::{Effort, Lack, conflict, lacks, observes, replaces_part, supplies};
use super::failed::{Configuration, Failed};
use super::model::{ABSENT, Call, Change, Kind, Repository, State};
use super::schedule::{Schedule, Unknown};

/// What a search found. Calls are named by their place in [`Repository::calls`].
pub(super) enum Found {
    /// An order of all calls that had been answered, and of others that they need.
    Order(Vec<usize>),
    /// There is none.
    None,
    /// There were more steps to take than allowed.
    Unfinished,
}

/// What a search found, and what it took.
pub(super) struct Searched {
    pub found: Found,
    /// How many operations were placed, those taken back included.
    pub steps: u64,
    /// How many responses were behind when most were.
    pub reached: usize,
}

/// A repository with its schedules.
pub(super) struct Problem<'a> {
    pub repository: &'a Repository,
    quick: Schedule,
    thorough: Schedule,
}

impl<'a> Problem<'a> {
    pub fn new(repository: &'a Repository) -> Self {
        let quick = Schedule::of(repository, Effort::Quick);
        let thorough = Schedule::of(repository, Effort::Thorough);
        Problem { repository, quick, thorough }
    }

    /// All that matters of real time.
    pub fn schedule(&self) -> &Schedule {
        &self.thorough
    }

    /// Searches an order of the beginning of a history, which ends after so many responses: first
    /// quickly, with a quarter of the steps, then thoroughly.
    pub fn search(&self, responses: usize, steps_max: u64) -> Searched {
        let quick = self.search_with(Effort::Quick, responses, steps_max / 4);
        if let Found::Order(_) = quick.found {
            return quick;
        }
        let left = steps_max.saturating_sub(quick.steps);
        let thorough = self.search_with(Effort::Thorough, responses, left);
        Searched {
            found: thorough.found,
            steps: quick.steps + thorough.steps,
            reached: quick.reached.max(thorough.reached),
        }
    }

    /// The same with one effort. Where it is quick, that there is no order proves nothing.
    pub fn search_with(&self, effort: Effort, responses: usize, steps_max: u64) -> Searched {
        let schedule = match effort {
            Effort::Quick => &self.quick,
            Effort::Thorough => &self.thorough,
        };
        let mut search = Search::new(self.repository, schedule, responses, steps_max);
        let found = search.run();
        Searched { found, steps: search.steps, reached: search.reached }
    }
}

/// A search under way.
struct Search<'a> {
    repository: &'a Repository,
    schedule: &'a Schedule,
    state: State,
    is_placed: Vec<bool>,
    /// What was placed, with how each changed the state.
    placed: Vec<(usize, Vec<Change>)>,
    choices: Vec<Choice>,
    failed: Failed,
    /// How many responses there are. Calls whose responses come later may be placed or not.
    responses: usize,
    /// How many responses were behind when most were.
    reached: usize,
    /// How many operations were placed, those taken back included.
    steps: u64,
    steps_max: u64,
}

/// A response whose operation is not placed yet, and what is still to be tried there.
struct Choice {
    position: usize,
    /// How many calls had been placed.
    placed: usize,
    next: Next,
}

/// What is to be tried next at a choice.
enum Next {
    /// The operation itself.
    Itself,
    /// What may have to precede it; not listed yet, as it is seldom needed.
    Predecessors,
    /// The rest of the list.
    Listed(std::vec::IntoIter<usize>),
}

impl<'a> Search<'a> {
    /// A search of the beginning of a history, which ends after so many responses.
    fn new(
        repository: &'a Repository,
        schedule: &'a Schedule,
        responses: usize,
        steps_max: u64,
    ) -> Self {
        Search {
            repository,
            schedule,
            state: repository.initial(),
            is_placed: vec![false; repository.calls.len()],
            placed: Vec::new(),
            choices: Vec::new(),
            failed: Failed::default(),
            responses,
            reached: 0,
            steps: 0,
            steps_max,
        }
    }

    /// Searches until there is an order, or there is none, or the bound is met.
    fn run(&mut self) -> Found {
        let Some(position) = self.advance(0) else { return Found::Order(self.order()) };
        self.choose_at(position);
        while let Some(choice) = self.choices.last() {
            let position = choice.position;
            self.take_back_to(choice.placed);
            let Some(call) = self.next_to_try() else {
                self.choices.pop();
                self.failed.insert(self.configuration(position));
                continue;
            };
            if self.steps >= self.steps_max {
                return Found::Unfinished;
            }
            self.place(call);
            let Some(position) = self.advance(position) else { return Found::Order(self.order()) };
            self.choose_at(position);
        }
        Found::None
    }

    /// Makes a choice of what to place at a response, unless it is known that nothing will do.
    fn choose_at(&mut self, position: usize) {
        self.reached = self.reached.max(position);
        let is_known =
            || self.failed.any_at(position) && self.failed.covers(self.configuration(position));
        if !self.is_hopeless(position) && !is_known() {
            self.choices.push(Choice { position, placed: self.placed.len(), next: Next::Itself });
        }
    }

    /// Whether an open call lacks what nothing will supply.
    fn is_hopeless(&self, position: usize) -> bool {
        let last = self.schedule.responses[self.responses - 1].at;
        let nothing = self.repository.initial();
        self.schedule.responses[position].open.iter().any(|&call| {
            let Call { responded, kind, .. } = &self.repository.calls[call];
            let Some(until) = responded.filter(|at| *at <= last) else { return false };
            if self.is_placed[call] || kind.fits(&self.state) {
                return false;
            }
            let is_supplied = |lack: Lack| self.has_supplier(lack, until);
            // A deletion makes refs absent, and takes all the others away too.
            let can_be_rebuilt =
                || is_supplied(Lack::Absence) && lacks(kind, &nothing).into_iter().all(is_supplied);
            let is_helped_by_deletion =
                |lack: Lack| matches!(lack, Lack::Value { value: ABSENT, .. });
            lacks(kind, &self.state)
                .into_iter()
                .any(|lack| !(is_supplied(lack) || is_helped_by_deletion(lack) && can_be_rebuilt()))
        })
    }

    /// Whether anything that is left and was invoked by then brings about what is lacking.
    fn has_supplier(&self, lack: Lack, until: u64) -> bool {
        let calls = &self.repository.calls;
        let mut suppliers = self.schedule.suppliers(lack).iter();
        suppliers.any(|&call| !self.is_placed[call] && calls[call].invoked < until)
    }

    fn order(&self) -> Vec<usize> {
        self.placed.iter().map(|(call, _)| *call).collect()
    }

    fn kind(&self, call: usize) -> &'a Kind {
        &self.repository.calls[call].kind
    }

    fn place(&mut self, call: usize) {
        let kind = self.kind(call);
        debug_assert!(!self.is_placed[call] && kind.fits(&self.state));
        self.is_placed[call] = true;
        self.placed.push((call, self.state.apply(kind)));
        self.steps += 1;
    }

    fn take_back_to(&mut self, length: usize) {
        for (call, changes) in self.placed.drain(length..).rev() {
            self.is_placed[call] = false;
            changes.into_iter().rev().for_each(|change| self.state.undo(change));
        }
    }

    /// Places the observers whose answers fit, and goes on to the next response whose operation is
    /// not placed. There is none when all are.
    fn advance(&mut self, mut position: usize) -> Option<usize> {
        let schedule = self.schedule;
        while let Some(response) = schedule.responses[..self.responses].get(position) {
            for &call in &response.open {
                let kind = self.kind(call);
                if !self.is_placed[call] && kind.only_observes() && kind.fits(&self.state) {
                    self.place(call);
                }
            }
            if !self.is_placed[response.call] {
                return Some(position);
            }
            position += 1;
        }
        None
    }

    /// The next call to be tried at the last choice: the operation itself if it fits, then what
    /// may have to precede it.
    fn next_to_try(&mut self) -> Option<usize> {
        let choice = self.choices.last_mut()?;
        let position = choice.position;
        if let Next::Itself = choice.next {
            choice.next = Next::Predecessors;
            let call = self.schedule.responses[position].call;
            if self.kind(call).fits(&self.state) {
                return Some(call);
            }
        }
        if let Next::Predecessors = self.choices.last()?.next {
            let listed = self.predecessors(position).into_iter();
            self.choices.last_mut()?.next = Next::Listed(listed);
        }
        match &mut self.choices.last_mut()?.next {
            Next::Listed(calls) => calls.next(),
            Next::Itself | Next::Predecessors => None,
        }
    }

    /// Calls that may have to precede the operation of a response and can be placed now, those
    /// first that write what it lacks.
    fn predecessors(&self, position: usize) -> Vec<usize> {
        let response = &self.schedule.responses[position];
        let open: Vec<usize> =
            response.open.iter().copied().filter(|&call| !self.is_placed[call]).collect();
        let unknown: Vec<&Unknown> = self
            .schedule
            .unknown
            .iter()
            .take_while(|it| it.invoked < response.at)
            .filter(|it| it.seen_until >= response.at && !self.is_placed[it.call])
            .collect();

        let lacks = lacks(self.kind(response.call), &self.state);
        let supplies_any = |call: usize, lacks: &[Lack]| {
            call != response.call && lacks.iter().any(|lack| supplies(self.kind(call), *lack))
        };
        let is_useful = |call: usize| match unknown.iter().find(|it| it.call == call) {
            Some(it) => {
                it.twin.is_none_or(|twin| self.is_placed[twin])
                    && self.schedule.is_of_use(it, self.kind(call), &self.state, response.at)
            }
            None => call != response.call && self.kind(call).fits(&self.state),
        };
        let mut calls = self.involved(response.call, &open, &unknown);
        calls.retain(|&call| is_useful(call));
        calls.sort_by_key(|&call| !supplies_any(call, &lacks));
        calls
    }

    /// The operation to be placed and all that may have to precede it, directly or by way of
    /// others.
    fn involved(&self, call: usize, open: &[usize], unknown: &[&Unknown]) -> Vec<usize> {
        let effort = self.schedule.effort;
        let mut involved = vec![call];
        let mut rest: Vec<usize> = open.iter().copied().filter(|&other| other != call).collect();
        rest.extend(unknown.iter().map(|it| it.call));
        let mut visited = 0;
        while let Some(&member) = involved.get(visited) {
            visited += 1;
            let member = self.kind(member);
            let (more, others) = rest.into_iter().partition(|&other| {
                let other = self.kind(other);
                conflict(member, other)
                    && (!other.is_unknown()
                        || observes(member, other, effort)
                        || effort == Effort::Thorough && replaces_part(member, other))
            });
            rest = others;
            involved.extend::<Vec<usize>>(more);
        }
        involved
    }

    fn configuration(&self, position: usize) -> Configuration {
        let response = &self.schedule.responses[position];
        let open = response.open.iter().copied().filter(|&call| self.is_placed[call]);
        let (mut observers, mut writers): (Vec<_>, Vec<_>) =
            open.partition(|&call| self.kind(call).only_observes());
        observers.sort_unstable();
        writers.sort_unstable();
        let unknown = self.schedule.unknown.iter();
        let unknown = unknown.filter(|it| it.seen_until >= response.at && self.is_placed[it.call]);
        Configuration {
            position,
            state: self.state.clone(),
            writers,
            observers,
            unknown: unknown.map(|it| it.call).collect(),
        }
    }
}
