//! Client connections.
//!
//! How clients come to the cluster: over the node's own pool or a broken one, with what a
//! control, or a step of the scenario, puts around each replica.

use std::sync::Arc;
use std::time::Duration;

use gitstratum_cluster::client::{Around, Client, ClientOptions, Decorator};
use gitstratum_cluster::quorum::decorate::{Layer, Layered};
use gitstratum_cluster::transport::{Connections, Dialler, Pool, PoolOptions};
use gitstratum_core::placement::{CurrentLayout, Layout};
use gitstratum_core::replica::{NodeReader, NodeWriter};
use gitstratum_host::Net;
use rand_chacha::ChaCha12Rng;
use tokio::time::sleep;

use super::Run;
use crate::broken::{
    Belief, Broken, Credulous, FirstWritesOnly, LossyHints, Neglect, NoReadRepair, Quorum, follow,
};
use crate::scenario::{Control, Weakens};

/// Pause before a client that found no peer tries again.
const PAUSE: Duration = Duration::from_millis(100);

/// Connects the client `name` as its run has it, again and again until a node answers.
pub(super) async fn connect(
    run: &Run,
    name: &str,
    net: Net,
    peers: &[String],
    rng: ChaCha12Rng,
) -> Client {
    let workload = &run.plan.workload;
    let mut pool = PoolOptions::default();
    if let Some(most) = workload.pool_connections_max {
        pool.connections_max = most;
    }
    let request_timeout = *workload.request_timeout;
    let zone = workload.zone.clone();
    let options = ClientOptions { request_timeout, pool, zone, ..ClientOptions::default() };
    loop {
        let (rng, bounds) = (rng.clone(), options.pool.clone());
        let begin = |learned: Arc<Layout>| -> (CurrentLayout, Arc<dyn Connections>) {
            match run.control {
                Some(control) if control.weakens() == Weakens::Pool => {
                    let layout = follow(learned, control);
                    let pool = Broken::new(net.clone(), &layout, control, bounds.connections_max);
                    (layout, Arc::new(pool))
                }
                _ => {
                    let layout = CurrentLayout::new(learned);
                    if run.control == Some(Control::ActivePeersOnly) {
                        run.followers.add(&layout);
                    }
                    let pool = Pool::new(Dialler::new(net.clone(), ""), &layout, rng, bounds);
                    (layout, Arc::new(pool))
                }
            }
        };
        let around = around(run, name);
        let options = options.clone();
        match Client::connect_around(net.clone(), peers, options, begin, around).await {
            Ok(client) => return client,
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Connects somebody who takes no part in the run, again and again until a node answers.
pub(super) async fn connect_plainly(
    run: &Run,
    net: Net,
    peers: &[String],
    rng: ChaCha12Rng,
) -> Client {
    let request_timeout = *run.plan.workload.request_timeout;
    let options = ClientOptions { request_timeout, ..ClientOptions::default() };
    loop {
        match Client::connect(net.clone(), peers, rng.clone(), options.clone()).await {
            Ok(client) => return client,
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// What stands around each replica of a client.
fn around(run: &Run, name: &str) -> Around {
    let broken = run.control.map(|control| weaken(control, run.plan.cluster.write_quorum));
    let Around { writer, repaired, reader } = broken.unwrap_or_default();
    let panicking = run.panics.of(run, name);
    Around { writer: Box::new(move |inner| writer(panicking(inner))), repaired, reader }
}

/// What a control puts around each replica.
fn weaken(control: Control, write_quorum: usize) -> Around {
    let neglecting = |neglect| {
        let layer = FirstWritesOnly::of(Quorum::new(neglect, write_quorum));
        Around { writer: around_writer(layer), ..Around::default() }
    };
    let believing =
        |belief| Around { reader: around_reader(Credulous(belief)), ..Around::default() };
    match control {
        Control::LossyHints => Around { writer: around_writer(LossyHints), ..Around::default() },
        Control::FirstW => neglecting(Neglect::Unsent),
        Control::CancelAtW => neglecting(Neglect::Cancelled),
        Control::NoReadRepair => {
            Around { repaired: around_writer(NoReadRepair), ..Around::default() }
        }
        Control::ErrorsAsAbsent => believing(Belief::Errors),
        Control::EmptyAsProof => believing(Belief::CatchingUp),
        Control::DamagedAsAbsent => believing(Belief::Damaged),
        _ => Around::default(),
    }
}

fn around_writer(layer: impl Layer) -> Decorator<dyn NodeWriter> {
    Box::new(move |inner| Arc::new(Layered::around(layer.clone(), inner)))
}

fn around_reader(layer: impl Layer) -> Decorator<dyn NodeReader> {
    Box::new(move |inner| Arc::new(Layered::around(layer.clone(), inner)))
}
