//! The `[tls]` part of a configuration: mutual TLS between nodes, and with those who give commands.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use gitstratum_cluster::transport::Holder;
use gitstratum_core::config_text::{ConfigError, ConfigText};
use gitstratum_core::placement::NodeId;
use gitstratum_host::tls::MutualFiles;
use serde::{Deserialize, Serialize};

use super::{CommandTokens, read};

/// How a node secures the address at which nodes and commands reach it, and its way to other nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// A PEM file with the node's certificate, and behind it those that lead to its authority.
    pub certificate: Option<PathBuf>,
    /// A PEM file with the certificate's key.
    pub key: Option<PathBuf>,
    /// A PEM file with the certificates of the authorities whose nodes and clients are trusted.
    pub authority: Option<PathBuf>,
    /// A file with the fingerprints of certificates that were revoked.
    pub revoked: Option<PathBuf>,
    /// Whether those who speak no TLS are served and talked to, too.
    pub mode: TlsMode,
}

/// Whether TLS is required.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// It is not: for the time in which the nodes of a cluster are brought to it one by one.
    Accepted,
    /// It is: nobody is served, and no node talked to, without it.
    #[default]
    Required,
}

impl TlsConfig {
    /// Its files, where TLS is configured.
    pub fn files(&self) -> Option<MutualFiles> {
        let (Some(certificate), Some(key), Some(authority)) =
            (&self.certificate, &self.key, &self.authority)
        else {
            return None;
        };
        let (certificate, key) = (certificate.clone(), key.clone());
        let (authority, revoked) = (authority.clone(), self.revoked.clone());
        Some(MutualFiles { certificate, key, authority, revoked })
    }

    /// The first field that is wrong, and why.
    pub(super) fn check(&self, node_id: &NodeId) -> Result<(), (&'static str, String)> {
        let files = [
            ("tls.certificate", &self.certificate, "the file with the node's certificate"),
            ("tls.key", &self.key, "the file with the key of the node's certificate"),
            ("tls.authority", &self.authority, "the file with the authority that signed it"),
        ];
        let given = files.iter().find(|(_, file, _)| file.is_some());
        let missing = files.iter().find(|(_, file, _)| file.is_none());
        match (given, missing) {
            (Some((given, ..)), Some((missing, _, what))) => {
                Err((missing, format!("missing beside {given}: {what}")))
            }
            (None, _) if self.revoked.is_some() => Err((
                "tls.certificate",
                "missing beside tls.revoked: the file with the node's certificate".to_owned(),
            )),
            (None, _) if self.mode != TlsMode::default() => Err((
                "tls.certificate",
                "missing beside tls.mode: the file with the node's certificate".to_owned(),
            )),
            (None, _) => Ok(()),
            (Some(_), None) => {
                Holder::node(node_id).map(drop).map_err(|problem| ("node_id", problem))
            }
        }
    }

    /// What whoever starts a node should know that listens at this address.
    pub(crate) fn warning(
        &self,
        listen: SocketAddr,
        tokens: CommandTokens,
    ) -> Option<&'static str> {
        if listen.ip().to_canonical().is_loopback() {
            return None;
        }
        match (self.files(), self.mode) {
            (Some(_), TlsMode::Required) => None,
            (Some(_), TlsMode::Accepted) if tokens == CommandTokens::Required => Some(
                "access tokens may come to this address as plain text, readable by everybody on the way: \
                 set mode = \"required\" under [tls] when all nodes and commands speak TLS",
            ),
            (Some(_), TlsMode::Accepted) => Some(
                "whoever reaches this address without TLS may still do everything: set mode = \
                 \"required\" under [tls] when all nodes and commands have certificates",
            ),
            (None, _) => Some(
                "whoever reaches this address may do everything, and read what nodes say to each other: \
                 give the nodes certificates ([tls], `gitstratum cert issue --node`), or keep the \
                 address on a network that you trust",
            ),
        }
    }
}

/// The files under `[tls]` of the configuration at `path`, which says them for a node that is not yet
/// there.
///
/// # Errors
/// [`ConfigError`] where the file cannot be read at all.
pub fn tls_files(path: &Path) -> Result<Option<MutualFiles>, ConfigError> {
    #[derive(Deserialize)]
    struct Tls {
        #[serde(default)]
        tls: TlsConfig,
    }
    let (text, name) = (read(path)?, path.display().to_string());
    let Tls { tls } = ConfigText::parse(&text, &name)?.deserialize()?;
    Ok(tls.files())
}
