//! What makes a data directory, and who belongs to a cluster.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ClientArguments, TlsArguments};

/// What `init --help` adds.
pub(super) const INIT_HELP: &str = "\
  gitstratum init --data /var/lib/gitstratum --id n1 --address n1.example:7400 --listen 0.0.0.0:7400
  gitstratum serve --data /var/lib/gitstratum --listen 0.0.0.0:7400

This founds a cluster of one node, which keeps one copy of each object. It grows by `gitstratum join`
on other machines. A directory is made once, by hand: `serve` makes none, so that an empty mount does
not pass for an empty cluster.

Where a configuration describes the whole cluster, this makes the directory of the node that it is
of; each machine does it once:
  gitstratum init --config node.toml";

/// What `serve --help` adds.
pub(super) const SERVE_HELP: &str = "\
The data directory is made before, by `gitstratum init` or `gitstratum join`. It says which node this
is, and of which cluster; a configuration file adds how its store, its connections and the rest work.";

/// `init`
#[derive(Debug, Args)]
pub struct Init {
    /// Configuration file, which may describe the whole cluster
    #[arg(long, value_name = "FILE", env = "GITSTRATUM_CONFIG")]
    pub config: Option<PathBuf>,
    /// Data directory to make: a new or an empty one
    #[arg(long, value_name = "DIR", env = "GITSTRATUM_DATA")]
    pub data: Option<PathBuf>,
    /// The node's id in its cluster, for good [default: n1]
    #[arg(long, visible_alias = "node-id", value_name = "ID", env = "GITSTRATUM_NODE_ID")]
    pub id: Option<String>,
    /// Where other nodes and clients reach it; by default where it listens
    #[arg(long, value_name = "HOST:PORT")]
    pub address: Option<String>,
    /// Where it is going to listen; by default its address
    #[arg(long, value_name = "IP:PORT", env = "GITSTRATUM_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Its failure domain, such as a rack: replicas are spread over zones
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
    /// The id of the cluster, where one is restored from a backup; a new one by default
    #[arg(long, value_name = "ID")]
    pub cluster: Option<String>,
    /// Do nothing where the directory is a node's already, whichever: for what is run at every start
    #[arg(long)]
    pub if_needed: bool,
}

/// What `join --help` adds.
pub(super) const JOIN_HELP: &str = "\
  gitstratum join --peers n1.example:7400 --data /var/lib/gitstratum --id n2 \\
      --address n2.example:7400 --listen 0.0.0.0:7400 --zone rack-2
  gitstratum serve --data /var/lib/gitstratum --listen 0.0.0.0:7400

When it first serves, the node enters the layout, and the copies of each object grow with the cluster:
two nodes keep two, three and more keep three; --replicas says otherwise. It gets its share of what is
there from the others, and a vote where an odd number of nodes can have one.

An id belongs to one data directory for good. A machine that lost its disk joins under another id, and
takes the place of the old one:
  gitstratum join --spare --peers n1.example:7400 --data DIR --id n4 --address n4.example:7400
  gitstratum serve --data DIR
  gitstratum node replace n2 --with n4";

/// `join`
#[derive(Debug, Args)]
pub struct Join {
    /// Some nodes of the cluster
    #[arg(
        long,
        value_name = "HOST:PORT,…",
        env = "GITSTRATUM_PEERS",
        value_delimiter = ',',
        required = true
    )]
    pub peers: Vec<String>,
    /// Configuration file of the node, which describes no cluster
    #[arg(long, value_name = "FILE", env = "GITSTRATUM_CONFIG")]
    pub config: Option<PathBuf>,
    /// Data directory to make: a new or an empty one
    #[arg(long, value_name = "DIR", env = "GITSTRATUM_DATA")]
    pub data: Option<PathBuf>,
    /// The node's id, which no node of this cluster ever had
    #[arg(long, visible_alias = "node-id", value_name = "ID", env = "GITSTRATUM_NODE_ID")]
    pub id: String,
    /// Where other nodes and clients reach it; by default where it listens
    #[arg(long, value_name = "HOST:PORT")]
    pub address: Option<String>,
    /// Where it is going to listen; by default its address
    #[arg(long, value_name = "IP:PORT", env = "GITSTRATUM_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Its failure domain, such as a rack: replicas are spread over zones
    #[arg(long, value_name = "ZONE", default_value = "default")]
    pub zone: String,
    /// Its share of the objects, relative to other nodes
    #[arg(long, value_name = "WEIGHT", default_value_t = 1)]
    pub weight: u32,
    /// Copies of each object from then on
    #[arg(long, value_name = "N")]
    pub replicas: Option<usize>,
    /// Wait outside of the layout, for `node replace` or `node add`
    #[arg(long, conflicts_with = "replicas")]
    pub spare: bool,
    /// How its connections are secured; by default as [tls] of the configuration file says
    #[command(flatten)]
    pub tls: TlsArguments,
    /// Do nothing where the directory is a node's already, whichever: for what is run at every start
    #[arg(long)]
    pub if_needed: bool,
}

/// What `node --help` adds.
pub(super) const NODE_HELP: &str = "\
  gitstratum node list                          who belongs to the cluster, and who votes
  gitstratum node drain n3                      returns when the others have all that it has
  gitstratum node remove n3                     then its machine may go
  gitstratum node replace n2 --with n4          n2 is dead, and n4 has joined
  gitstratum node replace n1 n2 --with n4,n5 --accept-loss
                                                both are lost for good

Each of them can be interrupted and given again: it goes on. A removed node's id is never used again.
New nodes come by `gitstratum join`, which needs none of these.";

/// What `node` can do.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// List the nodes that belong to the cluster, and what part each has
    List {
        /// Print a JSON object a line
        #[arg(long)]
        json: bool,
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Put a node into the layout that has joined as a spare
    Add {
        /// Its id
        id: String,
        /// Its failure domain
        #[arg(long = "in-zone", value_name = "ZONE", default_value = "default")]
        in_zone: String,
        /// Its share of the objects, relative to other nodes
        #[arg(long, value_name = "WEIGHT", default_value_t = 1)]
        weight: u32,
        /// Copies of each object from then on
        #[arg(long, value_name = "N")]
        replicas: Option<usize>,
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Have a node take no more writes, and wait until the others have all that it holds
    Drain {
        /// Its id
        id: String,
        /// Copies of each object from then on
        #[arg(long, value_name = "N")]
        replicas: Option<usize>,
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Take a node out of the cluster for good
    Remove {
        /// Its id
        id: String,
        /// Copies of each object from then on
        #[arg(long, value_name = "N")]
        replicas: Option<usize>,
        /// Though objects may be lost, because other machines that had them are lost for good
        #[arg(long)]
        accept_loss: bool,
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Give a dead node's place to another, and wait until that has its copies
    Replace {
        /// The id of the dead one; of several that are lost together, all in one command
        #[arg(required = true, value_name = "DEAD")]
        dead: Vec<String>,
        /// The id of the other, which has joined; of several, one for each, as "n4,n5"
        #[arg(long, value_name = "ID", value_delimiter = ',', required = true)]
        with: Vec<String>,
        /// Though objects may be lost, because other machines that had them are lost for good
        #[arg(long)]
        accept_loss: bool,
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
}
