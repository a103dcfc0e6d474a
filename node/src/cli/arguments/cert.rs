//! What `cert` accepts: a small authority of one's own, and certificates of it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What `cert --help` adds.
pub(super) const CERT_HELP: &str = "\
  gitstratum cert init                                 makes an authority in ./certificates
  gitstratum cert issue git.example.org 10.0.0.1       a certificate for these names of a machine
  gitstratum cert show certificates/git.example.org.pem

Under [http] in a node's configuration, certificate = \"…/git.example.org.pem\" and key =
\"…/git.example.org.key\" then serve Git over HTTPS. Clients trust the authority by
`git config http.sslCAInfo …/authority.pem`. Whoever has authority.key can make certificates that they
trust: keep it away from the nodes. Larger deployments bring certificates of their own.";

/// What `cert` can do.
#[derive(Debug, Subcommand)]
pub enum CertCommand {
    /// Make an authority: a certificate that signs others, and its key
    Init(CertInit),
    /// Make a certificate for a server, and its key; another one in its place, if it was made before
    Issue(CertIssue),
    /// Say whose certificates are in files, for which names, and how long they are valid
    Show {
        /// PEM files
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
    #[arg(required = true, value_name = "HOST|IP")]
    pub names: Vec<String>,
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
