//! Schedules of faults.
//!
//! What strikes is drawn as a kind, whom it strikes, and when; most of it ends after a while, the rest
//! with all faults of the run.

use std::time::Duration;

use gitstratum_core::placement::Layout;

use super::draw::Draw;
use crate::scenario::{
    Action, Direction, DiskOperations, LEADER, LayoutChange, Plan, Speech, Step, Time, TimeRange,
    When, first_layout,
};

/// Faults of a run, at most.
const FAULTS_MAX: usize = 7;
/// Share of kinds that a run may have.
const KINDS_SHARE: f64 = 0.4;
/// Share of faults that end before the run's end does it.
const ENDS_SHARE: f64 = 0.8;
/// Times are whole numbers of these.
const TICK_MS: usize = 100;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Crash,
    PowerOff,
    Restart,
    Flap,
    FlapClients,
    Pause,
    Throttle,
    Cut,
    Link,
    Slow,
    Stall,
    Fill,
    Exhaust,
    Clock,
    Move,
    Dns,
    DnsDelay,
    Forget,
    Burst,
    Wipe,
    Layout,
}

const KINDS: [Kind; 21] = [
    Kind::Crash,
    Kind::PowerOff,
    Kind::Restart,
    Kind::Flap,
    Kind::FlapClients,
    Kind::Pause,
    Kind::Throttle,
    Kind::Cut,
    Kind::Link,
    Kind::Slow,
    Kind::Stall,
    Kind::Fill,
    Kind::Exhaust,
    Kind::Clock,
    Kind::Move,
    Kind::Dns,
    Kind::DnsDelay,
    Kind::Forget,
    Kind::Burst,
    Kind::Wipe,
    Kind::Layout,
];

/// Draws the steps of a plan that has none yet, in order of time.
pub(super) fn steps(draw: &mut Draw, plan: &Plan) -> Vec<Step> {
    let mut kinds: Vec<Kind> = KINDS.into_iter().filter(|_| draw.chance(KINDS_SHARE)).collect();
    kinds.retain(|kind| plan.firewall.is_some() || *kind != Kind::Forget);
    if kinds.is_empty() {
        kinds.push(Kind::Crash);
    }
    let mut schedule = Schedule::of(plan);
    for _ in 0..draw.whole(1, FAULTS_MAX) {
        let kind = *draw.one_of(&kinds);
        schedule.strike(draw, kind);
    }
    schedule.finish(draw)
}

/// Steps so far, and what is left of the budget.
struct Schedule {
    nodes: Vec<String>,
    clients: Vec<String>,
    layout: Layout,
    /// When the load ends.
    end: Duration,
    /// Disks that may yet be lost.
    disks: usize,
    /// How much slower disks may become.
    factors: [u32; 3],
    steps: Vec<(Duration, Planned)>,
}

/// A step; what a change of the layout is depends on those before it.
enum Planned {
    Action(Action),
    Layout,
}

impl Schedule {
    fn of(plan: &Plan) -> Self {
        Schedule {
            nodes: plan.node_names(),
            clients: plan.client_names(),
            layout: first_layout(&plan.cluster, 1).expect("a drawn cluster makes a layout"),
            end: *plan.workload.duration,
            disks: plan.cluster.disks_lost_max(),
            // A put may wait for half a dozen syncs, where a segment ends. A disk on which that takes
            // longer than anybody waits answers nobody, and that is a stall.
            factors: if plan.disk.spike_share > 0.0 { [2, 3, 4] } else { [10, 30, 60] },
            steps: Vec::new(),
        }
    }

    /// Adds a fault of this kind, where the budget has room for it.
    fn strike(&mut self, draw: &mut Draw, kind: Kind) {
        let at = self.moment(draw);
        let action = match kind {
            Kind::Layout => return self.steps.push((at, Planned::Layout)),
            Kind::Wipe if self.disks == 0 => return,
            Kind::Wipe => {
                self.disks -= 1;
                Action::Wipe { nodes: draw.some_of(&self.nodes, 1) }
            }
            Kind::Crash => Action::Crash { nodes: self.some_or_leader(draw) },
            Kind::PowerOff => Action::PowerOff { nodes: self.some_or_leader(draw) },
            Kind::Restart => {
                Action::Restart { nodes: self.some_or_leader(draw), down_for: range(100, 3_000) }
            }
            Kind::Flap => {
                let (nodes, times) = (self.some_or_leader(draw), draw.whole(2, 5) as u32);
                Action::Flap { nodes, times, down_for: range(50, 800), up_for: range(100, 2_000) }
            }
            Kind::FlapClients => Action::FlapClients {
                clients: draw.some_of(&self.clients, 1),
                times: draw.whole(1, 3) as u32,
                down_for: range(100, 1_000),
                up_for: range(500, 2_000),
            },
            Kind::Pause => Action::Pause { nodes: self.some(draw) },
            Kind::Throttle => {
                Action::Throttle { nodes: self.some(draw), factor: *draw.one_of(&[4, 20, 100]) }
            }
            Kind::Cut => {
                let (nodes, from) = self.two_sides(draw);
                Action::Cut { nodes, from, direction: direction(draw) }
            }
            Kind::Link => {
                let (nodes, from) = self.two_sides(draw);
                let is_slow = draw.chance(0.5);
                let latency = is_slow.then(|| super::millis(50, 400));
                let loss = (!is_slow).then(|| *draw.one_of(&[0.05, 0.3]));
                Action::Link { nodes, from, direction: direction(draw), latency, loss }
            }
            Kind::Slow => {
                Action::Slow { nodes: self.some(draw), factor: *draw.one_of(&self.factors) }
            }
            Kind::Stall => {
                let all = [DiskOperations::Reads, DiskOperations::Writes, DiskOperations::Syncs];
                Action::Stall { nodes: self.some(draw), operations: *draw.one_of(&all) }
            }
            Kind::Fill => {
                let room_bytes = *draw.one_of(&[0, 10_000, 200_000]);
                Action::Fill { nodes: self.some(draw), room_bytes }
            }
            Kind::Exhaust => Action::Exhaust { nodes: self.some(draw) },
            Kind::Clock => {
                let ahead = Duration::from_secs(*draw.one_of(&[30, 3_600, 86_400]));
                Action::Clock { nodes: self.some(draw), ahead: Time(ahead) }
            }
            Kind::Move => self.relocation(draw),
            Kind::Dns => Action::Dns { node: draw.one_of(&self.nodes).clone(), resolves: false },
            Kind::DnsDelay => {
                let delay = Duration::from_millis(*draw.one_of(&[200, 2_000, 10_000]));
                Action::DnsDelay { delay: Time(delay) }
            }
            Kind::Forget => Action::Forget {},
            Kind::Burst => {
                let clients = draw.some_of(&self.clients, 1);
                Action::Burst { clients, callers: draw.whole(10, 60) }
            }
        };
        let end = end_of(&action);
        self.steps.push((at, Planned::Action(action)));
        if let Some(end) = end.filter(|end| draw.chance(ENDS_SHARE) || must_end(end)) {
            let later = at + ticks(draw.whole(1, 80));
            self.steps.push((later.min(self.end), Planned::Action(end)));
        }
    }

    /// The steps in order of time, with the changes of the layout that are possible by then.
    fn finish(mut self, draw: &mut Draw) -> Vec<Step> {
        // Those of one moment stay in the order in which they were drawn.
        self.steps.sort_by_key(|(at, _)| *at);
        let mut steps = Vec::with_capacity(self.steps.len());
        for (at, planned) in std::mem::take(&mut self.steps) {
            let action = match planned {
                Planned::Action(action) => Some(action),
                Planned::Layout => self.change(draw).map(Action::Layout),
            };
            let when = When::At(TimeRange(at..=at));
            steps.extend(action.map(|action| Step { when, action }));
        }
        steps
    }

    /// Another state, weight or zone of one node, unless that makes no layout.
    fn change(&mut self, draw: &mut Draw) -> Option<LayoutChange> {
        let node = draw.one_of(&self.nodes).clone();
        let mut change = LayoutChange { tell: self.some(draw), ..LayoutChange::default() };
        match draw.whole(0, 3) {
            0 => change.drain = vec![node],
            1 => change.activate = vec![node],
            2 => drop(change.weights.insert(node, *draw.one_of(&[1, 2, 5]))),
            _ => drop(change.zones.insert(node, (*draw.one_of(&["z1", "z2", "z3"])).to_owned())),
        }
        let next = change.after(&self.layout).ok()?;
        let differs = next.members != self.layout.members;
        self.layout = next;
        differs.then_some(change)
    }

    /// A moment of the load, at which most of what strikes has some time left.
    fn moment(&self, draw: &mut Draw) -> Duration {
        let most = self.end.as_millis() as usize / TICK_MS - 20;
        ticks(draw.whole(10, most))
    }

    /// One node most often, and now and then any number of them.
    fn some(&self, draw: &mut Draw) -> Vec<String> {
        let count = if draw.chance(0.6) { 1 } else { draw.whole(1, self.nodes.len()) };
        draw.some_of(&self.nodes, count)
    }

    fn some_or_leader(&self, draw: &mut Draw) -> Vec<String> {
        if draw.chance(0.2) { vec![LEADER.to_owned()] } else { self.some(draw) }
    }

    /// Nodes, and from what they are cut off: all others, or some machines.
    fn two_sides(&self, draw: &mut Draw) -> (Vec<String>, Vec<String>) {
        let nodes = self.some_or_leader(draw);
        if draw.chance(0.5) {
            return (nodes, Vec::new());
        }
        let others: Vec<String> = self.nodes.iter().chain(&self.clients).cloned().collect();
        let count = draw.whole(1, others.len());
        (nodes, draw.some_of(&others, count))
    }

    fn relocation(&self, draw: &mut Draw) -> Action {
        let speech = [None, None, Some(Speech::Banner), Some(Speech::Silence), Some(Speech::Node)];
        Action::Move {
            node: draw.one_of(&self.nodes).clone(),
            down_for: range(100, 3_000),
            dns_after: range(0, 4_000),
            takes_address_of: None,
            leaves_behind: *draw.one_of(&speech),
        }
    }
}

/// What ends a fault that lasts, where one step does.
fn end_of(action: &Action) -> Option<Action> {
    let of =
        |nodes: &Vec<String>| Some(nodes.clone()).filter(|it| !it.contains(&LEADER.to_owned()));
    Some(match action {
        Action::Crash { nodes } | Action::PowerOff { nodes } | Action::Wipe { nodes } => {
            Action::Start { nodes: of(nodes)? }
        }
        Action::Pause { nodes } | Action::Throttle { nodes, .. } => {
            Action::Resume { nodes: of(nodes)? }
        }
        Action::Slow { nodes, .. }
        | Action::Stall { nodes, .. }
        | Action::Fill { nodes, .. }
        | Action::Exhaust { nodes } => Action::Release { nodes: of(nodes)? },
        Action::Cut { .. } | Action::Link { .. } => Action::Heal {},
        Action::Clock { nodes, .. } => Action::Clock { nodes: of(nodes)?, ahead: Time::default() },
        Action::Dns { node, .. } => Action::Dns { node: node.clone(), resolves: true },
        Action::DnsDelay { .. } => Action::DnsDelay { delay: Time::default() },
        _ => return None,
    })
}

/// Whether the load cannot end before this happened: a client that begins anew meanwhile waits for
/// names that nobody waits long enough for.
fn must_end(end: &Action) -> bool {
    matches!(end, Action::DnsDelay { .. })
}

fn direction(draw: &mut Draw) -> Direction {
    *draw.one_of(&[Direction::Both, Direction::Both, Direction::Outgoing, Direction::Incoming])
}

fn ticks(count: usize) -> Duration {
    Duration::from_millis((count * TICK_MS) as u64)
}

fn range(least_ms: u64, most_ms: u64) -> TimeRange {
    TimeRange(Duration::from_millis(least_ms)..=Duration::from_millis(most_ms))
}
