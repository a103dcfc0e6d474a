//! The Git clients of a run, and clones of everything by one that took no part.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use gitstratum::catalog::Participant;
use gitstratum_host::disk::Fault;
use gitstratum_host::{Host, Net};
use gitstratum_store::SegmentStore;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::client_group::{Begin, ClientGroup, GroupClient};
use super::configs::HTTP_PORT;
use super::connecting::connect_plainly;
use super::{Cluster, Run, configs};
use crate::broken::{Haste, HastyGateway, UncheckedGateway, sweep_without_lease};
use crate::scenario::{Control, GitPlan};
use crate::trace::CLONER;
use crate::workload::git::{GitWorker, Outfit, SideDoor};
use crate::workload::stream;

/// What stands for chunks that are acknowledged before they are durable: a disk that says that it
/// synced its segments, and does nothing.
pub(super) fn unsynced_segments() -> Fault {
    Fault::lying_sync().on_names_ending(".seg")
}

/// The wait that a control's own gateway leaves out, if it has one.
pub(super) fn haste(control: Control) -> Option<Haste> {
    match control {
        Control::ReportBeforeCommit => Some(Haste::ReportBeforeCommit),
        Control::CommitBeforeW => Some(Haste::CommitBeforeW),
        _ => None,
    }
}

/// What a control has run beside a node, in the node's process.
#[derive(Clone)]
pub(super) struct Beside {
    run: Run,
    peers: Vec<String>,
}

impl Beside {
    /// Nothing, where no control does so.
    pub(super) fn of(run: &Run, peers: Vec<String>) -> Option<Self> {
        let control = run.control?;
        let runs = haste(control).is_some() || control == Control::NoLease;
        runs.then(|| Beside { run: run.clone(), peers })
    }

    /// Starts it; called within the process, and ends with it. No two processes have the same
    /// `node` and `boot`.
    pub(super) fn start(
        self,
        net: Net,
        (node, boot): (String, u64),
        store: Arc<SegmentStore>,
        participant: Arc<Participant>,
    ) {
        let Beside { run, peers } = self;
        let Some(haste) = run.control.and_then(haste) else {
            tokio::spawn(sweep_without_lease(store, participant));
            return;
        };
        let mut rng = stream(run.seed, &format!("gateway/{node}/{boot}"));
        tokio::spawn(async move {
            let listener = net.listen(configs::http_address()).await;
            let listener = listener.expect("the node itself does not listen there");
            let client = connect_plainly(&run, net, &peers, ChaCha12Rng::from_rng(&mut rng)).await;
            HastyGateway { haste, participant, client, rng }.serve(listener).await;
        });
    }
}

#[async_trait]
impl GroupClient for GitWorker {
    async fn run_until(&mut self, end: Instant) {
        GitWorker::run_until(self, end).await;
    }

    async fn update_many(&mut self, count: usize) {
        self.push_many(count).await;
    }
}

/// Starts the Git clients.
pub(super) async fn start_clients(run: &Run, cluster: &Cluster) -> ClientGroup {
    let Some(plan) = &run.plan.git else { return ClientGroup::default() };
    let begin = |(index, name): (usize, String)| -> (String, Begin) {
        let (run, plan, peers) = (run.clone(), plan.clone(), cluster.peers());
        let machine = name.clone();
        let begin = move |host: Host| {
            async move {
                let side_door = side_door(&run, &name, &host.net, &peers).await;
                let numbered = (index as u64 + 1, name.as_str());
                let worker = GitWorker::new(numbered, host.net, side_door, outfit(&run, plan));
                Box::new(worker) as Box<dyn GroupClient>
            }
            .boxed()
        };
        (machine, Box::new(begin))
    };
    let clients = plan.client_names().into_iter().enumerate().map(begin).collect();
    ClientGroup::start(cluster, clients).await
}

/// Clones every repository through every node, for the first time or another.
pub(super) async fn clone_all(run: &Run, cluster: &Cluster, round: u64) {
    let Some(plan) = run.plan.git.clone() else { return };
    let (tell, told) = oneshot::channel();
    let within: Duration = (*run.plan.catalog.agree_within).max(*plan.answer_within);
    let outfit = outfit(run, plan);
    cluster.client_machine(CLONER).start(move |host| async move {
        // Numbers that no client has.
        let numbered = (outfit.plan.clients as u64 + 1 + round, CLONER);
        GitWorker::new(numbered, host.net, None, outfit).clone_all(within).await;
        // The world may have given up waiting.
        let _ = tell.send(());
    });
    // What it found is in the trace.
    let _ = told.await;
}

fn outfit(run: &Run, plan: GitPlan) -> Outfit {
    let at = |node: String| (node.clone(), format!("{node}:{HTTP_PORT}"));
    Outfit {
        seed: run.seed,
        plan,
        histories: run.histories.clone(),
        recorder: run.recorder.clone(),
        nodes: run.plan.node_names().into_iter().map(at).collect(),
    }
}

/// Where a client pushes what is not complete, with the control that takes it.
async fn side_door(
    run: &Run,
    name: &str,
    net: &Net,
    peers: &[String],
) -> Option<Box<dyn SideDoor>> {
    if run.control != Some(Control::UncheckedConnectivity) {
        return None;
    }
    let mut rng = stream(run.seed, &format!("unchecked/{name}"));
    let client = connect_plainly(run, net.clone(), peers, rng.clone()).await;
    Some(Box::new(UncheckedGateway::new(client, name, &mut rng)))
}
