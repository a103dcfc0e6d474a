//! The catalog of a run: who leads, whether all nodes have the same state, and its clients.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use gitstratum::catalog::Participant;
use gitstratum_catalog::encode::snapshot;
use gitstratum_consensus::{Applied, GroupStatus, Observer};
use gitstratum_host::Host;
use gitstratum_host::disk::Fault;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::client_group::{Begin, ClientGroup, GroupClient};
use super::connecting::connect_plainly;
use super::{Cluster, Run, inspection};
use crate::scenario::{FOLLOWER, LEADER};
use crate::trace::{Event, Recorder};
use crate::workload::{RefWorker, stream};

/// How often the nodes are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Voters of a group, at most.
const VOTERS_MAX: usize = 7;
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

/// The position of a node's catalog, and a hash of all of it.
fn state_of(participant: &Participant) -> Option<(u64, String)> {
    participant.with_local(|state| (state.head().position, hash(snapshot(state))))
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
        let statuses = self.group_statuses().into_iter();
        let leads = |(_, status): &(String, GroupStatus)| {
            status.leader.as_ref().is_some_and(|leader| leader.id == status.member)
        };
        statuses.filter(leads).max_by_key(|(_, status)| status.term).map(|(node, _)| node)
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

    /// Waits until all nodes are members, and as many vote as should.
    pub(super) async fn catalog_formed(&self, within: Duration) -> bool {
        let most = self.nodes.len().min(VOTERS_MAX);
        let voters_wanted = most - usize::from(most.is_multiple_of(2));
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

    /// Waits until all nodes have the same catalog, and records what each has then, or when the
    /// time is over.
    pub(super) async fn record_catalog_states(&self, within: Duration) {
        let states = || -> Vec<Option<(u64, String)>> {
            let of = |node: &String| {
                let participant = self.participant(node)?;
                state_of(&participant)
            };
            self.nodes.keys().map(of).collect()
        };
        let agreed = async {
            loop {
                let states = states();
                if states[0].is_some() && states.iter().all(|state| *state == states[0]) {
                    return;
                }
                sleep(LOOK_INTERVAL).await;
            }
        };
        let _ = timeout(within, agreed).await;
        for (node, state) in self.nodes.keys().zip(states()) {
            let event = match state {
                Some((position, digest)) => Event::CatalogState { position, digest },
                None => Event::NoCatalog,
            };
            self.recorder.record(node, event);
        }
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
    let Some(plan) = &run.plan.catalog else { return ClientGroup::default() };
    let begin = |(index, name): (usize, String)| -> (String, Begin) {
        let (run, plan, peers) = (run.clone(), plan.clone(), cluster.peers());
        let machine = name.clone();
        let begin = move |host: Host| {
            async move {
                let rng = stream(run.seed, &format!("client/{name}"));
                let client = connect_plainly(&run, host.net, &peers, rng).await;
                let numbered = (index + 1, name.as_str());
                let (plan, recorder) = ((plan, run.control), run.recorder.clone());
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

/// Reads every repository once more, by a client that took no part.
pub(super) async fn read_catalog(run: &Run, cluster: &Cluster) -> Result<(), String> {
    let Some(plan) = run.plan.catalog.clone() else { return Ok(()) };
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
