//! Three `gitstratum serve` processes on loopback, ended when the value is dropped.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gitstratum::config::{
    AccessConfig, CatalogConfig, Config, HttpConfig, LoadedConfig, LogConfig, MonitorConfig,
    PoolConfig, RepairConfig, StoreConfig, TlsConfig, TracesConfig,
};
use gitstratum_cluster::client::{Client, ClientOptions};
use gitstratum_cluster::transport::Security;
use gitstratum_cluster::transport::server::ServerOptions;
use gitstratum_cluster::wire::metrics::metrics_of;
use gitstratum_core::metrics::Samples;
use gitstratum_core::placement::{Layout, Member, NodeId};
use gitstratum_host::Net;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use tokio::time::Instant;

use crate::{Outcome, REPLICAS, process};

/// The program under test, built by cargo beside the benchmark.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_gitstratum");

/// All nodes must answer by then.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Running nodes.
pub struct Cluster {
    dir: PathBuf,
    nodes: Vec<Child>,
    configured: Vec<LoadedConfig>,
    security: Security,
    /// `HOST:PORT` of each.
    pub peers: Vec<String>,
}

/// Sums over all nodes since they started.
#[derive(Clone, Copy)]
pub struct Totals {
    /// `fdatasync` calls.
    pub syncs: u64,
    /// Bytes sent to disks.
    pub disk_bytes: u64,
}

impl Cluster {
    /// Starts three nodes with their data under `dir`, which is emptied first.
    pub async fn start(dir: &Path) -> Outcome<Self> {
        if dir.exists() {
            fs::remove_dir_all(dir)?;
        }
        fs::create_dir_all(dir)?;
        Self::start_with(dir, Security::Plain, |_| ()).await
    }

    /// Starts three nodes in a directory that has no data yet, configured as `adjust` changes what
    /// they would be; clients secure their connections as is said.
    pub async fn start_with(
        dir: &Path,
        security: Security,
        adjust: impl Fn(&mut Config),
    ) -> Outcome<Self> {
        let listens = free_addresses()?;
        let members = listens.iter().zip(1..).map(|(listen, number)| {
            let node_id = NodeId::new(format!("n{number}"));
            Member::active(node_id, listen.to_string(), format!("z{number}"), 1)
        });
        let layout = Layout::first((REPLICAS, 2, 2), members.collect());
        let peers = listens.iter().map(SocketAddr::to_string).collect();
        let (nodes, configured) = (Vec::new(), Vec::new());
        let mut cluster = Cluster { dir: dir.to_owned(), nodes, configured, security, peers };
        for (member, listen) in layout.members.iter().zip(listens) {
            let mut config = Config {
                node_id: member.node_id.clone(),
                listen,
                store: StoreConfig::default(),
                pool: PoolConfig::default(),
                repair: RepairConfig::default(),
                catalog: CatalogConfig::default(),
                http: HttpConfig::default(),
                monitor: MonitorConfig::default(),
                access: AccessConfig::default(),
                tls: TlsConfig::default(),
                log: LogConfig::default(),
                traces: TracesConfig::default(),
                server: ServerOptions::default(),
                layout: layout.clone(),
                alone: false,
            };
            adjust(&mut config);
            let loaded = LoadedConfig { config, data: dir.join(member.node_id.as_str()) };
            cluster.nodes.push(start_node(dir, &loaded)?);
            cluster.configured.push(loaded);
        }
        cluster.wait_until_all_answer().await?;
        Ok(cluster)
    }

    /// Kills a node, and deletes its data directory.
    pub fn lose(&mut self, node: usize) -> Outcome<()> {
        self.nodes[node].kill()?;
        self.nodes[node].wait()?;
        Ok(fs::remove_dir_all(&self.configured[node].data)?)
    }

    /// Starts a node that was lost, with an empty data directory.
    pub fn start_again(&mut self, node: usize) -> Outcome<()> {
        self.nodes[node] = start_node(&self.dir, &self.configured[node])?;
        Ok(())
    }

    /// A client of its own connections; `seed` makes its choices.
    pub async fn client(&self, seed: u64) -> Outcome<Client> {
        let rng = ChaCha12Rng::seed_from_u64(seed);
        let options = ClientOptions { security: self.security.clone(), ..ClientOptions::default() };
        Ok(Client::connect(Net::new(), &self.peers, rng, options).await?)
    }

    /// Sums over all nodes.
    pub async fn totals(&self, client: &Client) -> Outcome<Totals> {
        let mut totals = Totals { syncs: 0, disk_bytes: 0 };
        for metrics in self.metrics(client).await? {
            totals.syncs += metrics.count("gitstratum_store_syncs_total");
        }
        for node in &self.nodes {
            totals.disk_bytes += process::disk_bytes_written(node.id())?;
        }
        Ok(totals)
    }

    /// What each node counts.
    pub async fn metrics(&self, client: &Client) -> Outcome<Vec<Samples>> {
        let mut metrics = Vec::new();
        for (member, status) in client.status().await {
            let status = status.map_err(|error| format!("{}: {error}", member.node_id))?;
            metrics.push(metrics_of(&status));
        }
        Ok(metrics)
    }

    /// Peak memory of each node in KiB.
    pub fn peaks_kib(&self) -> Vec<u64> {
        self.nodes.iter().filter_map(|node| process::peak_memory_kib(node.id())).collect()
    }

    async fn wait_until_all_answer(&mut self) -> Outcome<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let error = match self.client(0).await {
                Ok(client) => match self.metrics(&client).await {
                    Ok(_) => return Ok(()),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            for node in &mut self.nodes {
                if let Some(status) = node.try_wait()? {
                    return Err(format!("a node ended: {status}; see its .log").into());
                }
            }
            if Instant::now() > deadline {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            // A node that has ended already is as good as killed.
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}

fn start_node(dir: &Path, loaded: &LoadedConfig) -> Outcome<Child> {
    let named =
        |extension: &str| -> PathBuf { dir.join(format!("{}.{extension}", loaded.config.node_id)) };
    fs::write(named("toml"), loaded.to_toml()?)?;
    let log = File::create(named("log"))?;
    let made = Command::new(PROGRAM).args(["init", "--config"]).arg(named("toml")).output()?;
    if !made.status.success() {
        return Err(String::from_utf8_lossy(&made.stderr).into());
    }
    let node = Command::new(PROGRAM)
        .args(["serve", "--config"])
        .arg(named("toml"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    Ok(node)
}

/// Addresses on loopback that were free a moment ago, one for each node.
pub fn free_addresses() -> Outcome<Vec<SocketAddr>> {
    // Held together, so that they differ.
    let listeners: Vec<TcpListener> =
        (0..REPLICAS).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    Ok(listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?)
}
