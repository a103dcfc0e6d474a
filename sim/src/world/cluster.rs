//! Simulated cluster.
//!
//! The machines of a run: nodes, clients, and one to inspect from.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use gitstratum::catalog::Participant;
use gitstratum::config::{
    AccessConfig, CatalogConfig, Config, HttpConfig, LogConfig, MonitorConfig, PoolConfig,
    RepairConfig, StoreConfig, TlsConfig, TracesConfig,
};
use gitstratum::server::{self, Serving};
use gitstratum_cluster::repair::CatchingUp;
use gitstratum_cluster::transport::server::ServerOptions;
use gitstratum_core::placement::{ClusterId, Layout, MemberState, NodeId};
use gitstratum_host::Disk;
use gitstratum_host::signal::Terminations;
use gitstratum_host::simulated::{Link, Machine, Network};
use rand::RngCore;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::deletions::{self, Deletions};
use super::git::Beside;
use super::packs::{self, Holdings};
use super::processes::Hold;
use super::strangers::Stranger;
use super::{Run, catalog, compactions, configs, disks, git};
use crate::scenario::Control;
use crate::trace::{CLONER, Event, Recorder, Stop};
use crate::workload::stream;

/// Where every node listens.
pub(super) const PORT: u16 = 7000;

/// How often it is looked whether nodes have caught up.
const CAUGHT_UP_LOOK: Duration = Duration::from_millis(50);

/// The machines of a run.
pub struct Cluster {
    pub(super) seed: u64,
    pub(super) recorder: Recorder,
    pub(super) network: Network,
    /// Every link at the beginning.
    pub(super) first_link: Link,
    pub(super) layout: Layout,
    /// The cluster that strangers belong to.
    pub(super) strangers: ClusterId,
    /// How nodes repair one another.
    repair: RepairConfig,
    /// How nodes store.
    store: StoreConfig,
    /// How nodes agree on names.
    catalog: CatalogConfig,
    /// How nodes serve Git, if they do.
    http: HttpConfig,
    /// Whether nodes are told what to delete.
    deletes: bool,
    /// Whether nodes are asked what they hold of packs.
    looks_into_stores: bool,
    /// What a control has run in the processes of nodes.
    beside: Option<Beside>,
    pub(super) nodes: BTreeMap<String, Machine>,
    others: BTreeMap<String, Machine>,
    /// Nodes that listen.
    ready: watch::Sender<BTreeSet<String>>,
    pub(super) changes: Arc<Mutex<Changes>>,
    /// Whether a process that is asked to stop is killed instead.
    stops_abruptly: bool,
}

/// What the scenario changed so far.
#[derive(Default)]
pub(super) struct Changes {
    /// Whether what each node lacks counts as absent, as it was started last.
    catching_up: BTreeMap<String, Arc<CatchingUp>>,
    /// The part of each node in the catalog, as it was started last.
    pub(super) participants: BTreeMap<String, Weak<Participant>>,
    /// Where each node is told what to delete, as it was started last.
    pub(super) deletions: BTreeMap<String, Deletions>,
    /// Where each node is asked what it holds of packs, as it was started last.
    pub(super) holdings: BTreeMap<String, Holdings>,
    /// How often each node was started; no process draws what one before it drew.
    starts: BTreeMap<String, u64>,
    pub(super) cuts: BTreeSet<(String, String)>,
    /// Links that are not as they were at first.
    pub(super) links: BTreeSet<(String, String)>,
    /// Nodes whose processes do not have the processor to themselves.
    pub(super) held: BTreeMap<String, Hold>,
    /// Nodes that were asked to stop.
    pub(super) asked: BTreeSet<String>,
    /// Whether the name service is late.
    pub(super) names_late: bool,
    /// Who else answers at addresses that nodes had.
    pub(super) strangers: Vec<Stranger>,
    /// What the names resolve to.
    names: BTreeMap<String, Option<Ipv4Addr>>,
    /// The layout that was given out last, if it was changed at all.
    pub(super) layout: Option<Layout>,
    /// Nodes whose disks were replaced.
    pub(super) replaced: BTreeSet<String>,
    /// Nodes whose disks are slow, stalled or full.
    pub(super) troubled: BTreeSet<String>,
    /// How far clocks are ahead.
    pub(super) ahead: BTreeMap<String, Duration>,
    /// Deletions so far.
    pub(super) condemned: u32,
    /// Addresses given out since the beginning.
    moves: u8,
}

impl Cluster {
    /// All machines of a plan, switched on, with their names; no process runs.
    pub fn new(run: &Run) -> Self {
        let Run { plan, seed, recorder, .. } = run;
        let seed = *seed;
        let draw = |purpose: &str| stream(seed, purpose).next_u64();
        let link = Link { latency: plan.network.latency.0.clone(), loss: plan.network.loss };
        let network = Network::new(draw("network"), link.clone());
        let machine = |name: &str, address: Ipv4Addr| {
            let (disk, seed) = (disks::profile(&plan.disk), draw(&format!("machine/{name}")));
            let machine = Machine::new(&network, name, address, disk, seed);
            machine.disk().set_loss(disks::loss(&plan.disk));
            if run.control == Some(Control::UnsyncedCompaction) {
                machine.disk().inject(compactions::unsynced());
            }
            if run.control == Some(Control::UnsyncedSegments) {
                machine.disk().inject(git::unsynced_segments());
            }
            if run.control == Some(Control::UnsyncedLog) {
                machine.disk().inject(catalog::unsynced_log());
            }
            machine
        };
        let numbered = |names: Vec<String>, subnet: u8| -> BTreeMap<String, Machine> {
            let host = |number: usize| u8::try_from(number + 1).expect("at most 100 of a kind");
            let place = |(number, name): (usize, String)| {
                let made = machine(&name, Ipv4Addr::new(10, 0, subnet, host(number)));
                (name, made)
            };
            names.into_iter().enumerate().map(place).collect()
        };
        let nodes = numbered(plan.node_names(), 1);
        let mut others = numbered(plan.client_names(), 2);
        others.extend(numbered(plan.catalog.client_names(), 5));
        if let Some(git) = &plan.git {
            others.extend(numbered(git.client_names(), 6));
            others.extend(numbered(vec![CLONER.to_owned()], 7));
        }
        others.extend(numbered(
            [super::inspection::MACHINE, super::layouts::MACHINE, super::inspection::OBSERVER]
                .map(str::to_owned)
                .into(),
            3,
        ));
        let mut cluster = Cluster {
            seed,
            recorder: recorder.clone(),
            layout: configs::layout(plan),
            strangers: configs::strangers(run),
            repair: configs::repair(run),
            store: configs::store(run),
            catalog: configs::catalog(&plan.catalog),
            http: configs::http(run),
            deletes: plan.deletes(),
            looks_into_stores: plan.swept_within().is_some(),
            beside: None,
            nodes,
            others,
            ready: watch::Sender::new(BTreeSet::new()),
            changes: Arc::default(),
            stops_abruptly: run.control == Some(Control::AbruptStop),
            first_link: link,
            network,
        };
        for (name, machine) in &cluster.nodes {
            cluster.set_dns(name, Some(machine.address()));
        }
        cluster.set_up_network(run);
        cluster.beside = Beside::of(run, cluster.peers());
        cluster
    }

    /// What clients are told to connect to.
    pub fn peers(&self) -> Vec<String> {
        self.layout.members.iter().map(|member| member.address.clone()).collect()
    }

    /// A machine that is no node.
    pub fn client_machine(&self, name: &str) -> &Machine {
        &self.others[name]
    }

    /// A node's disk, to do things to from outside.
    pub(super) fn disk(&self, name: &str) -> Disk {
        self.nodes[name].disk()
    }

    /// Starts the nodes that do not run.
    pub fn start_all(&self) {
        for name in self.nodes.keys() {
            self.start(name);
        }
    }

    /// Starts a node's process as `gitstratum serve` would. Nothing happens when one runs.
    pub fn start(&self, name: &str) {
        let machine = &self.nodes[name];
        if machine.is_running() {
            return;
        }
        let boot = {
            let mut changes = self.changes();
            let starts = changes.starts.entry(name.to_owned()).or_default();
            *starts += 1;
            *starts
        };
        let rng = stream(self.seed, &format!("node/{name}/{boot}"));
        let config = Config {
            node_id: NodeId::new(name),
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)),
            store: self.store.clone(),
            pool: PoolConfig::default(),
            repair: self.repair.clone(),
            catalog: self.catalog.clone(),
            http: self.http.clone(),
            monitor: MonitorConfig::default(),
            access: AccessConfig::default(),
            tls: TlsConfig::default(),
            log: LogConfig::default(),
            traces: TracesConfig::default(),
            server: ServerOptions::default(),
            layout: self.layout.clone(),
            alone: false,
        };
        let (recorder, ready, node) = (self.recorder.clone(), self.ready.clone(), name.to_owned());
        let changes = self.changes.clone();
        let (deletes, looks_into_stores) = (self.deletes, self.looks_into_stores);
        let beside = self.beside.clone();
        self.changes().asked.remove(name);
        let address = machine.address().to_string();
        self.recorder.record(name, Event::Started { address });
        machine.start(move |host| async move {
            let listening = {
                let (recorder, ready, node) = (recorder.clone(), ready.clone(), node.clone());
                let (changes, net) = (changes.clone(), host.net.clone());
                move |serving: Serving| {
                    recorder.record(&node, Event::Ready);
                    let mut changes = lock(&changes);
                    let store = serving.store;
                    if deletes {
                        changes.deletions.insert(node.clone(), deletions::of(store.clone()));
                    }
                    if looks_into_stores {
                        changes.holdings.insert(node.clone(), packs::of(store.clone()));
                    }
                    changes.catching_up.insert(node.clone(), serving.catching_up);
                    if let Some(participant) = serving.catalog {
                        participant.observe(catalog::observer(recorder, node.clone()));
                        changes.participants.insert(node.clone(), Arc::downgrade(&participant));
                        if let Some(beside) = beside {
                            beside.start(net, (node.clone(), boot), store, participant);
                        }
                    }
                    ready.send_modify(|ready| {
                        ready.insert(node);
                    });
                }
            };
            let mut requests = Terminations::watch();
            let result = server::serve(config, host, rng, listening, requests.next()).await;
            ready.send_modify(|ready| {
                ready.remove(&node);
            });
            let was_asked = lock(&changes).asked.contains(&node);
            let reason = match result {
                Ok(()) if was_asked => return,
                Ok(()) => "nobody had asked it to".to_owned(),
                Err(error) => error.to_string(),
            };
            recorder.record(&node, Event::Exited { reason });
        });
    }

    /// A node's present address.
    pub(super) fn address(&self, name: &str) -> Ipv4Addr {
        self.nodes[name].address()
    }

    /// Whether a node's process runs.
    pub fn is_running(&self, name: &str) -> bool {
        self.nodes[name].is_running()
    }

    /// Whether a node listens.
    pub(super) fn is_ready(&self, name: &str) -> bool {
        self.ready.borrow().contains(name)
    }

    /// Ends a node's process, or its power.
    pub fn stop(&self, name: &str, by: Stop) {
        let machine = &self.nodes[name];
        match by {
            Stop::Terminate if self.stops_abruptly => machine.crash(),
            Stop::Crash => machine.crash(),
            Stop::PowerOff => machine.power_off(),
            Stop::Terminate => {
                // As service managers do: a process that stands still would never take the signal.
                if self.changes().held.get(name) == Some(&Hold::Paused) {
                    self.resume(name);
                }
                self.changes().asked.insert(name.to_owned());
                machine.terminate();
            }
        }
        self.changes().held.remove(name);
        self.ready.send_modify(|ready| {
            ready.remove(name);
        });
        self.recorder.record(name, Event::Stopped { by });
    }

    /// Cuts the power of all nodes in one moment, and starts them again.
    pub fn power_cycle(&self) {
        for name in self.nodes.keys() {
            self.stop(name, Stop::PowerOff);
        }
        self.start_all();
    }

    /// Waits until every node listens; records those that do not in time.
    pub async fn all_ready(&self, within: Duration) -> bool {
        let mut ready = self.ready.subscribe();
        let all = ready.wait_for(|ready| ready.len() == self.nodes.len());
        if timeout(within, all).await.is_ok() {
            return true;
        }
        let ready = self.ready.borrow().clone();
        for name in self.nodes.keys().filter(|name| !ready.contains(*name)) {
            self.recorder.record(name, Event::NotReady);
        }
        false
    }

    /// Records who drains in the first layout.
    pub fn record_idle(&self) {
        for node in self.layout.in_state(MemberState::Draining) {
            self.recorder.record(node.node_id.as_str(), Event::Idle);
        }
    }

    /// Waits until no node has to catch up: a cluster that nobody has used yet.
    pub async fn all_caught_up(&self, within: Duration) -> bool {
        // A node that drains from the beginning on has nothing to catch up with.
        let active = |node: &str| {
            let member = self.layout.member(&NodeId::new(node));
            member.is_some_and(|member| member.state == MemberState::Active)
        };
        let pending = || {
            let changes = self.changes();
            let mut nodes = changes.catching_up.iter().filter(|(node, _)| active(node));
            nodes.any(|(_, node)| node.is_pending())
        };
        let all = async {
            while pending() {
                sleep(CAUGHT_UP_LOOK).await;
            }
        };
        timeout(within, all).await.is_ok()
    }

    /// Gives a node that is off another address: the one that `takes_from` had at the
    /// beginning if that is free, else one that no machine ever had.
    pub fn relocate(&self, name: &str, takes_from: Option<&str>) {
        let wished = takes_from.map(|other| {
            let number = self.nodes.keys().position(|node| node == other);
            Ipv4Addr::new(10, 0, 1, u8::try_from(number.expect("a node") + 1).expect("few nodes"))
        });
        let strangers: Vec<Ipv4Addr> =
            self.changes().strangers.iter().map(|stranger| stranger.machine.address()).collect();
        let taken = |address: &Ipv4Addr| {
            let mut nodes = self.nodes.values();
            nodes.any(|machine| machine.address() == *address) || strangers.contains(address)
        };
        let address = wished.filter(|address| !taken(address)).unwrap_or_else(|| {
            let mut changes = self.changes();
            changes.moves += 1;
            Ipv4Addr::new(10, 0, 4, changes.moves)
        });
        self.nodes[name].set_address(address);
    }

    /// Lets a node's name resolve to where it is, or to nothing.
    pub fn dns_follows(&self, name: &str, resolves: bool) {
        self.set_dns(name, resolves.then(|| self.nodes[name].address()));
    }

    fn set_dns(&self, name: &str, address: Option<Ipv4Addr>) {
        if self.changes().names.insert(name.to_owned(), address) == Some(address) {
            return;
        }
        self.network.set_dns(name, address);
        let address = address.map(|address| address.to_string());
        self.recorder.record(name, Event::Dns { address });
    }

    /// Stops packets of one direction.
    pub fn cut(&self, from: &str, to: &str) {
        if self.changes().cuts.insert((from.to_owned(), to.to_owned())) {
            self.network.cut(from, to);
            self.recorder.record(from, Event::Cut { to: to.to_owned() });
        }
    }

    /// Ends every cut, and what was done to links.
    pub fn mend_all(&self) {
        self.restore_links();
        let cuts = std::mem::take(&mut self.changes().cuts);
        for (from, to) in cuts {
            self.network.mend(&from, &to);
            self.recorder.record(&from, Event::Mended { to });
        }
    }

    /// Ends every fault that the scenario left: everything runs, is joined, and is found
    /// under its name.
    pub fn restore(&self) {
        self.mend_all();
        self.delay_names(Duration::ZERO);
        for name in self.nodes.keys() {
            self.release_disk(name);
            self.resume(name);
            self.set_clock(name, Duration::ZERO);
        }
        self.start_all();
        for name in self.nodes.keys() {
            self.dns_follows(name, true);
        }
    }

    /// Names of all machines that are not in `these`.
    pub fn all_but(&self, these: &[String]) -> Vec<String> {
        let all = self.nodes.keys().chain(self.others.keys());
        all.filter(|name| !these.contains(name)).cloned().collect()
    }

    /// Records what went over the wire.
    pub fn record_wire(&self) {
        let stats = self.network.stats();
        let event = Event::Wire {
            packets_sent: stats.packets_sent,
            packets_delivered: stats.packets_delivered,
            packets_dropped: stats.packets_dropped,
            bytes_sent: stats.bytes_sent,
            digest: format!("{:016x}", stats.digest),
        };
        self.recorder.record("world", event);
    }

    /// Switches everything off, so that the run's memory is freed.
    pub async fn shut_down(&self) {
        let strangers = std::mem::take(&mut self.changes().strangers);
        let strangers = strangers.iter().map(|stranger| &stranger.machine);
        for machine in self.nodes.values().chain(self.others.values()).chain(strangers) {
            machine.power_off();
        }
        self.network.shut_down();
        // Tasks that were killed are dropped when the executor next comes by.
        sleep(Duration::from_millis(1)).await;
    }

    /// One thread runs everything, so this never waits.
    pub(super) fn changes(&self) -> MutexGuard<'_, Changes> {
        lock(&self.changes)
    }
}

pub(super) fn lock(changes: &Mutex<Changes>) -> MutexGuard<'_, Changes> {
    changes.lock().expect("a run that panicked goes no further")
}
