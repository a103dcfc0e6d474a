//! Command-line grammar.
//!
//! What the command line accepts, and the help that teaches it.

mod backup;
mod catalog;
mod cert;
mod disaster;
mod jobs;
mod members;
mod mirror;
mod tls;
mod token;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use gitstratum_core::object::{Kind, ObjectId};

use backup::{BACKUP_HELP, RESTORE_HELP};
use catalog::{REPO_HELP, TOKEN_HELP};
use cert::CERT_HELP;
use disaster::{CATALOG_HELP, RECOVER_HELP};
use jobs::{REPAIR_HELP, SCRUB_HELP};
use members::{INIT_HELP, JOIN_HELP, NODE_HELP, SERVE_HELP};
use mirror::MIRROR_HELP;

pub use backup::{Backup, BackupCommand, Restore};
pub use catalog::{
    Events, ObjectFormat, RepoCommand, RepoCreate, RepoList, RepoSet, Scope, TokenCommand,
    TokenCreate,
};
pub use cert::{CertCommand, CertInit, CertIssue};
pub use disaster::{CatalogCommand, Dump, Load, Recover};
pub use jobs::JobCommand;
pub use members::{Init, Join, NodeCommand};
pub use mirror::Mirror;
pub use tls::TlsArguments;
pub use token::TokenArguments;

const EXAMPLES: &str = "\
Examples:
  gitstratum dev                                a cluster of three nodes on this machine
  export GITSTRATUM_PEERS=127.0.0.1:7401        where the other commands find it
  gitstratum import ~/src/project team/project  all of a repository, as if it was pushed
  gitstratum export team/project project.git    a bare repository again
  gitstratum put README.md                      prints what `git hash-object` prints

Exit codes: 0 done; 1 the operation failed; 2 wrong usage or configuration.";

/// A replicated, content-addressed store for Git objects.
#[derive(Debug, Parser)]
#[command(name = "gitstratum", version = crate::VERSION, after_help = EXAMPLES)]
pub struct Arguments {
    /// How the log on standard error looks
    #[arg(long, value_enum, default_value = "human", global = true, env = "GITSTRATUM_LOG_FORMAT")]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace or off, also of one module, as in
    /// warn,gitstratum_cluster::repair=debug [default: a node's configuration says it, or else
    /// warn,gitstratum=info,audit=info,openraft=error]
    #[arg(
        long,
        value_name = "LEVELS",
        value_parser = super::logging::log_filter,
        global = true,
        env = "GITSTRATUM_LOG"
    )]
    pub log_level: Option<String>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    Human,
    /// One JSON object a line
    Json,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a data directory, once: a cluster of one node
    #[command(after_help = INIT_HELP)]
    Init(Init),
    /// Make a data directory that belongs to a cluster which is there
    #[command(after_help = JOIN_HELP)]
    Join(Join),
    /// Run one node until SIGINT or SIGTERM
    #[command(after_help = SERVE_HELP)]
    Serve(Serve),
    /// Check a configuration file without starting anything
    CheckConfig {
        /// The file
        file: PathBuf,
    },
    /// Run a cluster of real processes on this machine, to try things out
    Dev(Dev),
    /// Make, list, show, rename, fork, verify and delete repositories
    #[command(subcommand, after_help = REPO_HELP)]
    Repo(RepoCommand),
    /// List, drain, remove and replace nodes
    #[command(subcommand, after_help = NODE_HELP)]
    Node(NodeCommand),
    /// Print what changed, in order, as JSON lines: repositories, refs, members, tokens
    Events(Events),
    /// Make, list and revoke access tokens
    #[command(subcommand, after_help = TOKEN_HELP)]
    Token(TokenCommand),
    /// Make a small authority, and certificates for HTTPS, nodes and commands; show what is in one
    #[command(subcommand, after_help = CERT_HELP)]
    Cert(CertCommand),
    /// Store files as objects; prints each id, as `git hash-object` would
    Put(Put),
    /// Print an object's data, or write it to a file
    Get(Get),
    /// Say which replicas hold an object; exit code 1 if none does
    Has(Has),
    /// Push a whole repository from disk, without the git program
    #[command(after_help = IMPORT_HELP)]
    Import(Import),
    /// Write a repository to disk as a bare one, without the git program
    Export(Export),
    /// Follow a remote repository over HTTP, once or every so often
    #[command(after_help = MIRROR_HELP)]
    Mirror(Mirror),
    /// Show what every node knows of itself
    Status(Status),
    /// Show, check, change or settle who the cluster is: its nodes, their states, N, W and R
    Layout(LayoutArguments),
    /// Show what lacks a replica and how long it will take; start, pause or cancel repair
    #[command(subcommand, after_help = REPAIR_HELP)]
    Repair(JobCommand),
    /// Show how far the reading and verifying of everything is; start, pause or cancel it
    #[command(subcommand, after_help = SCRUB_HELP)]
    Scrub(JobCommand),
    /// Copy all that the catalog names into a directory, or what is new since the last time
    #[command(after_help = BACKUP_HELP)]
    Backup(Backup),
    /// Give a cluster what a backup has: all of it to an empty one, or one repository
    #[command(after_help = RESTORE_HELP)]
    Restore(Restore),
    /// Have every node make a consistent copy of its store
    Snapshot(Snapshot),
    /// Write the catalog as text: names, refs, tokens, members, layout; or begin with such a text
    #[command(subcommand, after_help = CATALOG_HELP)]
    Catalog(CatalogCommand),
    /// Have a stopped node go on alone, when a majority is lost for good
    #[command(after_help = RECOVER_HELP)]
    Recover(Recover),
    /// Look at a store's files: a snapshot's, or those of a node that is stopped
    Store(Store),
    /// Write manual pages and completions of shells under a directory, for whoever makes packages
    #[command(hide = true)]
    Pages {
        /// The directory
        directory: PathBuf,
    },
}

/// `serve`
#[derive(Debug, Args)]
pub struct Serve {
    /// Configuration file; without one, or where it describes no cluster, the data directory says
    /// who this is
    #[arg(long, value_name = "FILE", env = "GITSTRATUM_CONFIG")]
    pub config: Option<PathBuf>,
    /// Data directory, which `init` or `join` has made
    #[arg(long, value_name = "DIR", env = "GITSTRATUM_DATA")]
    pub data: Option<PathBuf>,
    /// Address to listen on; by default the one at which the layout has this node
    #[arg(long, value_name = "IP:PORT", env = "GITSTRATUM_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Address to serve Git on, over HTTP; without one, Git is not served
    #[arg(long, value_name = "IP:PORT", env = "GITSTRATUM_HTTP")]
    pub http: Option<SocketAddr>,
    /// Address to serve the status page, /metrics, /healthz and /readyz on, over HTTP; without one,
    /// they are not served
    #[arg(long, value_name = "IP:PORT", env = "GITSTRATUM_MONITOR")]
    pub monitor: Option<SocketAddr>,
    /// Where the only node of a cluster is reached from now on
    #[arg(long, value_name = "HOST:PORT")]
    pub address: Option<String>,
    /// Serve Git to holders of access tokens alone, but for what is public
    #[arg(long)]
    pub require_tokens: bool,
    /// Which of the configured nodes this is
    #[arg(long, value_name = "ID", env = "GITSTRATUM_NODE_ID")]
    pub node_id: Option<String>,
    /// Stop when standard input closes, as it does when whoever started us is gone
    #[arg(long, hide = true)]
    pub while_stdin_is_open: bool,
}

/// `dev`
#[derive(Debug, Args)]
pub struct Dev {
    /// Number of nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub nodes: u16,
    /// Where the nodes keep configuration, data and logs; used again by the next run
    #[arg(long, value_name = "DIR", default_value = ".gitstratum-dev")]
    pub data: PathBuf,
    /// Nodes listen on loopback ports from this one on, as many as are free; chosen at the first run
    #[arg(long, value_name = "PORT", default_value_t = PORT_FIRST,
        value_parser = clap::value_parser!(u16).range(1..))]
    pub first_port: u16,
    /// Restart nodes that die
    #[arg(long)]
    pub restart: bool,
    /// Ask Git clients for access tokens, and print one
    #[arg(long)]
    pub secure: bool,
    /// Push a repository, kill a node, push again, clone through another node and compare; a small
    /// one is made where none is named
    #[arg(long, value_name = "REPO")]
    pub demo: Option<Option<PathBuf>>,
    /// With --demo: stop the cluster after it
    #[arg(long, requires = "demo")]
    pub once: bool,
}

/// Below the ports that systems give to outgoing connections.
const PORT_FIRST: u16 = 7401;

/// Where the cluster is, and how patient to be.
#[derive(Debug, Args)]
pub struct ClientArguments {
    /// Some nodes of the cluster; the others are learnt from the first that answers
    #[arg(
        long,
        value_name = "HOST:PORT,…",
        env = "GITSTRATUM_PEERS",
        value_delimiter = ',',
        required = true
    )]
    pub peers: Vec<String>,
    /// How long one request may take, in seconds [default: 10; for a status: 0.9]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
    /// Where this machine is: replicas in this zone of the layout are read from first
    #[arg(long, value_name = "ZONE", env = "GITSTRATUM_ZONE")]
    pub zone: Option<String>,
    /// How its connections are secured
    #[command(flatten)]
    pub tls: TlsArguments,
    /// Who gives the command
    #[command(flatten)]
    pub token: TokenArguments,
}

impl ClientArguments {
    /// What was given, or else this.
    pub fn timeout_or(&self, usual: Duration) -> Duration {
        self.timeout.unwrap_or(usual)
    }
}

/// How many replicas must have an object when it counts as stored. All are sent it in any
/// case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Consistency {
    /// The fastest: lost if that one is lost before the others have it
    One,
    /// W of the layout
    Quorum,
    /// All N: fails while one of them is down
    All,
}

/// `put`
#[derive(Debug, Args)]
pub struct Put {
    /// Files to store
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// What the files are: blob, tree, commit or tag
    #[arg(short = 't', long, default_value = "blob")]
    pub kind: Kind,
    /// Name the objects by SHA-256 instead of SHA-1
    #[arg(long)]
    pub sha256: bool,
    /// Replicas that must have an object before its id is printed
    #[arg(long, value_enum, default_value = "quorum")]
    pub consistency: Consistency,
    /// The cluster
    #[command(flatten)]
    pub client: ClientArguments,
}

/// `get`
#[derive(Debug, Args)]
pub struct Get {
    /// The object
    pub id: ObjectId,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The cluster
    #[command(flatten)]
    pub client: ClientArguments,
}

/// `has`
#[derive(Debug, Args)]
pub struct Has {
    /// The object
    pub id: ObjectId,
    /// The cluster
    #[command(flatten)]
    pub client: ClientArguments,
}

const IMPORT_HELP: &str = "\
All refs come along, and HEAD as the default branch. Objects are checked as those of any push are. A
long history goes in parts; an import that was stopped goes on where it was when it is run again.
Meanwhile refs/gitstratum/import/ marks how far it is.";

/// `import`
#[derive(Debug, Args)]
pub struct Import {
    /// The repository: a work tree, a bare repository or a .git directory
    pub repository: PathBuf,
    /// Its name in the cluster, such as team/project; made if there is none
    pub name: String,
    /// Objects after which a push ends and the next one begins
    #[arg(long, hide = true, default_value_t = gitstratum_core::limits::IMPORT_SLICE_OBJECTS)]
    pub slice_objects: usize,
    /// Point refs elsewhere though the cluster has commits there that this repository does not have
    #[arg(long)]
    pub force: bool,
    /// Replicas that must have a chunk before it counts as stored
    #[arg(long, value_enum, default_value = "quorum")]
    pub consistency: Consistency,
    /// The cluster
    #[command(flatten)]
    pub client: ClientArguments,
}

/// `export`
#[derive(Debug, Args)]
pub struct Export {
    /// The repository's name, or the id of a manifest that `import` printed before there were names
    pub name: String,
    /// The bare repository to make; an export that was stopped is begun anew, one of a manifest
    /// continued
    pub directory: PathBuf,
    /// The cluster
    #[command(flatten)]
    pub client: ClientArguments,
}

/// `status`
#[derive(Debug, Args)]
pub struct Status {
    /// Say more of each node: its program, its files, its requests, hints, comparisons and the
    /// writes that replicas missed
    #[arg(long)]
    pub details: bool,
    /// Print JSON, which has all of it
    #[arg(long, conflicts_with = "details")]
    pub json: bool,
    /// The cluster
    #[command(flatten)]
    pub client: ClientArguments,
}

const LAYOUT_HELP: &str = "\
A layout is a TOML file with one [cluster] and a [[node]] for each node, as in a node's
configuration. Every change is the next version. To change the cluster:

  gitstratum layout show > layout.toml          what is in force
  $EDITOR layout.toml                           version + 1, and the change
  gitstratum layout check layout.toml
  gitstratum layout apply layout.toml           returns when a majority has agreed

A node's state is \"active\" (the default), \"draining\" (read from, takes no writes) or
\"removed\" (neither). Objects stay where they were written; until they were copied to where
the new layout places them, readers look in both places. When they were, say so with
settled = VERSION in [cluster]; only then take the disks of removed nodes away.

id in [cluster] is the cluster's own for ever. Without it the layout is of the cluster that is
asked; the nodes of another refuse it. A new node needs it in its configuration.";

/// `layout`
#[derive(Debug, Args)]
#[command(after_help = LAYOUT_HELP)]
pub struct LayoutArguments {
    /// What to do
    #[command(subcommand)]
    pub command: LayoutCommand,
}

/// What can be done with layouts.
#[derive(Debug, Subcommand)]
pub enum LayoutCommand {
    /// Print the newest layout that any node holds, ready to be edited, and as comments which
    /// version each node holds
    Show {
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Check a layout without telling anyone; exit code 2 names the line and the field that
    /// are wrong
    Check {
        /// The layout
        file: PathBuf,
    },
    /// Have the cluster agree on a layout, and tell it to all nodes, those that it drops included.
    /// May be repeated. Where the catalog is switched off nobody agrees, and the exit code is 1 if
    /// a node did not take it
    Apply {
        /// The layout
        file: PathBuf,
        /// Though objects may be lost, because the machines that had them are lost for good
        #[arg(long)]
        accept_loss: bool,
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Wait until every node was compared with every other one, and have readers look no longer
    /// where earlier layouts placed objects
    Settle {
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
}

/// `snapshot`
#[derive(Debug, Args)]
pub struct Snapshot {
    /// Name of the copy: DATA/snapshots/NAME on every node
    pub name: String,
    /// The cluster
    #[command(flatten)]
    pub client: ClientArguments,
}

/// `store`
#[derive(Debug, Args)]
pub struct Store {
    /// What to do
    #[command(subcommand)]
    pub command: StoreCommand,
}

/// What can be done with a store's files.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Read everything and verify it; exit code 1 and the problems, if it is not sound: of many
    /// that are alike three and their number. Changes nothing
    Verify {
        /// Data directory or snapshot
        directory: PathBuf,
        /// A line for each problem, however many are alike
        #[arg(long)]
        all: bool,
    },
    /// Count what is there, without reading the objects. Changes nothing
    Stats {
        /// Data directory or snapshot
        directory: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no number of seconds above 0, such as 10 or 0.5");
    let seconds = text.parse::<f64>().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero()).ok_or_else(wrong)
}
