//! What `catalog` and `recover` accept: backups of the catalog, and what is done when a majority is
//! lost.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{TlsArguments, TokenArguments};

/// What `catalog --help` adds.
pub(super) const CATALOG_HELP: &str = "\
  gitstratum catalog dump -o catalog.jsonl      of a cluster that runs
  gitstratum catalog dump --data DIR            of a node that is stopped
  gitstratum catalog load catalog.jsonl --data DIR

A dump has the hashes of access tokens: keep it as you keep the stores. `gitstratum snapshot` writes one
into each node's copy.";

/// What `catalog` can do.
#[derive(Debug, Subcommand)]
pub enum CatalogCommand {
    /// Write all of it as JSON lines
    Dump(Dump),
    /// Have a stopped node begin with it, alone
    Load(Load),
}

/// `catalog dump`
#[derive(Debug, Args)]
pub struct Dump {
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Some nodes of the cluster
    #[arg(
        long,
        value_name = "HOST:PORT,…",
        env = "GITSTRATUM_PEERS",
        value_delimiter = ',',
        required_unless_present = "data"
    )]
    pub peers: Vec<String>,
    /// How long one request may take, in seconds [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = super::seconds)]
    pub timeout: Option<Duration>,
    /// How its connections are secured
    #[command(flatten)]
    pub tls: TlsArguments,
    /// Who gives the command
    #[command(flatten)]
    pub token: TokenArguments,
    /// What this stopped node has, instead of what a cluster has agreed on
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// `catalog load`
#[derive(Debug, Args)]
pub struct Load {
    /// What `catalog dump` wrote
    pub file: PathBuf,
    /// The directory of a stopped node of the same cluster whose catalog is new, or a copy of a store
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// What `recover --help` adds.
pub(super) const RECOVER_HELP: &str = "\
  gitstratum recover --data DIR                 says what the node has, and what would be lost
  gitstratum recover --data DIR --force         does it

For the case that most of the nodes that vote are lost with their disks. Choose the survivor with the
most entries, and recover that one alone: two that go on alone are two clusters. The other survivors
join anew, with empty directories.";

/// `recover`
#[derive(Debug, Args)]
pub struct Recover {
    /// The node's configuration file
    #[arg(long, value_name = "FILE", env = "GITSTRATUM_CONFIG")]
    pub config: Option<PathBuf>,
    /// The data directory of the node, which is stopped
    #[arg(long, value_name = "DIR", env = "GITSTRATUM_DATA")]
    pub data: Option<PathBuf>,
    /// Do it, whatever is lost
    #[arg(long)]
    pub force: bool,
}
