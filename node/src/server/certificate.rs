//! Certificates of a node: read when it starts, and again when their files change.
//!
//! The files are looked at every few seconds. They are read again when they have changed and then
//! stayed as they are for one such interval, so that those which are being replaced are not caught in
//! between. What cannot be used leaves the certificate in force, and is said once. Connections that
//! are open are not concerned.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use gitstratum_cluster::transport::server::Entrance;
use gitstratum_cluster::transport::{self, Holder, Security};
use gitstratum_core::limits::{CERTIFICATE_EXPIRY_WARNING, CERTIFICATE_LOOK_INTERVAL};
use gitstratum_core::metrics::{self, Labels, Reading, Registry, Unit};
use gitstratum_core::placement::NodeId;
use gitstratum_git::http::PROTOCOLS;
use gitstratum_host::tls::{
    Acceptor, ClientCertificates, Connector, Identity, IdentityError, IdentityFile, Mutual,
    MutualFiles, Validity,
};
use gitstratum_host::unix_time_ms;
use tokio::time::Instant;

use crate::config::{Config, HttpConfig, MonitorConfig, TlsMode};
use crate::monitor;

/// How often it is said that a certificate is about to expire.
const EXPIRY_SAID_EVERY: Duration = Duration::from_secs(24 * 3600);

/// By what a file is known to have changed.
type Stamp = Option<(SystemTime, u64)>;

/// A certificate that follows its files.
pub(super) struct Certificate {
    purpose: Purpose,
    acceptor: Acceptor,
    /// What the files were when they were read last.
    read: Vec<Stamp>,
    expiry_said: Option<Instant>,
}

/// What it is shown for, and where it comes from.
enum Purpose {
    /// To clients that show none: what it is called, in metrics and in the log.
    Server {
        name: &'static str,
        words: &'static str,
        /// What is spoken after the handshake, the preferred one first.
        protocols: &'static [&'static str],
        certificate: PathBuf,
        key: PathBuf,
    },
    /// To other nodes and to commands, which show theirs.
    Cluster {
        files: MutualFiles,
        node: NodeId,
        mode: TlsMode,
        clients: ClientCertificates,
        connector: Connector,
    },
}

impl Purpose {
    /// As the label `use` of metrics has it.
    fn name(&self) -> &'static str {
        match self {
            Purpose::Server { name, .. } => name,
            Purpose::Cluster { .. } => "cluster",
        }
    }

    /// As the log calls the certificate.
    fn words(&self) -> &'static str {
        match self {
            Purpose::Server { words, .. } => words,
            Purpose::Cluster { .. } => "the certificate for nodes and commands",
        }
    }

    fn certificate(&self) -> &Path {
        match self {
            Purpose::Server { certificate, .. } => certificate,
            Purpose::Cluster { files, .. } => &files.certificate,
        }
    }

    fn stamps(&self) -> Vec<Stamp> {
        match self {
            Purpose::Server { certificate, key, .. } => {
                [certificate, key].map(|file| stamp(file)).into()
            }
            Purpose::Cluster { files, .. } => stamps_of(files),
        }
    }
}

impl Certificate {
    /// The one for Git that the configuration names, if it does.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub(super) async fn for_git(config: &HttpConfig) -> Result<Option<Self>, IdentityError> {
        let names = ("git", "the certificate for Git", &PROTOCOLS[..]);
        Self::for_server(names, (&config.certificate, &config.key)).await
    }

    /// The one for those who watch nodes, if the configuration names one.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub(super) async fn for_monitor(config: &MonitorConfig) -> Result<Option<Self>, IdentityError> {
        let names = ("monitor", "the certificate for monitoring", &monitor::PROTOCOLS[..]);
        Self::for_server(names, (&config.certificate, &config.key)).await
    }

    async fn for_server(
        (name, words, protocols): (&'static str, &'static str, &'static [&'static str]),
        files: (&Option<PathBuf>, &Option<PathBuf>),
    ) -> Result<Option<Self>, IdentityError> {
        let (Some(certificate), Some(key)) = files else { return Ok(None) };
        let purpose = Purpose::Server {
            name,
            words,
            protocols,
            certificate: certificate.clone(),
            key: key.clone(),
        };
        // Looked at before they are read: a change in between is read again.
        let read = purpose.stamps();
        let identity = Identity::read(certificate, key, protocols).await?;
        let acceptor = Acceptor::new(identity);
        Ok(Some(Certificate { purpose, acceptor, read, expiry_said: None }))
    }

    /// The one of this node in its cluster, if the configuration names one.
    ///
    /// # Errors
    /// [`IdentityError`], also where it is another's.
    pub(super) async fn for_cluster(config: &Config) -> Result<Option<Self>, IdentityError> {
        let Some(files) = config.tls.files() else { return Ok(None) };
        let (node, clients) = (&config.node_id, config.access.client_certificates());
        // Looked at before they are read, as above.
        let read = stamps_of(&files);
        let Mutual { identity, trust } = read_mutual(&files, clients, node).await?;
        let purpose = Purpose::Cluster {
            files,
            node: node.clone(),
            mode: config.tls.mode,
            clients,
            connector: Connector::new(trust),
        };
        let acceptor = Acceptor::new(identity);
        Ok(Some(Certificate { purpose, acceptor, read, expiry_said: None }))
    }

    /// Who shows it to clients.
    pub(super) fn acceptor(&self) -> Acceptor {
        self.acceptor.clone()
    }

    /// How the node's port for nodes and commands is secured with it.
    pub(super) fn entrance(&self) -> Entrance {
        match &self.purpose {
            Purpose::Server { .. } => Entrance::Plain,
            Purpose::Cluster { mode, .. } => {
                Entrance::Tls { acceptor: self.acceptor(), is_required: *mode == TlsMode::Required }
            }
        }
    }

    /// How the node's connections to others are secured with it.
    pub(super) fn security(&self) -> Security {
        match &self.purpose {
            Purpose::Server { .. } => Security::Plain,
            Purpose::Cluster { mode, connector, .. } => Security::Tls {
                connector: connector.clone(),
                falls_back: *mode == TlsMode::Accepted,
            },
        }
    }

    /// Follows its files, and says when it is about to expire.
    pub(super) async fn follow(mut self) -> Infallible {
        let mut seen = self.read.clone();
        loop {
            self.say_expiry();
            tokio::time::sleep(CERTIFICATE_LOOK_INTERVAL).await;
            let now = self.purpose.stamps();
            let is_settled = now == std::mem::replace(&mut seen, now.clone());
            if is_settled && now != self.read {
                self.read = now;
                self.read_again().await;
            }
        }
    }

    async fn read_again(&mut self) {
        let words = self.purpose.words();
        match self.replace().await {
            Ok(()) => {
                self.expiry_said = None;
                let certificate = self.purpose.certificate().display();
                let days = days_left(self.acceptor.validity().until_s);
                tracing::info!(%certificate, days, "{words} has changed");
            }
            Err(error) => {
                tracing::error!(
                    %error,
                    "{words} has changed and cannot be used: the one before stays"
                );
            }
        }
    }

    async fn replace(&self) -> Result<(), IdentityError> {
        match &self.purpose {
            Purpose::Server { certificate, key, protocols, .. } => {
                self.acceptor.replace(Identity::read(certificate, key, protocols).await?);
            }
            Purpose::Cluster { files, node, clients, connector, .. } => {
                let Mutual { identity, trust } = read_mutual(files, *clients, node).await?;
                self.acceptor.replace(identity);
                connector.replace(trust);
            }
        }
        Ok(())
    }

    fn say_expiry(&mut self) {
        let Validity { from_s, until_s } = self.acceptor.validity();
        let (days, words) = (days_left(until_s), self.purpose.words());
        let is_early = now_s() < from_s;
        let is_due = is_early || days < (CERTIFICATE_EXPIRY_WARNING.as_secs() / 86_400) as i64;
        let was_said = self.expiry_said.is_some_and(|said| said.elapsed() < EXPIRY_SAID_EVERY);
        if !is_due || was_said {
            return;
        }
        self.expiry_said = Some(Instant::now());
        let certificate = self.purpose.certificate().display();
        match days {
            _ if is_early => tracing::error!(
                %certificate,
                "{words} is not valid yet, by this machine's clock: it is refused until then, or until \
                 the clock is right"
            ),
            ..0 => tracing::error!(
                %certificate,
                "{words} has expired: clients refuse it. Put another one in its place; it is read \
                 without a restart"
            ),
            _ => tracing::warn!(
                %certificate,
                days,
                "{words} is about to expire. Put another one in its place; it is read without a \
                 restart"
            ),
        }
    }
}

/// The certificates of a node.
#[derive(Default)]
pub(super) struct Certificates {
    /// What it shows to Git clients, where it speaks TLS to them.
    pub(super) git: Option<Certificate>,
    /// What it shows to nodes and commands, where it speaks TLS to them.
    pub(super) cluster: Option<Certificate>,
    /// What it shows to those who watch it, where it speaks TLS to them.
    pub(super) monitor: Option<Certificate>,
}

impl Certificates {
    /// Registers when they expire.
    pub(super) fn register(&self, registry: &mut Registry) {
        let certificates = [&self.git, &self.cluster, &self.monitor].into_iter().flatten();
        let shown: Vec<(Labels, Acceptor)> = certificates
            .map(|it| (vec![("use", it.purpose.name().to_owned())], it.acceptor()))
            .collect();
        let help = "When a certificate that the node shows expires, since the epoch";
        let expiry = Reading::real("certificate_expiry_timestamp", help, |acceptor: &Acceptor| {
            acceptor.validity().until_s as f64
        });
        let expiry = [expiry.unit(Unit::Seconds)];
        metrics::register_encoded(registry, move |encoder| {
            metrics::encode(encoder, &expiry, &shown)
        });
    }
}

/// Follows the files of a certificate, if there is one.
pub(super) async fn follow(certificate: Option<Certificate>) -> Infallible {
    match certificate {
        Some(certificate) => certificate.follow().await,
        None => std::future::pending().await,
    }
}

async fn read_mutual(
    files: &MutualFiles,
    clients: ClientCertificates,
    node: &NodeId,
) -> Result<Mutual, IdentityError> {
    let mutual = Mutual::read(files, clients, &transport::PROTOCOLS).await?;
    let problem = match Holder::of(mutual.identity.names()) {
        Ok(Holder::Node(holder)) if holder == *node => return Ok(mutual),
        Ok(holder) => format!("it is the certificate of {holder}, and this is node {node}"),
        Err(problem) => problem,
    };
    let (file, path) = (IdentityFile::Certificate, files.certificate.clone());
    Err(IdentityError { file, path, problem })
}

fn now_s() -> i64 {
    i64::try_from(unix_time_ms() / 1000).unwrap_or(i64::MAX)
}

/// Whole days until then; below 0 where that is over.
fn days_left(until_s: i64) -> i64 {
    until_s.saturating_sub(now_s()).div_euclid(86_400)
}

fn stamps_of(files: &MutualFiles) -> Vec<Stamp> {
    let MutualFiles { certificate, key, authority, revoked } = files;
    [certificate, key, authority].into_iter().chain(revoked).map(|file| stamp(file)).collect()
}

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
