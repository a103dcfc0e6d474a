//! Fault schedule.
//!
//! The steps of a scenario, taken when the seed says.

use std::time::Duration;

use futures_util::future::join_all;
use rand::RngCore;
use rand_chacha::ChaCha12Rng;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Clients, Cluster, Run, bulk, deletions};
use crate::scenario::{Action, Direction, When};
use crate::trace::{Event, Stop};
use crate::workload::{draw_duration, stream};

/// Takes every step at its time after `began`; returns when the last one is done.
pub(super) async fn take_steps(run: &Run, cluster: &Cluster, clients: &Clients, began: Instant) {
    let end = began + *run.plan.workload.duration;
    let world = World { run, cluster, clients, end };
    let mut due = began;
    let steps = run.plan.steps.iter().enumerate().map(|(index, step)| {
        let mut rng = stream(run.seed, &format!("step/{index}"));
        due = match &step.when {
            When::At(range) => began + draw_duration(&mut rng, range),
            When::After(range) => due + draw_duration(&mut rng, range),
        };
        let due = due;
        async move {
            sleep_until(due).await;
            world.take(&step.action, &mut rng).await;
        }
    });
    join_all(steps).await;
}

/// What steps are taken upon.
#[derive(Clone, Copy)]
struct World<'a> {
    run: &'a Run,
    cluster: &'a Cluster,
    clients: &'a Clients,
    /// When the load ends.
    end: Instant,
}

impl World<'_> {
    async fn take(self, action: &Action, rng: &mut ChaCha12Rng) {
        let World { run, cluster, clients, .. } = self;
        let mut action = action.clone();
        if let Some(nodes) = action.nodes_mut() {
            *nodes = cluster.resolved(nodes);
        }
        match &action {
            Action::Cut { nodes, from, direction } => {
                let cut = |from: &str, to: &str| cluster.cut(from, to);
                self.each_direction((nodes, from), *direction, cut);
            }
            Action::Link { nodes, from, direction, latency, loss } => {
                self.each_direction((nodes, from), *direction, |from, to| {
                    let first = &run.plan.network;
                    cluster.change_link((from, to), first, latency.as_deref(), *loss);
                });
            }
            Action::Heal {} => cluster.mend_all(),
            Action::Crash { nodes } => each(nodes, |node| cluster.stop(node, Stop::Crash)),
            Action::PowerOff { nodes } => each(nodes, |node| cluster.stop(node, Stop::PowerOff)),
            Action::Start { nodes } => each(nodes, |node| cluster.start(node)),
            Action::Restart { nodes, down_for } => {
                for node in nodes {
                    cluster.restart(node, draw_duration(rng, down_for)).await;
                }
            }
            Action::Flap { nodes, times, down_for, up_for } => {
                for _ in 0..*times {
                    let nodes = &cluster.resolved(nodes);
                    each(nodes, |node| cluster.stop(node, Stop::Crash));
                    sleep(draw_duration(rng, down_for)).await;
                    each(nodes, |node| cluster.start(node));
                    sleep(draw_duration(rng, up_for)).await;
                }
            }
            Action::FlapClients { clients, times, down_for, up_for } => {
                for _ in 0..*times {
                    sleep(draw_duration(rng, up_for)).await;
                    for client in clients {
                        self.strike(client, draw_duration(rng, down_for)).await;
                    }
                }
            }
            Action::PanicWrites { nodes, times } => {
                let event = Event::WritesWillPanic { nodes: nodes.clone(), times: *times };
                run.recorder.record("world", event);
                run.panics.arm(&run.plan.client_names(), nodes, *times);
            }
            Action::Clock { nodes, ahead } => each(nodes, |node| cluster.set_clock(node, **ahead)),
            Action::Pause { nodes } => each(nodes, |node| cluster.pause(node)),
            Action::Throttle { nodes, factor } => {
                each(nodes, |node| cluster.throttle(node, *factor));
            }
            Action::Resume { nodes } => each(nodes, |node| cluster.resume(node)),
            Action::Rot { nodes, dir, bits } => each(nodes, |node| cluster.rot(node, dir, *bits)),
            Action::LoseFile { nodes, file } => {
                each(nodes, |node| cluster.lose_file(node, *file, rng));
            }
            Action::TruncateFile { nodes, file } => {
                each(nodes, |node| cluster.truncate_file(node, *file, rng));
            }
            Action::Wipe { nodes } => {
                for node in nodes {
                    cluster.wipe(run, node).await;
                }
            }
            Action::Slow { nodes, factor } => each(nodes, |node| cluster.slow(node, *factor)),
            Action::Stall { nodes, operations } => {
                each(nodes, |node| cluster.stall(node, *operations));
            }
            Action::Fill { nodes, room_bytes } => {
                each(nodes, |node| cluster.fill(node, *room_bytes));
            }
            Action::Exhaust { nodes } => each(nodes, |node| cluster.exhaust(node)),
            Action::Release { nodes } => each(nodes, |node| cluster.release_disk(node)),
            Action::Forget {} => cluster.forget_connections(),
            Action::Dns { node, resolves } => cluster.dns_follows(node, *resolves),
            Action::DnsDelay { delay } => cluster.delay_names(**delay),
            Action::Layout(change) => cluster.change_layout(run, change).await,
            Action::Bulk { refs } => bulk::make(run, cluster, *refs).await,
            Action::Delete { share } => deletions::delete(run, cluster, *share, rng).await,
            Action::StrikeCompactions { nodes, times, down_for } => {
                let strikes = nodes.iter().map(|node| {
                    let mut rng = stream(rng.next_u64(), &format!("strikes/{node}"));
                    async move {
                        let until = (*times, self.end);
                        cluster.strike_compactions(node, until, down_for, &mut rng).await;
                    }
                });
                join_all(strikes.collect::<Vec<_>>()).await;
            }
            Action::Quiet { lasts } => self.be_quiet(draw_duration(rng, lasts)).await,
            Action::Burst { clients: on, callers } => {
                for client in on {
                    run.recorder.record(client, Event::Burst { callers: *callers });
                }
                clients.burst(on, *callers).await;
            }
            Action::Move { .. } => self.relocate(&action, rng).await,
        }
    }

    async fn relocate(self, action: &Action, rng: &mut ChaCha12Rng) {
        let Action::Move { node, down_for, dns_after, takes_address_of, leaves_behind } = action
        else {
            unreachable!("called for moves");
        };
        let cluster = self.cluster;
        cluster.stop(node, Stop::PowerOff);
        let had = cluster.address(node);
        if leaves_behind.is_some() {
            // Before it is back: so it is the other that has the old address.
            cluster.relocate(node, takes_address_of.as_deref());
        }
        if let Some(speech) = leaves_behind {
            cluster.add_stranger(had, *speech, node);
        }
        sleep(draw_duration(rng, down_for)).await;
        if cluster.is_running(node) {
            // Another step started it meanwhile.
            cluster.stop(node, Stop::PowerOff);
        }
        if leaves_behind.is_none() {
            cluster.relocate(node, takes_address_of.as_deref());
        }
        cluster.start(node);
        sleep(draw_duration(rng, dns_after)).await;
        cluster.dns_follows(node, true);
    }

    /// Cuts the power of a client's machine in the moment of its next acknowledgement, if
    /// there is one before the load ends.
    async fn strike(self, client: &str, down_for: Duration) {
        let left = self.end.saturating_duration_since(Instant::now());
        if timeout(left, self.run.ledger.next_ack(client)).await.is_ok() {
            self.clients.restart(self.run, self.cluster, client, (down_for, self.end)).await;
        }
    }

    /// Lets the workers begin nothing for a time.
    async fn be_quiet(self, lasts: Duration) {
        let end = Instant::now() + lasts;
        // What the workers then do comes after the record.
        self.run.quiet.begin(end + Duration::from_millis(1));
        self.run.recorder.record("world", Event::Quiet);
        sleep_until(end).await;
        self.run.recorder.record("world", Event::QuietEnded);
    }

    fn each_direction(
        self,
        (nodes, from): (&[String], &[String]),
        direction: Direction,
        act: impl Fn(&str, &str),
    ) {
        let from = if from.is_empty() { self.cluster.all_but(nodes) } else { from.to_vec() };
        let is_apart =
            |(inside, outside): &(&String, &String)| inside != outside && !nodes.contains(outside);
        for (inside, outside) in pairs(nodes, &from).filter(is_apart) {
            if matches!(direction, Direction::Both | Direction::Outgoing) {
                act(inside, outside);
            }
            if matches!(direction, Direction::Both | Direction::Incoming) {
                act(outside, inside);
            }
        }
    }
}

fn each(nodes: &[String], mut act: impl FnMut(&str)) {
    nodes.iter().for_each(|node| act(node));
}

fn pairs<'a>(
    inside: &'a [String],
    outside: &'a [String],
) -> impl Iterator<Item = (&'a String, &'a String)> {
    inside.iter().flat_map(move |one| outside.iter().map(move |other| (one, other)))
}
