//! Operation history.
//!
//! A trace put in order for the checkers: calls with their answers, and which node could
//! be reached from which client when.
//!
//! Reachability is judged from the faults alone, never from how the nodes behaved: that
//! is what makes it a standard to hold them to.

use std::collections::{BTreeMap, BTreeSet};

use crate::trace::{Call, Event, Outcome, Record, Setting, Wanted};

/// One call and its answer.
#[derive(Clone, Debug)]
pub struct Operation<'a> {
    /// Who called.
    pub client: &'a str,
    /// Which call.
    pub call: Call,
    /// When it began.
    pub began_us: u64,
    /// When it returned; `None` when it had not by the end.
    pub ended_us: Option<u64>,
    /// Its objects.
    pub objects: &'a [Wanted],
    /// One for each object once it returned.
    pub outcomes: &'a [Outcome],
    /// Its objects by the layouts that the client went by when it returned, if these are others
    /// than when it began.
    pub moved: &'a [Wanted],
}

impl<'a> Operation<'a> {
    /// An object by the layouts that the client went by when the call returned, if these are
    /// others than when it began.
    pub fn moved(&self, object: &Wanted) -> Option<&'a Wanted> {
        self.moved.iter().find(|moved| moved.id == object.id)
    }

    /// Objects with their outcomes, and when the call returned; nothing while it has not.
    pub fn answers(&self) -> impl Iterator<Item = (&'a Wanted, &'a Outcome, u64)> + use<'a> {
        let ended_us = self.ended_us.unwrap_or_default();
        self.objects
            .iter()
            .zip(self.outcomes)
            .map(move |(object, outcome)| (object, outcome, ended_us))
    }
}

/// A deletion of many objects.
#[derive(Clone, Debug, Default)]
pub struct Deletion<'a> {
    /// From when on nobody asked for them.
    pub began_us: u64,
    /// When the last node had carried it out, or had not.
    pub over_us: u64,
    /// Nodes that deleted all of them that they had.
    pub done_by: BTreeSet<&'a str>,
}

/// A trace put in order.
#[derive(Debug)]
pub struct History<'a> {
    /// The records.
    pub trace: &'a [Record],
    /// The scenario, unless the run broke before it was written down.
    pub setting: Option<&'a Setting>,
    /// Calls by number, which is by start of the client, client, worker and order.
    pub operations: BTreeMap<u64, Operation<'a>>,
    /// What the final inspection found, by object.
    pub inspected: BTreeMap<&'a str, (&'a [String], &'a Outcome)>,
    /// The replicas of each object by the layout in force then.
    placed: BTreeMap<&'a str, &'a [String]>,
    /// Nodes that drain in the first layout.
    idle: BTreeSet<&'a str>,
    /// When the disk of a node was replaced by an empty one, for the last time.
    pub replaced: BTreeMap<&'a str, u64>,
    /// Nodes some of whose files rotted.
    pub rotted: BTreeSet<&'a str>,
    /// The deletions of each object that was to be deleted.
    pub condemned: BTreeMap<&'a str, Vec<u32>>,
    /// Deletions by number.
    pub deletions: BTreeMap<u32, Deletion<'a>>,
    /// Nodes that left a layout: what they hold, nobody looks for there.
    pub left: BTreeSet<&'a str>,
    /// When nodes took layouts that others had not yet.
    changes_us: Vec<u64>,
    /// Whether the run came to its end.
    pub ended: bool,
    /// Reachable spans `[from, to)` by node and client, in order.
    reachable: Spans<'a>,
}

impl<'a> History<'a> {
    /// Puts a trace in order.
    pub fn of(trace: &'a [Record]) -> Self {
        let mut history = History {
            trace,
            setting: None,
            operations: BTreeMap::new(),
            inspected: BTreeMap::new(),
            placed: BTreeMap::new(),
            idle: BTreeSet::new(),
            replaced: BTreeMap::new(),
            rotted: BTreeSet::new(),
            condemned: BTreeMap::new(),
            deletions: BTreeMap::new(),
            left: BTreeSet::new(),
            changes_us: Vec::new(),
            ended: false,
            reachable: BTreeMap::new(),
        };
        for record in trace {
            history.take(record);
        }
        history.reachable = reachability(trace, history.setting, &history.operations);
        history
    }

    fn take(&mut self, record: &'a Record) {
        match &record.event {
            Event::Setting(setting) => self.setting = Some(setting),
            Event::Ended => self.ended = true,
            Event::OpStarted { op, call, objects } => {
                let operation = Operation {
                    client: &record.actor,
                    call: *call,
                    began_us: record.at_us,
                    ended_us: None,
                    objects,
                    outcomes: &[],
                    moved: &[],
                };
                self.operations.insert(*op, operation);
            }
            Event::OpFinished { op, outcomes, moved } => {
                if let Some(operation) = self.operations.get_mut(op) {
                    operation.ended_us = Some(record.at_us);
                    operation.outcomes = outcomes;
                    operation.moved = moved;
                }
            }
            Event::Condemned { deletion, ids } => {
                let begun = Deletion { began_us: record.at_us, ..Deletion::default() };
                self.deletions.insert(*deletion, begun);
                for id in ids {
                    self.condemned.entry(id).or_default().push(*deletion);
                }
            }
            Event::Deleted { deletion, .. } | Event::NotDeleted { deletion, .. } => {
                let Some(deletion) = self.deletions.get_mut(deletion) else { return };
                deletion.over_us = record.at_us;
                if matches!(record.event, Event::Deleted { .. }) {
                    deletion.done_by.insert(&record.actor);
                }
            }
            Event::Rotted { .. } => {
                self.rotted.insert(&record.actor);
            }
            Event::LayoutTaken { active, .. } => {
                let nodes = self.setting.map_or(&[][..], |setting| &setting.nodes);
                self.left.extend(
                    nodes
                        .iter()
                        .map(String::as_str)
                        .filter(|node| !active.iter().any(|active| active == node)),
                );
                self.changes_us.push(record.at_us);
            }
            Event::Idle => {
                self.idle.insert(&record.actor);
            }
            Event::DiskReplaced => {
                self.replaced.insert(&record.actor, record.at_us);
            }
            Event::Inspected { id, replicas, holders, outcome } => {
                self.inspected.insert(id, (holders, outcome));
                self.placed.insert(id, replicas);
            }
            _ => {}
        }
    }

    /// Objects that came to somebody they were not meant for: those that impostors hold,
    /// and those that a node is said to have stored and never had.
    pub fn wrong_peer_writes(&self) -> u64 {
        let impostors = self.trace.iter().map(|record| match record.event {
            Event::StrangerHolds { objects } => objects,
            _ => 0,
        });
        let impostors: u64 = impostors.sum();
        let elsewhere = self.put_answers().filter(|&(operation, object, outcome, at_us)| {
            let Outcome::Acked { replicas } = outcome else { return false };
            let Some((holders, _)) = self.inspected.get(object.id.as_str()) else { return false };
            let had_us = operation.began_us;
            let sound = |node: &&String| !self.may_lack(node, &object.id, had_us);
            let lacking = replicas.iter().filter(sound).any(|node| !holders.contains(node));
            lacking && !self.is_condemned(&object.id, at_us)
        });
        impostors + elsewhere.count() as u64
    }

    /// The deletions of an object that were not over when it was put: after any of them it
    /// need not be there.
    pub fn deletions_since(
        &self,
        id: &str,
        put_us: u64,
    ) -> impl Iterator<Item = &Deletion<'a>> + use<'a, '_> {
        let numbers = self.condemned.get(id).into_iter().flatten();
        let deletions = numbers.filter_map(|number| self.deletions.get(number));
        deletions.filter(move |deletion| put_us <= deletion.over_us)
    }

    /// Whether what was put then need not be there in the end.
    pub fn is_condemned(&self, id: &str, put_us: u64) -> bool {
        self.deletions_since(id, put_us).next().is_some()
    }

    /// Whether a node need not have in the end what it had at that time: it rotted, it left, or
    /// its disk was replaced since and it is no replica of the object any more, so that nobody
    /// gives it to it again.
    pub fn may_lack(&self, node: &str, id: &str, had_us: u64) -> bool {
        let replaced = self.was_replaced(node, had_us) && !self.is_placed(node, id);
        self.rotted.contains(node) || self.left.contains(node) || replaced
    }

    /// Whether a node had begun with an empty disk by then, while others served already: its disk
    /// was replaced, or it held nothing from the start.
    pub fn began_empty(&self, node: &str, at_us: u64) -> bool {
        let replaced_us = self.replaced.get(node);
        self.idle.contains(node) || replaced_us.is_some_and(|&replaced| replaced <= at_us)
    }

    /// When each object was acknowledged for the first time.
    pub fn first_acked(&self) -> BTreeMap<&'a str, u64> {
        let mut acked_us: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, object, outcome, at_us) in self.put_answers() {
            if matches!(outcome, Outcome::Acked { .. }) {
                let first_us = acked_us.entry(&object.id).or_insert(at_us);
                *first_us = at_us.min(*first_us);
            }
        }
        acked_us
    }

    /// Whether a node's disk was replaced by an empty one at that time or later.
    pub fn was_replaced(&self, node: &str, since_us: u64) -> bool {
        self.replaced.get(node).is_some_and(|at_us| since_us <= *at_us)
    }

    /// Whether a node is a replica of an object by the layout in force in the end.
    pub fn is_placed(&self, node: &str, id: &str) -> bool {
        let placed = self.placed.get(id);
        placed.is_none_or(|replicas| replicas.iter().any(|replica| replica == node))
    }

    /// Whether a layout was spreading at any moment from `from_us` to `to_us`: then a call may
    /// have begun by one and ended by another.
    pub fn layout_spreads(&self, from_us: u64, to_us: u64) -> bool {
        let recovery_us = self.setting.map_or(0, |setting| setting.recover_within_us);
        self.changes_us.iter().any(|&at_us| at_us <= to_us && from_us <= at_us + recovery_us)
    }

    /// Every object of every put that was answered.
    pub fn put_answers(
        &self,
    ) -> impl Iterator<Item = (&Operation<'a>, &'a Wanted, &'a Outcome, u64)> {
        self.operations.values().filter(|operation| operation.call.is_put()).flat_map(|operation| {
            operation.answers().map(move |(object, outcome, at)| (operation, object, outcome, at))
        })
    }

    /// Every object of every get that was answered.
    pub fn get_answers(
        &self,
    ) -> impl Iterator<Item = (&Operation<'a>, &'a Wanted, &'a Outcome, u64)> {
        self.operations.values().filter(|operation| !operation.call.is_put()).flat_map(
            |operation| {
                operation
                    .answers()
                    .map(move |(object, outcome, at)| (operation, object, outcome, at))
            },
        )
    }

    /// When a node could be reached from a client again after it could not, or was shaken.
    pub fn returns(&self, node: &str, client: &str) -> Vec<(u64, u64)> {
        let spans = self.reachable.get(&(node, client)).map(Vec::as_slice);
        // What was there from the beginning did not come back.
        spans.unwrap_or_default().iter().skip(1).copied().collect()
    }

    /// Whether a node could be reached from a client all the time from `from_us` to
    /// `to_us`, and had been back for the time allowed for recovery when that began.
    pub fn reachable_throughout(&self, node: &str, client: &str, from_us: u64, to_us: u64) -> bool {
        let recovery_us = self.setting.map_or(0, |setting| setting.recover_within_us);
        self.reachable_after(recovery_us, (node, client), from_us, to_us)
    }

    /// The same with another time allowed for recovery.
    pub fn reachable_after(
        &self,
        recovery_us: u64,
        (node, client): (&str, &str),
        from_us: u64,
        to_us: u64,
    ) -> bool {
        let Some(spans) = self.reachable.get(&(node, client)) else { return false };
        spans.iter().enumerate().any(|(index, &(begin, end))| {
            // What was there from the beginning has nothing to recover from.
            let begin = if index == 0 { begin } else { begin + recovery_us };
            begin <= from_us && to_us < end
        })
    }
}

/// Spans `[from, to)` in which a node could be reached from a client.
type Spans<'a> = BTreeMap<(&'a str, &'a str), Vec<(u64, u64)>>;

/// Follows the faults through the trace.
fn reachability<'a>(
    trace: &'a [Record],
    setting: Option<&'a Setting>,
    operations: &BTreeMap<u64, Operation<'a>>,
) -> Spans<'a> {
    let mut spans: Spans<'_> = BTreeMap::new();
    let Some(setting) = setting else { return spans };
    let mut clients: BTreeSet<&str> =
        operations.values().map(|operation| operation.client).collect();
    let git = trace.iter().filter(|record| matches!(record.event, Event::GitAsked { .. }));
    clients.extend(git.map(|record| record.actor.as_str()));
    let mut state = State::default();
    for record in trace {
        if !state.take(record) {
            continue;
        }
        for node in &setting.nodes {
            for &client in &clients {
                let spans = spans.entry((node, client)).or_default();
                let mut open = spans.last().is_some_and(|&(_, end)| end == u64::MAX);
                if open && shakes(&record.event) {
                    spans.last_mut().expect("one is open").1 = record.at_us;
                    open = false;
                }
                match (open, state.reaches(client, node)) {
                    (false, true) => spans.push((record.at_us, u64::MAX)),
                    (true, false) => spans.last_mut().expect("one is open").1 = record.at_us,
                    _ => {}
                }
            }
        }
    }
    spans
}

/// Whether connections may be dead after this although every node can be reached, so that
/// a client has something to recover from.
fn shakes(event: &Event) -> bool {
    matches!(event, Event::ConnectionsForgotten | Event::QuietEnded)
}

/// Which faults hold at a moment.
#[derive(Default)]
struct State<'a> {
    ready: BTreeSet<&'a str>,
    addresses: BTreeMap<&'a str, &'a str>,
    names: BTreeMap<&'a str, Option<&'a str>>,
    cuts: BTreeSet<(&'a str, &'a str)>,
    /// Nodes whose disks keep them from storing.
    unable: BTreeSet<&'a str>,
    /// Nodes whose processes stand still.
    paused: BTreeSet<&'a str>,
    /// Links that lose packets: what goes over them may take any time.
    lossy: BTreeSet<(&'a str, &'a str)>,
    /// Whether names resolve in time, for those who have to ask.
    names_late: bool,
}

impl<'a> State<'a> {
    /// Takes a record; tells whether it changed anything.
    fn take(&mut self, record: &'a Record) -> bool {
        let actor = record.actor.as_str();
        match &record.event {
            Event::Ready => self.ready.insert(actor),
            Event::Stopped { .. } | Event::Exited { .. } => {
                self.paused.remove(actor);
                self.ready.remove(actor)
            }
            Event::Started { address } => {
                self.addresses.insert(actor, address);
                true
            }
            Event::Dns { address } => {
                self.names.insert(actor, address.as_deref());
                true
            }
            Event::Cut { to } => self.cuts.insert((actor, to)),
            Event::Mended { to } => self.cuts.remove(&(actor, to.as_str())),
            Event::Disk { stores: false, .. } => self.unable.insert(actor),
            Event::DiskReleased => self.unable.remove(actor),
            Event::Paused => self.paused.insert(actor),
            Event::Resumed => self.paused.remove(actor),
            Event::Link { to, loss, .. } if *loss > 0.0 => self.lossy.insert((actor, to)),
            Event::Link { to, .. } | Event::LinkRestored { to } => {
                self.lossy.remove(&(actor, to.as_str()))
            }
            Event::NameServiceDelay { delay_us } => {
                self.names_late = *delay_us > 0;
                true
            }
            event if shakes(event) => true,
            _ => false,
        }
    }

    fn reaches(&self, client: &str, node: &str) -> bool {
        self.ready.contains(node)
            && !self.unable.contains(node)
            && !self.paused.contains(node)
            && !self.names_late
            && !self.lossy.contains(&(client, node))
            && !self.lossy.contains(&(node, client))
            && !self.cuts.contains(&(client, node))
            && !self.cuts.contains(&(node, client))
            && self.names.get(node).copied().flatten() == self.addresses.get(node).copied()
    }
}
