//! `dev`: a cluster of real processes on loopback.
//!
//! Each node is this same program with `serve` and a configuration file that stays in the
//! data directory, ports included. A child stops when its standard input closes, so none
//! outlives us however we end.

mod demo;
mod secure;

use std::fs::File;
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::task::Poll;
use std::time::Duration;

use gitstratum_cluster::transport::server::ServerOptions;
use gitstratum_core::limits;
use gitstratum_core::placement::{ClusterId, Layout, Member, NodeId};
use gitstratum_host::Disk;
use gitstratum_host::signal::Terminations;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, timeout_at};

use super::arguments::{Dev, TlsArguments};
use super::serve::refused;
use super::vicinity::check_around;
use super::{Failure, note, seeded_by_the_system, show, wrong_configuration};
use crate::config::{
    AccessConfig, CatalogConfig, Config, ConfigOverrides, HttpConfig, LoadedConfig, LogConfig,
    MonitorConfig, PoolConfig, RepairConfig, StoreConfig, TlsConfig, Tokens, TracesConfig,
};
use crate::server::{NoData, check_founded, found};
use secure::{Certificates, Key};

const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// One node: its configuration file and its process.
struct Node {
    id: NodeId,
    address: SocketAddr,
    /// Where it serves Git; nothing in a directory that an older program made.
    http: Option<SocketAddr>,
    /// Where it says how it is; nothing in such a directory either.
    monitor: Option<SocketAddr>,
    /// Whether it asks Git clients for access tokens.
    is_secure: bool,
    /// Whether it speaks TLS to them.
    speaks_tls: bool,
    /// What commands need to talk to it.
    tls: TlsArguments,
    config: PathBuf,
    /// None while it is dead.
    process: Option<Process>,
}

impl Node {
    /// What the URLs of its repositories begin with.
    fn url(&self) -> Option<String> {
        self.url_as("")
    }

    /// The same, with `USER@` or nothing.
    fn url_as(&self, user: &str) -> Option<String> {
        let scheme = if self.speaks_tls { "https" } else { "http" };
        self.http.map(|http| format!("{scheme}://{user}{http}/"))
    }
}

/// A process that runs a node.
struct Process {
    pid: u32,
    child: Child,
    /// The node stops when this is dropped. Apart from the child, of which waiting drops it.
    stdin: ChildStdin,
}

/// Runs the cluster until it is told to stop.
pub(super) async fn dev(asked: Dev) -> Result<(), Failure> {
    check_around(&asked.data).await?;
    let mut nodes = prepare(&asked)?;
    for node in &nodes {
        found_if_new(node).await?;
    }
    // From here on a request to stop ends the nodes too.
    let mut requests = Terminations::watch();
    let ran = run(&asked, &mut nodes, &mut requests).await;
    stop(&mut nodes).await;
    ran
}

async fn run(asked: &Dev, nodes: &mut [Node], requests: &mut Terminations) -> Result<(), Failure> {
    for node in nodes.iter_mut() {
        start_and_say(node, &asked.data).await?;
    }
    let peers: Vec<String> = nodes.iter().map(|node| node.address.to_string()).collect();
    let key = match nodes.iter().any(|node| node.is_secure) {
        true => Some(secure::key(nodes, &asked.data).await?),
        false => None,
    };
    show(&next_steps(&peers, nodes, key.as_ref()))?;
    if let Some(repository) = &asked.demo {
        let shown = demo::demo(repository.as_deref(), nodes, &asked.data, key);
        super::interruptible("the cluster is stopped", shown).await?;
        if asked.once {
            return Ok(());
        }
    }
    tokio::select! {
        biased;
        () = requests.next() => Ok(()),
        failed = watch(asked, nodes) => failed,
    }
}

/// The nodes of the data directory, their configuration made if it is the first time.
fn prepare(asked: &Dev) -> Result<Vec<Node>, Failure> {
    let (data, count) = (&asked.data, asked.nodes);
    let config_of = |n: u16| data.join(format!("n{n}")).join("config.toml");
    let first = config_of(1);
    if !first.exists() {
        let certificates = asked.secure.then(|| secure::certificates(data, count)).transpose()?;
        write_configurations(data, count, asked.first_port, certificates.as_ref())?;
    }
    let known = Config::load(Some(&first), ConfigOverrides::default());
    let known = known.map_err(wrong_configuration)?.config;
    if asked.secure && known.access.tokens == Tokens::Off {
        return Err(Failure::Usage(format!(
            "--secure: {} holds a cluster that asks for no tokens; name another --data directory \
             for one that does",
            data.display()
        )));
    }
    let members = known.layout.members.len();
    if members != usize::from(count) {
        return Err(Failure::Usage(format!(
            "--nodes: {} holds a cluster of {members}, not of {count}; \
             name another --data directory for another cluster",
            data.display()
        )));
    }
    (1..=count)
        .map(|n| {
            let config = config_of(n);
            let loaded = Config::load(Some(&config), ConfigOverrides::default());
            let LoadedConfig { config: node, .. } = loaded.map_err(wrong_configuration)?;
            Ok(Node {
                id: node.node_id,
                address: node.listen,
                http: node.http.listen,
                monitor: node.monitor.listen,
                is_secure: node.access.tokens == Tokens::Required,
                speaks_tls: node.http.speaks_tls(),
                tls: secure::of_commands(&node.tls),
                config,
                process: None,
            })
        })
        .collect()
}

/// With certificates, they speak TLS and ask for access tokens.
fn write_configurations(
    data: &Path,
    count: u16,
    port_first: u16,
    certificates: Option<&Certificates>,
) -> Result<(), Failure> {
    let tokens = if certificates.is_some() { Tokens::Required } else { Tokens::Off };
    let absolute = std::path::absolute(data).map_err(Failure::operation("find --data"))?;
    let addresses = free_addresses(port_first, 3 * count)
        .map_err(Failure::operation("find free ports: see --first-port"))?;
    let (addresses, others) = addresses.split_at(usize::from(count));
    let (http, monitor) = others.split_at(usize::from(count));
    let replicas = usize::from(count.min(3));
    let quorum = replicas / 2 + 1;
    let member = |(n, address): (u16, &SocketAddr)| {
        let node_id = NodeId::new(format!("n{n}"));
        Member::active(node_id, address.to_string(), format!("z{n}"), 1)
    };
    let members = (1..).zip(addresses).map(member).collect();
    let layout = Layout::first((replicas, quorum, replicas + 1 - quorum), members);
    // Members are sorted by id from here on. Ports are used again, also by another such cluster
    // on this machine: what its nodes then reach must not pass for their own.
    let cluster = ClusterId::random(&mut seeded_by_the_system()?);
    let layout = Layout { cluster: Some(cluster), ..layout }.validated()?;
    // The first node's file is written last: it tells the next run that all are there.
    let listening = addresses.iter().zip(http).zip(monitor);
    for (n, ((&listen, &http), &monitor)) in (1..=count).zip(listening).rev() {
        let directory = absolute.join(format!("n{n}"));
        let config = Config {
            node_id: NodeId::new(format!("n{n}")),
            listen,
            store: StoreConfig::default(),
            pool: PoolConfig::default(),
            repair: RepairConfig::default(),
            catalog: CatalogConfig::default(),
            // What is tried out here is a push.
            http: HttpConfig {
                listen: Some(http),
                certificate: certificates.map(|made| made.git.certificate.clone()),
                key: certificates.map(|made| made.git.key.clone()),
                create_on_push: true,
                ..HttpConfig::default()
            },
            monitor: MonitorConfig { listen: Some(monitor), ..MonitorConfig::default() },
            access: AccessConfig { tokens, ..AccessConfig::default() },
            tls: certificates.map_or_else(TlsConfig::default, |made| made.tls(n)),
            log: LogConfig::default(),
            traces: TracesConfig::default(),
            server: ServerOptions::default(),
            layout: layout.clone(),
            alone: false,
        };
        let text = LoadedConfig { config, data: directory.join("data") }.to_toml()?;
        let writing = || Failure::operation(format!("write under {}", directory.display()));
        std::fs::create_dir_all(&directory).map_err(writing())?;
        std::fs::write(directory.join("config.toml"), text).map_err(writing())?;
    }
    Ok(())
}

/// Makes a node's data directory, if it has none yet.
async fn found_if_new(node: &Node) -> Result<(), Failure> {
    let loaded = Config::load(Some(&node.config), ConfigOverrides::default());
    let LoadedConfig { config, data } = loaded.map_err(wrong_configuration)?;
    let disk = Disk::new(&data);
    if let Err(NoData::Empty { .. }) = check_founded(&disk, &data).await {
        let founded = found(&config, &disk, &mut seeded_by_the_system()?).await;
        founded.map_err(|error| refused(error, &data))?;
    }
    Ok(())
}

/// So many loopback ports from the first on that nobody listens on now.
fn free_addresses(first: u16, count: u16) -> std::io::Result<Vec<SocketAddr>> {
    let ports = first..=u16::MAX;
    let candidates = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    // All are held until the last is found, so that none is found twice.
    let free: Vec<_> = candidates
        .filter_map(|address| TcpListener::bind(address).ok())
        .take(usize::from(count))
        .collect();
    if free.len() < usize::from(count) {
        let said = format!("{} of {count} ports from {first} on are free", free.len());
        return Err(std::io::Error::new(std::io::ErrorKind::AddrNotAvailable, said));
    }
    free.iter().map(TcpListener::local_addr).collect()
}

/// Starts a node, and says so when it listens.
async fn start_and_say(node: &mut Node, data: &Path) -> Result<(), Failure> {
    let process = start(node, data).await?;
    let git = node.url().map(|url| format!(" git {url}")).unwrap_or_default();
    let line = format!("node {} {}{git} pid {}\n", node.id, node.address, process.pid);
    node.process = Some(process);
    show(&line)
}

/// Starts a node and waits until it listens.
async fn start(node: &Node, data: &Path) -> Result<Process, Failure> {
    let log_path = data.join(node.id.as_str()).join("log");
    let starting = || Failure::operation(format!("start node {}", node.id));
    let log = File::options().create(true).append(true).open(&log_path).map_err(starting())?;
    let mut child = Command::new(std::env::current_exe().map_err(starting())?)
        .args(["serve", "--while-stdin-is-open", "--config"])
        .arg(&node.config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(starting())?;
    let mut lines = BufReader::new(child.stdout.take().expect("it was piped")).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.starts_with("listening ") {
            let pid = child.id().expect("nobody waited for it");
            let stdin = child.stdin.take().expect("it was piped");
            return Ok(Process { pid, child, stdin });
        }
    }
    let ended = child.wait().await.map_err(starting())?;
    let log = std::fs::read_to_string(&log_path).unwrap_or_default();
    let last = log.lines().last().unwrap_or_default();
    Err(Failure::Operation(format!("node {} did not start ({ended}): {last}", node.id)))
}

fn next_steps(peers: &[String], nodes: &[Node], key: Option<&Key>) -> String {
    let mut steps = format!(
        "\nThe cluster runs until Ctrl-C. In another terminal:\n\
         \x20 export GITSTRATUM_PEERS={}\n{}\
         \x20 gitstratum import REPO NAME      pushes all of a repository, without git\n\
         \x20 gitstratum export NAME DIR       writes it to disk as a bare repository\n\
         \x20 gitstratum status                what every node holds\n",
        peers.join(","),
        nodes.first().map(|node| secure::exports(&node.tls)).unwrap_or_default(),
    );
    let user = key.map(|key| format!("dev:{}@", key.secret.expose())).unwrap_or_default();
    if let Some(url) = nodes.iter().find_map(|node| node.url_as(&user)) {
        steps += &format!("  git push {url}NAME.git main\n");
        if let Some(key) = key {
            steps += &format!("  git clone {url}NAME.git\n{}", key.explained());
        }
    }
    if let Some((node, monitor)) = nodes.iter().find_map(|node| Some((&node.id, node.monitor?))) {
        steps += &format!(
            "  http://{monitor}/status          how the cluster is, for a browser\n\
             \x20 curl http://{monitor}/metrics    what {node} counts; /readyz, /healthz\n"
        );
    }
    if let Some(node) = nodes.last() {
        steps += &format!(
            "  kill -9 PID                      and later, to start node {} again:\n\
             \x20 gitstratum serve --config {}\n",
            node.id,
            node.config.display()
        );
    }
    steps + "\n"
}

/// Says when a node dies, and starts it again if that was asked for. Ends only by an error.
async fn watch(asked: &Dev, nodes: &mut [Node]) -> Result<(), Failure> {
    loop {
        let (node, ended) = next_death(nodes).await;
        let watching = Failure::operation(format!("watch node {}", node.id));
        show(&format!("node {} died: {}\n", node.id, ended.map_err(watching)?))?;
        if asked.restart {
            tokio::time::sleep(RESTART_PAUSE).await;
            start_and_say(node, &asked.data).await?;
        }
    }
}

/// The next node whose process ends, and how. Loses nothing when it is dropped.
async fn next_death(nodes: &mut [Node]) -> (&mut Node, std::io::Result<ExitStatus>) {
    let (place, ended) = poll_fn(|context| {
        for (place, node) in nodes.iter_mut().enumerate() {
            let Some(process) = &mut node.process else { continue };
            if let Poll::Ready(ended) = pin!(process.child.wait()).poll(context) {
                return Poll::Ready((place, ended));
            }
        }
        Poll::Pending
    })
    .await;
    let node = &mut nodes[place];
    node.process = None;
    (node, ended)
}

/// Lets every node finish what is in flight, then ends the ones that do not.
async fn stop(nodes: &mut [Node]) {
    let running = nodes.iter_mut().filter_map(|node| Some((&node.id, node.process.take()?)));
    // All are told before one is waited for.
    let stopping: Vec<_> = running
        .map(|(id, Process { child, stdin, .. })| {
            drop(stdin);
            (id, child)
        })
        .collect();
    let deadline = Instant::now() + limits::SHUTDOWN_TIMEOUT + Duration::from_secs(2);
    for (id, mut child) in stopping {
        if timeout_at(deadline, child.wait()).await.is_err() {
            note(format_args!("node {id} did not stop in time and is killed"));
            let _ = child.kill().await;
        }
    }
}
