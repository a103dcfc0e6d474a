//! What `cert` accepts: a small authority of one's own, and certificates of it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What `cert --help` adds.
pub(super) const CERT_HELP: &str = "\
  gitstratum cert init                                 makes an authority in ./certificates
  gitstratum cert issue git.example.org 10.0.0.1       a certificate for these names of a machine
  gitstratum cert issue --node n1                      a certificate for the node n1
  gitstratum cert issue --client alice                 a certificate for whoever gives commands
  gitstratum cert show certificates/git.example.org.pem
  gitstratum cert revoke certificates/alice.pem >> revoked.txt

Under [http] in a node's configuration, certificate = \"…/git.example.org.pem\" and key =
\"…/git.example.org.key\" then serve Git over HTTPS. Clients trust the authority by
`git config http.sslCAInfo …/authority.pem`. Whoever has authority.key can make certificates that they
trust: keep it away from the nodes. Larger deployments bring certificates of their own.

Under [tls], certificate = \"…/n1.pem\", key = \"…/n1.key\" and authority = \"…/authority.pem\" have the
node speak TLS with other nodes and with commands, which take --tls-certificate …/alice.pem, --tls-key
…/alice.key and --tls-authority …/authority.pem. Such certificates say who somebody is and not where:
no address is in them. revoked = \"…/revoked.txt\" has the list of those that are worth nothing any more.";

/// What `cert` can do.
#[derive(Debug, Subcommand)]
pub enum CertCommand {
    /// Make an authority: a certificate that signs others, and its key
    Init(CertInit),
    /// Make a certificate for a server, a node or a client, and its key; another one in its place, if it was made before
    Issue(CertIssue),
    /// Say whose certificates are in files, for which names, and how long they are valid
    Show {
        /// PEM files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Print the lines that revoke certificates of nodes or clients, for a list that all nodes have
    Revoke {
        /// PEM files, of each of which the first certificate counts
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// `cert init`
#[derive(Debug, Args)]
pub struct CertInit {
    /// Where its files are made: authority.pem and authority.key
    #[arg(long, value_name = "DIR", default_value = "certificates")]
    pub dir: PathBuf,
    /// What it is called
    #[arg(long, value_name = "TEXT", default_value = "GitStratum authority")]
    pub name: String,
    /// For how many days it is valid
    #[arg(long, value_name = "DAYS", default_value_t = 3650, value_parser = days())]
    pub days: u32,
}

/// `cert issue`
#[derive(Debug, Args)]
pub struct CertIssue {
    /// The names and addresses by which clients reach the server; its files are called after the first
    #[arg(required_unless_present_any = ["node", "client"], value_name = "HOST|IP")]
    pub names: Vec<String>,
    /// The id of the node that it is for, instead
    #[arg(long, value_name = "ID", conflicts_with_all = ["names", "client"])]
    pub node: Option<String>,
    /// The name of the operator or program that it is for, instead
    #[arg(long, value_name = "NAME", conflicts_with = "names")]
    pub client: Option<String>,
    /// Where the authority is, and the files are made: NAME.pem and NAME.key
    #[arg(long, value_name = "DIR", default_value = "certificates")]
    pub dir: PathBuf,
    /// For how many days it is valid
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = days())]
    pub days: u32,
}

fn days() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=36_500)
}
