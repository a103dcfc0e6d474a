//! The catalog of a run: who leads, whether all nodes have the same state, and its clients.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use gitstratum::catalog::{CatalogClient, Participant};
use gitstratum_catalog::State;
use gitstratum_catalog::encode::snapshot;
use gitstratum_consensus::{Applied, GroupStatus, Observer};
use gitstratum_core::placement::NodeId;
use gitstratum_host::Host;
use gitstratum_host::disk::Fault;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::client_group::{Begin, ClientGroup, GroupClient};
use super::cluster::lock;
use super::connecting::connect_plainly;
use super::layouts::MACHINE;
use super::{Cluster, Run, inspection};
use crate::scenario::{FOLLOWER, LEADER};
use crate::trace::{Event, Recorder};
use crate::workload::{Claims, RefWorker, stream};

/// How often the nodes are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// How soon a process ends that has nothing to do any more.
const SHORTLY: Duration = Duration::from_millis(1);
/// Bytes of a hash that tell a few thousand commands apart.
const HASH_BYTES: usize = 8;

/// Syncs of the log that a disk carries out before it lies: as many as the nodes need to become
/// members, so that what is lost is commands and no beginning.
const HONEST_SYNCS: u64 = 60;

/// What stands for a log that is not synced: a disk that says that it did, and does nothing.
pub(super) fn unsynced_log() -> Fault {
    Fault::lying_sync().on("catalog").after(HONEST_SYNCS)
}

/// Records what a node applies.
pub(super) fn observer(recorder: Recorder, node: String) -> Observer {
    Arc::new(move |Applied { index, command, reply }| {
        let (command, reply) = (hash([&command[..]]), hash([&reply[..]]));
        recorder.record(&node, Event::Applied { index, command, reply });
    })
}

fn hash<B: AsRef<[u8]>>(parts: impl IntoIterator<Item = B>) -> String {
    let mut hasher = Sha256::new();
    parts.into_iter().for_each(|part| hasher.update(part));
    hex::encode(&hasher.finalize()[..HASH_BYTES])
}

/// Whether a node says that it leads.
fn leads(status: &GroupStatus) -> bool {
    status.leader.as_ref().is_some_and(|leader| leader.id == status.member)
}

/// The names of those who vote, where that is settled.
fn voters(status: &GroupStatus) -> Option<Vec<String>> {
    let [voters] = &status.voters[..] else { return None };
    let mut names: Vec<String> =
        voters.iter().filter_map(|id| status.nodes.get(id).cloned()).collect();
    names.sort();
    Some(names)
}

impl Cluster {
    pub(super) fn participant(&self, node: &str) -> Option<Arc<Participant>> {
        self.changes().participants.get(node)?.upgrade()
    }

    /// What each node that runs says of the group.
    fn group_statuses(&self) -> Vec<(String, GroupStatus)> {
        let of = |node: &String| Some((node.clone(), self.participant(node)?.status()?));
        self.nodes.keys().filter(|node| self.is_running(node)).filter_map(of).collect()
    }

    /// The node that leads, or the one that says so in the latest term.
    fn leader(&self) -> Option<String> {
        self.leading().map(|(node, _)| node)
    }

    fn leading(&self) -> Option<(String, GroupStatus)> {
        let statuses = self.group_statuses().into_iter().filter(|(_, status)| leads(status));
        statuses.max_by_key(|(_, status)| status.term)
    }

    /// Who says that it leads, at any moment.
    fn claims(&self) -> Claims {
        let changes = Arc::downgrade(&self.changes);
        Claims::new(move || {
            let Some(changes) = changes.upgrade() else { return Vec::new() };
            let participants = lock(&changes).participants.clone();
            let says = |participant: &Weak<Participant>| {
                let status = participant.upgrade().and_then(|participant| participant.status());
                status.is_some_and(|status| leads(&status))
            };
            let claiming = participants.iter().filter(|(_, participant)| says(participant));
            claiming.map(|(node, _)| NodeId::new(node.as_str())).collect()
        })
    }

    /// Records who votes whenever that has changed, where the scenario wants to know. Never ends.
    pub(super) async fn watch_voters(&self, run: &Run) {
        if run.plan.catalog.voters.is_empty() {
            return std::future::pending().await;
        }
        let mut last = None;
        loop {
            let now = self.leading().and_then(|(_, status)| voters(&status));
            if let Some(voters) = now.filter(|now| last.as_ref() != Some(now)) {
                last = Some(voters.clone());
                self.recorder.record("world", Event::Voters { voters });
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// The names of nodes, with those that stand for a part put in their place: the first node
    /// where none leads.
    pub(super) fn resolved(&self, names: &[String]) -> Vec<String> {
        if !names.iter().any(|name| name == LEADER || name == FOLLOWER) {
            return names.to_vec();
        }
        let first = || self.nodes.keys().next().cloned().expect("a cluster has nodes");
        let leader = self.leader().unwrap_or_else(first);
        let named = |node: &String| *node == leader || names.contains(node);
        let follower = self.nodes.keys().find(|node| !named(node)).unwrap_or(&leader);
        let put = |name: &String| match name.as_str() {
            LEADER => leader.clone(),
            FOLLOWER => follower.clone(),
            _ => name.clone(),
        };
        names.iter().map(put).collect()
    }

    /// Waits until all nodes are members, and so many vote.
    pub(super) async fn catalog_formed(&self, voters_wanted: usize, within: Duration) -> bool {
        let is_formed = || {
            let statuses = self.group_statuses();
            let knows = |(_, status): &(String, GroupStatus)| {
                let voters: Vec<usize> = status.voters.iter().map(BTreeSet::len).collect();
                voters == [voters_wanted] && status.nodes.len() == self.nodes.len()
            };
            statuses.len() == self.nodes.len() && statuses.iter().all(knows)
        };
        let formed = async {
            while !is_formed() {
                sleep(LOOK_INTERVAL).await;
            }
        };
        let formed = timeout(within, formed).await.is_ok();
        if !formed {
            self.recorder.record("world", Event::NoCatalog);
        }
        formed
    }

    /// Waits until all nodes have the same catalog, with the layout in force, and records what each
    /// has then, or when the time is over. A node that left the layout need not have it.
    pub(super) async fn record_catalog_states(&self, within: Duration) {
        let layout = self.changes().layout.clone().unwrap_or_else(|| self.layout.clone());
        let has_left = |node: &String| !layout.is_read_from(&NodeId::new(node.as_str()));
        let members: Vec<&String> = self.nodes.keys().filter(|node| !has_left(node)).collect();
        let head = |node: &String| {
            let head = |state: &State| {
                (state.head().position, state.layout().map(|layout| layout.version))
            };
            self.participant(node)?.with_local(head)
        };
        let agreed = async {
            loop {
                // Those whose disks were replaced have none, and never will.
                let heads: BTreeSet<_> = members.iter().copied().filter_map(head).collect();
                let is_newest =
                    |(_, version): &(u64, Option<u64>)| *version >= Some(layout.version);
                if heads.len() == 1
                    && heads.iter().all(is_newest)
                    && self.all_have(members.iter().copied())
                {
                    return;
                }
                sleep(LOOK_INTERVAL).await;
            }
        };
        let _ = timeout(within, agreed).await;
        for node in self.nodes.keys() {
            let digest = self
                .participant(node)
                .and_then(|participant| participant.with_local(|state| hash(snapshot(state))));
            let event = match (head(node), digest) {
                _ if has_left(node) => Event::LeftCatalog,
                (Some((position, layout)), Some(digest)) => {
                    Event::CatalogState { position, digest, layout }
                }
                _ => Event::NoCatalog,
            };
            self.recorder.record(node, event);
        }
    }

    /// Whether all of these have a catalog, but for those whose disks were replaced.
    fn all_have<'a>(&self, mut nodes: impl Iterator<Item = &'a String>) -> bool {
        let replaced = self.changes().replaced.clone();
        nodes.all(|node| replaced.contains(node) || self.has_catalog(node))
    }

    fn has_catalog(&self, node: &str) -> bool {
        self.participant(node).is_some_and(|participant| participant.status().is_some())
    }
}

#[async_trait]
impl GroupClient for RefWorker {
    async fn run_until(&mut self, end: Instant) {
        RefWorker::run_until(self, end).await;
    }

    async fn update_many(&mut self, count: usize) {
        RefWorker::update_many(self, count).await;
    }
}

/// Starts the clients of the catalog, and waits until each has found the cluster.
pub(super) async fn start_clients(run: &Run, cluster: &Cluster) -> ClientGroup {
    let plan = &run.plan.catalog;
    let begin = |(index, name): (usize, String)| -> (String, Begin) {
        let (run, plan, peers) = (run.clone(), plan.clone(), cluster.peers());
        let (machine, claims) = (name.clone(), cluster.claims());
        let begin = move |host: Host| {
            async move {
                let rng = stream(run.seed, &format!("client/{name}"));
                let client = connect_plainly(&run, host.net, &peers, rng).await;
                let numbered = (index + 1, name.as_str());
                let careless = run.control.map(|control| (control, claims));
                let (plan, recorder) = ((plan, careless), run.recorder.clone());
                let worker = RefWorker::new(run.seed, numbered, client, plan, recorder);
                Box::new(worker) as Box<dyn GroupClient>
            }
            .boxed()
        };
        (machine, Box::new(begin))
    };
    let clients = plan.client_names().into_iter().enumerate().map(begin).collect();
    ClientGroup::start(cluster, clients).await
}

/// Reads every repository once more, by a client that took no part. There are none without clients.
pub(super) async fn read_catalog(run: &Run, cluster: &Cluster) -> Result<(), String> {
    let plan = run.plan.catalog.clone();
    if plan.clients == 0 {
        return Ok(());
    }
    let (tell, told) = oneshot::channel();
    let (run, peers) = (run.clone(), cluster.peers());
    cluster.client_machine(inspection::OBSERVER).start(move |host| async move {
        let name = inspection::OBSERVER;
        let rng = stream(run.seed, "catalog-inspection");
        let client = connect_plainly(&run, host.net, &peers, rng).await;
        let mut reader = RefWorker::new(run.seed, (0, name), client, (plan, None), run.recorder);
        // The world may have given up waiting.
        let _ = tell.send(reader.read_all().await);
    });
    told.await.unwrap_or_else(|_| Err("the inspecting process died".to_owned()))
}

/// Has a client of the catalog do something, in a process of its own on the operator's machine.
pub(super) async fn with_client<T, F>(
    run: &Run,
    cluster: &Cluster,
    purpose: String,
    work: impl FnOnce(CatalogClient) -> F + Send + 'static,
) -> Result<T, String>
where
    T: Send + 'static,
    F: Future<Output = Result<T, String>> + Send + 'static,
{
    let (tell, told) = oneshot::channel();
    let (run, peers) = (run.clone(), cluster.peers());
    let machine = cluster.client_machine(MACHINE);
    while machine.is_running() {
        // Whatever it did before has its result, and is about to end.
        sleep(SHORTLY).await;
    }
    machine.start(move |host| async move {
        let mut rng = stream(run.seed, &purpose);
        let client = connect_plainly(&run, host.net, &peers, rng.clone()).await;
        // The world may have given up waiting.
        let _ = tell.send(work(CatalogClient::new(client, MACHINE, &mut rng)).await);
    });
    told.await.unwrap_or_else(|_| Err("the process died".to_owned()))
}
