//! How commands secure their connections to nodes.

use std::path::PathBuf;

use clap::Args;

/// The files of mutual TLS: all of them, or none; or the authority's alone, where there is an access
/// token.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "TLS, where the nodes have it")]
pub struct TlsArguments {
    /// A PEM file with the authorities whose nodes are trusted
    #[arg(long, value_name = "FILE", env = "GITSTRATUM_TLS_AUTHORITY")]
    pub tls_authority: Option<PathBuf>,
    /// A PEM file with our certificate, as `gitstratum cert issue --client NAME` makes
    #[arg(long, value_name = "FILE", env = "GITSTRATUM_TLS_CERTIFICATE")]
    pub tls_certificate: Option<PathBuf>,
    /// A PEM file with its key
    #[arg(long, value_name = "FILE", env = "GITSTRATUM_TLS_KEY")]
    pub tls_key: Option<PathBuf>,
    /// A file with certificates of nodes that were revoked, as `gitstratum cert revoke` prints
    #[arg(long, value_name = "FILE", env = "GITSTRATUM_TLS_REVOKED")]
    pub tls_revoked: Option<PathBuf>,
}
