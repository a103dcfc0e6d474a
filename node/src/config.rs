//! A node's configuration: TOML, then environment and flags, then checked.
//!
//! Invariant: nothing starts on a wrong configuration, and nothing about placement or
//! durability is guessed: a cluster states its members and quorums or is refused. The
//! only default cluster is the one of a single node, which keeps one copy.
//!
//! Parsing of arguments and environment is left to the program; it hands over
//! [`ConfigOverrides`].

mod access;
mod catalog;
#[cfg(feature = "cli")]
mod changed;
mod http;
mod log;
mod member;
mod monitor;
mod pool;
mod repair;
mod store;
#[cfg(test)]
mod tests;
mod tls;
mod traces;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use gitstratum_cluster::transport::server::ServerOptions;
use gitstratum_core::config_text::ConfigText;
use gitstratum_core::placement::{
    ClusterTable, Layout, LayoutError, MemberTable, NodeId, layout_from_toml, layout_of, tables_of,
};
use member::{member_of, problem};
use serde::{Deserialize, Serialize};

pub use access::{AccessConfig, CommandTokens, Tokens};
pub use catalog::CatalogConfig;
pub use gitstratum_core::config_text::ConfigError;
pub use http::HttpConfig;
pub use log::{LogConfig, check_levels};
pub use member::{KeptMember, MemberOverrides, data_directory};
pub use monitor::MonitorConfig;
pub use pool::PoolConfig;
pub use repair::RepairConfig;
pub use store::StoreConfig;
pub use tls::{TlsConfig, TlsMode, tls_files};
pub use traces::{Collector, TracesConfig};

/// Where a single node without any configuration listens.
pub const LISTEN_DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7400);

/// A checked configuration. The data directory is not in it: the [`gitstratum_host::Disk`]
/// of the host is rooted there.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who this node is.
    pub node_id: NodeId,
    /// Where it listens.
    pub listen: SocketAddr,
    /// How its store works.
    pub store: StoreConfig,
    /// How it keeps connections to its peers.
    pub pool: PoolConfig,
    /// How it repairs its peers.
    pub repair: RepairConfig,
    /// How it takes part in agreeing on names.
    pub catalog: CatalogConfig,
    /// How it serves Git.
    pub http: HttpConfig,
    /// Where it says how it is.
    pub monitor: MonitorConfig,
    /// Whom it serves.
    pub access: AccessConfig,
    /// How it secures where it listens for nodes and commands, and its way to other nodes.
    pub tls: TlsConfig,
    /// What it logs.
    pub log: LogConfig,
    /// What it traces.
    pub traces: TracesConfig,
    /// What it bounds where it listens. Not in the file: the values are those of `limits`.
    pub server: ServerOptions,
    /// The cluster; contains this node. Its id is there where the operator wrote one.
    pub layout: Layout,
    /// The operator described no cluster: this node is one by itself.
    pub alone: bool,
}

/// A checked configuration with the directory for the host's disk.
#[derive(Clone, Debug)]
pub struct LoadedConfig {
    /// The node's part.
    pub config: Config,
    /// Where the node keeps its data; relative to the working directory.
    pub data: PathBuf,
}

/// What environment and flags say; each goes before the same field of the file.
#[derive(Clone, Debug, Default)]
pub struct ConfigOverrides {
    /// `--data DIR`
    pub data: Option<PathBuf>,
    /// `--listen A`
    pub listen: Option<SocketAddr>,
    /// `--http A`
    pub http: Option<SocketAddr>,
    /// `--monitor A`
    pub monitor: Option<SocketAddr>,
    /// `--require-tokens`
    pub require_tokens: bool,
    /// Which member this is, so that one file can serve all machines.
    pub node_id: Option<String>,
}

/// The file as it is written. All fields of the top are optional here: flags may give
/// them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileConfig {
    node_id: Option<String>,
    listen: Option<String>,
    data: Option<PathBuf>,
    #[serde(default)]
    store: StoreConfig,
    #[serde(default)]
    pool: PoolConfig,
    #[serde(default)]
    repair: RepairConfig,
    #[serde(default)]
    catalog: CatalogConfig,
    #[serde(default)]
    http: HttpConfig,
    #[serde(default)]
    monitor: MonitorConfig,
    #[serde(default)]
    access: AccessConfig,
    #[serde(default)]
    tls: TlsConfig,
    #[serde(default)]
    log: LogConfig,
    #[serde(default)]
    traces: TracesConfig,
    layout: Option<PathBuf>,
    cluster: Option<ClusterTable>,
    node: Option<Vec<MemberTable>>,
}

impl Config {
    /// Reads and checks the file at `path`. Without one, a single node that keeps one
    /// copy of each object.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(
        path: Option<&Path>,
        overrides: ConfigOverrides,
    ) -> Result<LoadedConfig, ConfigError> {
        Self::load_member(path, overrides, MemberOverrides::default())
    }

    /// The same, of a node of which more is known than the file says.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load_member(
        path: Option<&Path>,
        overrides: ConfigOverrides,
        member: MemberOverrides,
    ) -> Result<LoadedConfig, ConfigError> {
        let Some(path) = path else {
            return Self::member_from_toml("", "command line", overrides, member);
        };
        Self::member_from_toml(&read(path)?, &path.display().to_string(), overrides, member)
    }

    /// Checks the text of a file, and the layout document if it names one; `source_name`
    /// stands before errors.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn from_toml(
        text: &str,
        source_name: &str,
        overrides: ConfigOverrides,
    ) -> Result<LoadedConfig, ConfigError> {
        Self::member_from_toml(text, source_name, overrides, MemberOverrides::default())
    }

    fn member_from_toml(
        text: &str,
        source_name: &str,
        overrides: ConfigOverrides,
        member: MemberOverrides,
    ) -> Result<LoadedConfig, ConfigError> {
        let source = ConfigText::parse(text, source_name)?;
        let mut file: FileConfig = source.deserialize()?;
        let given = [
            ("listen", overrides.listen.is_some()),
            ("http.listen", overrides.http.is_some()),
            ("monitor.listen", overrides.monitor.is_some()),
            ("node_id", overrides.node_id.is_some()),
            ("address", member.address.is_some()),
            ("zone", member.zone.is_some()),
        ];
        let overridden = given.into_iter().filter_map(|(field, given)| given.then_some(field));
        let overridden: Vec<&str> = overridden.collect();
        let refuse = |field: &str, problem: String| {
            if overridden.contains(&field) {
                let source_name = "flags or environment".to_owned();
                let field = field.to_owned();
                return Err(ConfigError::Field { source_name, line: None, field, problem });
            }
            Err(source.field_error(field, problem))
        };

        let Some(data) = overrides.data.or(file.data).filter(|data| !data.as_os_str().is_empty())
        else {
            return refuse("data", "where to keep data is not said; --data DIR says it".to_owned());
        };
        let listen = match (overrides.listen, file.listen) {
            (Some(listen), _) => Some(listen),
            (None, None) => None,
            (None, Some(text)) => match text.parse() {
                Ok(listen) => Some(listen),
                Err(_) => return refuse("listen", format!("{text:?} is not IP:PORT")),
            },
        };
        file.http.listen = overrides.http.or(file.http.listen);
        file.monitor.listen = overrides.monitor.or(file.monitor.listen);
        if overrides.require_tokens {
            file.access.tokens = Tokens::Required;
        }
        let checked = file.store.check().and_then(|()| file.pool.check());
        let checked =
            checked.and_then(|()| file.repair.check()).and_then(|()| file.catalog.check());
        let checked = checked.and_then(|()| file.log.check()).and_then(|()| file.monitor.check());
        let checked = checked.and_then(|()| file.traces.check());
        if let Err((field, problem)) = checked.and_then(|()| file.http.check(file.catalog.enabled))
        {
            return refuse(field, problem);
        }
        let node_id = overrides.node_id.or(file.node_id);
        let described = file.layout.is_some() || file.cluster.is_some() || file.node.is_some();
        if described
            && let Some(field) = ["address", "zone"].iter().find(|f| overridden.contains(f))
        {
            let problem = "the configuration describes the cluster, with addresses and zones";
            return refuse(field, problem.to_owned());
        }
        let alone = !described && member.kept.is_none();
        let parts = match (file.layout, file.cluster, file.node) {
            (Some(path), None, None) => member_of(load_layout(&path)?, node_id, listen),
            (Some(_), ..) => Err(problem("layout", "stands beside [cluster] or [[node]]; which?")),
            (None, Some(cluster), Some(nodes)) => {
                member_of(layout_of(cluster, nodes), node_id, listen)
            }
            (None, None, None) => member.parts(node_id, listen),
            (None, None, Some(_)) => Err(problem("cluster", "missing beside the [[node]]s")),
            (None, Some(_), None) => Err(problem("node", "missing beside [cluster]")),
        };
        let (node_id, listen, layout) = match parts {
            Ok(parts) => parts,
            Err(LayoutError { field, problem }) => return refuse(&field, problem),
        };
        let checked = file.tls.check(&node_id);
        let checked = checked.and_then(|()| file.access.check(file.catalog.enabled, &file.tls));
        if let Err((field, problem)) = checked {
            return refuse(field, problem);
        }
        let FileConfig { store, pool, repair, catalog, http, monitor, access, tls, .. } = file;
        let (log, traces) = (file.log, file.traces);
        let config = Config {
            node_id,
            listen,
            store,
            pool,
            repair,
            catalog,
            http,
            monitor,
            access,
            tls,
            log,
            traces,
            server: ServerOptions::default(),
            layout,
            alone,
        };
        Ok(LoadedConfig { config, data })
    }
}

/// Reads and checks the layout document at `path`.
///
/// # Errors
/// [`ConfigError`].
pub fn load_layout(path: &Path) -> Result<Layout, ConfigError> {
    layout_from_toml(&read(path)?, &path.display().to_string())
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}

impl LoadedConfig {
    /// The file that [`Config::from_toml`] reads back to the same configuration.
    ///
    /// # Errors
    /// A data directory that is not UTF-8, which TOML must be.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(&self.file())
    }

    fn file(&self) -> FileConfig {
        let (cluster, nodes) = tables_of(&self.config.layout);
        FileConfig {
            node_id: Some(self.config.node_id.to_string()),
            listen: Some(self.config.listen.to_string()),
            data: Some(self.data.clone()),
            store: self.config.store.clone(),
            pool: self.config.pool.clone(),
            repair: self.config.repair.clone(),
            catalog: self.config.catalog.clone(),
            http: self.config.http.clone(),
            monitor: self.config.monitor.clone(),
            access: self.config.access.clone(),
            tls: self.config.tls.clone(),
            log: self.config.log.clone(),
            traces: self.config.traces.clone(),
            layout: None,
            cluster: Some(cluster),
            node: Some(nodes),
        }
    }
}
