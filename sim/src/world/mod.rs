//! World.
//!
//! A cluster of simulated machines, and one run of a scenario on it.
//!
//! Invariant: the nodes run what production runs, `gitstratum::server::serve` and
//! `gitstratum_cluster::client::Client`, and are told nothing of the scenario. Everything random
//! comes from streams of the run's seed. Whatever goes wrong in the cluster is recorded;
//! judging it is left to `verdict`.

mod bulk;
mod catalog;
mod client_group;
mod clients;
mod cluster;
mod compactions;
mod configs;
mod connecting;
mod deletions;
mod disks;
mod faults;
mod git;
mod inspection;
mod layouts;
mod links;
mod packs;
mod panics;
mod processes;
mod soundness;
mod strangers;

use std::time::Duration;

use futures_util::future::join3;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::broken::Followers;
use crate::scenario::{Control, Plan, Time};
use crate::trace::{CatalogSetting, Event, GitSetting, Phase, Recorder, Records, Setting};
use crate::workload::git::Histories;
use crate::workload::{Ledger, Quiet};

pub use clients::Clients;
pub use cluster::Cluster;
pub use panics::Panics;

/// A start that takes longer has failed.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Updates of refs, and pushes, by each client when all faults are over.
const SETTLED_UPDATES: usize = 3;

/// What the parts of a world share. Cheap to clone.
#[derive(Clone)]
pub struct Run {
    /// What to do.
    pub plan: Plan,
    /// The broken pool that the clients use in place of the node's own, if any.
    pub control: Option<Control>,
    /// What decides everything that the plan leaves open.
    pub seed: u64,
    /// Where events go.
    pub recorder: Recorder,
    /// What the clients put.
    pub ledger: Ledger,
    /// What Git clients made.
    pub histories: Histories,
    /// When the clients are to be quiet.
    pub quiet: Quiet,
    /// Which of the clients' writes are to panic.
    pub panics: Panics,
    /// Clients that are told each layout before the nodes are.
    pub followers: Followers,
}

/// Carries out a scenario, within the current madsim runtime; the clients use a broken
/// pool where one is given.
pub async fn run(plan: Plan, control: Option<Control>, seed: u64, records: Records) {
    let recorder = Recorder::new(records);
    recorder.record("world", Event::Setting(setting(&plan, seed)));
    let stuck_after = *plan.expect.stuck_after;
    let (ledger, quiet, panics) = (Ledger::default(), Quiet::default(), Panics::default());
    let (followers, histories) = (Followers::default(), Histories::default());
    let run = Run { plan, control, seed, recorder, ledger, histories, quiet, panics, followers };
    let cluster = Cluster::new(&run);
    cluster.record_idle();
    let mut phase = Phase::Boot;
    tokio::select! {
        biased;
        ended = timeout(stuck_after, phases(&run, &cluster, &mut phase)) => {
            if ended.is_err() {
                run.recorder.record("world", Event::Stuck { phase });
            }
        }
        () = cluster.watch_voters(&run) => {}
    }
    cluster.record_wire();
    cluster.shut_down().await;
}

async fn phases(run: &Run, cluster: &Cluster, phase: &mut Phase) {
    let mut enter = |next: Phase| {
        *phase = next;
        run.recorder.record("world", Event::Phase { phase: next });
    };
    enter(Phase::Boot);
    cluster.start_all();
    if !cluster.all_ready(START_TIMEOUT).await || !cluster.all_caught_up(START_TIMEOUT).await {
        return;
    }
    if !cluster.catalog_formed(run.plan.cluster.voters(), START_TIMEOUT).await {
        return;
    }
    let clients = Clients::start(run, cluster).await;
    let catalog_clients = catalog::start_clients(run, cluster).await;
    let git_clients = git::start_clients(run, cluster).await;

    enter(Phase::Load);
    let began = Instant::now();
    let load = clients.load(began + *run.plan.workload.duration);
    let catalog_load = catalog_clients.load(began + *run.plan.workload.duration);
    let git_load = git_clients.load(began + *run.plan.workload.duration);
    faults::take_steps(run, cluster, &clients, began).await;
    load.await;
    catalog_load.await;
    git_load.await;
    clients.rejoined().await;

    enter(Phase::Recover);
    if run.plan.expect.compactions_min.is_some() {
        cluster.record_compactions();
    }
    cluster.restore();
    if !cluster.all_ready(START_TIMEOUT).await {
        return;
    }
    let swept_within = run.plan.swept_within().unwrap_or_default();
    let recover_within = (*run.plan.expect.recover_within).max(*swept_within);
    match run.plan.expect.converge_within {
        None => sleep(recover_within).await,
        Some(converge_within) => {
            for _ in 0..run.plan.workload.reads_back {
                clients.read_back().await;
            }
            sleep((*converge_within).max(recover_within)).await;
            enter(Phase::Converged);
            if let Err(reason) = inspection::observe(run, cluster).await {
                run.recorder.record("observer", Event::InspectionFailed { reason });
                return;
            }
        }
    }

    cluster.record_catalog_states(*run.plan.catalog.agree_within).await;
    if let Err(reason) = packs::observe(run, cluster).await {
        run.recorder.record("observer", Event::InspectionFailed { reason });
        return;
    }
    git::clone_all(run, cluster, 0).await;

    enter(Phase::Settled);
    let settled = Instant::now();
    catalog_clients.update(SETTLED_UPDATES).await;
    git_clients.update(SETTLED_UPDATES).await;
    clients.put_and_drain(run.plan.workload.settled_puts).await;
    // A replica that has not received these after a request's time never will.
    sleep_until(settled + *run.plan.workload.request_timeout).await;
    // No time passes between the last acknowledgement and the power loss: what was
    // acknowledged before it was safe is gone.
    join3(catalog_clients.update(1), clients.put_one_each(), git_clients.update(1)).await;

    enter(Phase::Inspect);
    cluster.power_cycle();
    if !cluster.all_ready(START_TIMEOUT).await {
        return;
    }
    cluster.record_catalog_states(*run.plan.catalog.agree_within).await;
    git::clone_all(run, cluster, 1).await;
    let looked = async {
        catalog::read_catalog(run, cluster).await?;
        bulk::read(run, cluster).await?;
        inspection::inspect(run, cluster).await
    };
    match looked.await {
        Ok(()) => run.recorder.record("world", Event::Ended),
        Err(reason) => run.recorder.record("inspector", Event::InspectionFailed { reason }),
    }
}

fn setting(plan: &Plan, seed: u64) -> Setting {
    let micros = |time: Time| u64::try_from(time.as_micros()).expect("far below an age");
    Setting {
        scenario: plan.name.clone(),
        seed,
        nodes: plan.node_names(),
        replicas: plan.cluster.replicas,
        write_quorum: plan.cluster.write_quorum,
        read_quorum: plan.cluster.read_quorum,
        request_timeout_us: micros(plan.workload.request_timeout),
        recover_within_us: micros(plan.expect.recover_within),
        put_share_min: plan.expect.put_share_min,
        puts_acked_min: plan.expect.puts_acked_min,
        failed_in_reach_max: plan.expect.failed_in_reach_max,
        dials_per_10s_max: plan.expect.dials_per_10s_max,
        connections_max: plan.expect.connections_max,
        compactions_min: plan.expect.compactions_min,
        deletions_min: plan.expect.deletions_min,
        converge_within_us: plan.expect.converge_within.map(micros),
        compares: plan.repair.compares,
        finds_rot: plan.finds_rot(),
        catalog: CatalogSetting {
            agree_within_us: micros(plan.catalog.agree_within),
            updates_min: plan.catalog.updates_min,
            snapshots_min: plan.catalog.snapshots_min,
            gap_max_us: plan.catalog.gap_max.map(micros),
            voters: plan.catalog.voters.clone(),
        },
        git: plan.git.as_ref().map(|git| GitSetting {
            answer_within_us: micros(git.answer_within),
            pushes_min: git.pushes_min,
            fetches_min: git.fetches_min,
            swept_within_us: git.swept_within.map(micros),
        }),
    }
}
