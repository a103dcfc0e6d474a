//! The steps of a scenario, taken when the seed says.

use futures_util::future::join_all;
use rand_chacha::ChaCha12Rng;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Cluster, Run};
use crate::scenario::{Action, Direction, When};
use crate::trace::Stop;
use crate::workload::{draw_duration, stream};

/// Takes every step at its time after `began`; returns when the last one is done.
pub(super) async fn take_steps(run: &Run, cluster: &Cluster, began: Instant) {
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
            take(cluster, &step.action, &mut rng).await;
        }
    });
    join_all(steps).await;
}

async fn take(cluster: &Cluster, action: &Action, rng: &mut ChaCha12Rng) {
    match action {
        Action::Cut { nodes, from, direction } => {
            let from = if from.is_empty() { cluster.all_but(nodes) } else { from.clone() };
            for (inside, outside) in pairs(nodes, &from) {
                if matches!(direction, Direction::Both | Direction::Outgoing) {
                    cluster.cut(inside, outside);
                }
                if matches!(direction, Direction::Both | Direction::Incoming) {
                    cluster.cut(outside, inside);
                }
            }
        }
        Action::Heal => cluster.mend_all(),
        Action::Crash { nodes } => nodes.iter().for_each(|node| cluster.stop(node, Stop::Crash)),
        Action::PowerOff { nodes } => {
            nodes.iter().for_each(|node| cluster.stop(node, Stop::PowerOff));
        }
        Action::Start { nodes } => nodes.iter().for_each(|node| cluster.start(node)),
        Action::Rot { nodes, dir, bits } => {
            nodes.iter().for_each(|node| cluster.rot(node, dir, *bits));
        }
        Action::Slow { nodes, factor } => {
            nodes.iter().for_each(|node| cluster.slow(node, *factor));
        }
        Action::Stall { nodes, operations } => {
            nodes.iter().for_each(|node| cluster.stall(node, *operations));
        }
        Action::Fill { nodes, room_bytes } => {
            nodes.iter().for_each(|node| cluster.fill(node, *room_bytes));
        }
        Action::Release { nodes } => nodes.iter().for_each(|node| cluster.release_disk(node)),
        Action::Dns { node, resolves } => cluster.dns_follows(node, *resolves),
        Action::Move { node, down_for, dns_after, takes_address_of } => {
            cluster.stop(node, Stop::PowerOff);
            sleep(draw_duration(rng, down_for)).await;
            if cluster.is_running(node) {
                // Another step started it meanwhile.
                cluster.stop(node, Stop::PowerOff);
            }
            cluster.relocate(node, takes_address_of.as_deref());
            cluster.start(node);
            sleep(draw_duration(rng, dns_after)).await;
            cluster.dns_follows(node, true);
        }
    }
}

fn pairs<'a>(
    inside: &'a [String],
    outside: &'a [String],
) -> impl Iterator<Item = (&'a String, &'a String)> {
    inside.iter().flat_map(move |one| outside.iter().map(move |other| (one, other)))
}
