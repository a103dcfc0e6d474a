//! Server assembly.
//!
//! A node, assembled: configuration and host in, a running server out.
//!
//! Four steps, a room each but for the last: open what it keeps, connect it to its peers, start
//! what runs in the background, and run the server loop until it is told to stop.

mod background;
mod certificate;
mod connect;
mod found;
mod metrics;
mod open;
mod stopped;
mod watched;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use gitstratum_cluster::membership::{ClusterError, KeepError, LayoutKeeper};
use gitstratum_cluster::repair::{CatchingUp, HintError};
use gitstratum_cluster::transport::server::{self, Entrance, ReadinessSource};
use gitstratum_host::Host;
use gitstratum_host::tls::{IdentityError, IdentityFile};
use gitstratum_store::{OpenError, SegmentStore, Store};
use rand_chacha::ChaCha12Rng;

use crate::access;
use crate::catalog::{FoundError, Participant};
use crate::config::Config;
use background::Background;
use certificate::Certificates;
use connect::Connected;
pub use found::{Founded, Joined, NoData, check_founded, found, kept_member, prepare_join};
use open::Opened;
pub use stopped::Stopped;
use watched::Watched;

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be bound.
    #[error("listen: {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The data directory is unusable, in use, or another node's.
    #[error("data: {0}")]
    Data(#[from] OpenError),
    /// The layout that is kept is unusable, or contradicts the configured one.
    #[error("layout: {0}")]
    Layout(#[from] KeepError),
    /// It cannot be said which cluster the node belongs to, or it is another than the
    /// configured one.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The log of hints is unusable.
    #[error("data: {0}")]
    Hints(#[from] HintError),
    /// The certificate for Git, or its key, cannot be used.
    #[error("{}: {}", http_field(.0), .0)]
    Certificate(#[source] IdentityError),
    /// The certificate of the node in its cluster, its key, or the authority cannot be used.
    #[error("{}: {}", tls_field(.0), .0)]
    ClusterCertificate(#[source] IdentityError),
    /// The certificate for those who watch the node, or its key, cannot be used.
    #[error("{}: {}", monitor_field(.0), .0)]
    MonitorCertificate(#[source] IdentityError),
    /// The node's part in the catalog cannot be made.
    #[error("data: {0}")]
    Catalog(#[from] FoundError),
}

/// The field of the configuration that names such a file.
fn http_field(error: &IdentityError) -> &'static str {
    match error.file {
        IdentityFile::Certificate => "http.certificate",
        IdentityFile::Key => "http.key",
        IdentityFile::Authority | IdentityFile::Revoked => {
            unreachable!("Git clients are not asked for certificates")
        }
    }
}

/// And this one.
fn monitor_field(error: &IdentityError) -> &'static str {
    match error.file {
        IdentityFile::Certificate => "monitor.certificate",
        IdentityFile::Key => "monitor.key",
        IdentityFile::Authority | IdentityFile::Revoked => {
            unreachable!("those who watch nodes are not asked for certificates")
        }
    }
}

/// And this one.
fn tls_field(error: &IdentityError) -> &'static str {
    match error.file {
        IdentityFile::Certificate => "tls.certificate",
        IdentityFile::Key => "tls.key",
        IdentityFile::Authority => "tls.authority",
        IdentityFile::Revoked => "tls.revoked",
    }
}

/// A node that serves.
pub struct Serving {
    /// What it is bound to.
    pub address: SocketAddr,
    /// Where it serves Git, if it does.
    pub http: Option<SocketAddr>,
    /// Where it says how it is, if it does.
    pub monitor: Option<SocketAddr>,
    /// Whether it speaks TLS there.
    pub speaks_tls: bool,
    /// Where newer layouts are handed in.
    pub layout: LayoutKeeper,
    /// What it stores, for whoever lists or deletes: nobody does over the network.
    pub store: Arc<SegmentStore>,
    /// Whether what the node lacks counts as absent.
    pub catching_up: Arc<CatchingUp>,
    /// The node's part in the catalog, unless the configuration says that it has none.
    pub catalog: Option<Arc<Participant>>,
}

/// Runs a node until `shutdown` completes and what was in flight is done, or
/// `limits::SHUTDOWN_TIMEOUT` has passed. `ready` is told what serves. What is missing in its data
/// directory is made: whoever wants it [founded](found) before has to [ask](check_founded).
///
/// The future is boxed here, so that the code of a whole node is compiled here: a crate that awaits
/// it compiles none of it again.
///
/// # Errors
/// [`ServeError`]; nothing is served then.
pub fn serve<'a>(
    config: Config,
    host: Host,
    rng: ChaCha12Rng,
    ready: impl FnOnce(Serving) + Send + 'a,
    shutdown: impl Future<Output = ()> + Send + 'a,
) -> BoxFuture<'a, Result<(), ServeError>> {
    boxed(config, host, rng, Box::new(ready), Box::pin(shutdown))
}

fn boxed<'a>(
    config: Config,
    host: Host,
    rng: ChaCha12Rng,
    ready: Box<dyn FnOnce(Serving) + Send + 'a>,
    shutdown: BoxFuture<'a, ()>,
) -> BoxFuture<'a, Result<(), ServeError>> {
    Box::pin(run(config, host, rng, ready, shutdown))
}

async fn run(
    config: Config,
    host: Host,
    mut rng: ChaCha12Rng,
    ready: Box<dyn FnOnce(Serving) + Send + '_>,
    shutdown: BoxFuture<'_, ()>,
) -> Result<(), ServeError> {
    let opened = Opened::open(&config, &host, &mut rng).await?;
    let connected = Connected::new(&config, &host, &opened, &mut rng);
    let service = Arc::new(connected.service(&config, &opened));
    let background = Background::start(&config, &opened, &connected, &mut rng).await;
    let (requests, resolved) = (connected.requests.clone(), connected.resolved.clone());
    let (participant, git) = (connected.participant.clone(), connected.git.clone());
    let (health, readiness) = (connected.health.clone(), connected.health.clone());
    let watched = opened.monitor.is_some();
    let watched = watched.then(|| Watched::new(&config, &connected, &opened, service.clone()));
    // Connections end with the service and the background, not after the store.
    drop(connected);

    let Opened {
        listener,
        address,
        http,
        certificates,
        monitor,
        store,
        catching_up,
        cluster,
        keeper,
        hints,
    } = opened;
    tracing::info!(node = %config.node_id, %cluster, %address, "serving");
    let layout = keeper.current().clone();
    let catalog = participant.clone();
    let (http, http_address) = http.unzip();
    let (monitor, monitor_address) = monitor.unzip();
    let Certificates { git: certificate, cluster: cluster_certificate, monitor: shown } =
        certificates;
    // Answers until all else has ended.
    let watched = watched.zip(monitor).map(|(watched, listener)| watched.start(listener, shown));
    let asks_for_tokens = config.access.asks_for_tokens();
    if let Some((address, warning)) =
        monitor_address.and_then(|at| Some((at, config.monitor.warning(at, asks_for_tokens)?)))
    {
        tracing::warn!(monitor = %address, "{warning}");
    }
    if let Some((address, warning)) =
        http_address.and_then(|at| Some((at, config.access.warning(at, certificate.is_some())?)))
    {
        tracing::warn!(git = %address, "{warning}");
    }
    let asked = config.access.command_tokens;
    if let Some(warning) = config.tls.warning(address, asked) {
        tracing::warn!(%address, "{warning}");
    }
    let entrance = match &cluster_certificate {
        Some(certificate) => certificate.entrance(),
        None => Entrance::Plain,
    };
    let tokens = access::tokens(asked, participant.as_ref());
    ready(Serving {
        address,
        http: http_address,
        monitor: monitor_address,
        speaks_tls: certificate.is_some(),
        layout: keeper,
        store: store.clone(),
        catching_up,
        catalog,
    });
    let leaving = participant.clone();
    let shutdown = async move {
        shutdown.await;
        health.stops();
        // First, while it still answers whoever asks and whoever is to lead.
        if let Some(participant) = leaving {
            participant.hand_over().await;
        }
    };
    // Peers are served until the last push is answered.
    let shutdown = async move {
        match (git.zip(http), certificate) {
            (Some((git, listener)), None) => git.run(listener, shutdown).await,
            (Some((git, listener)), Some(certificate)) => {
                let acceptor = certificate.acceptor();
                tokio::select! {
                    biased;
                    () = git.run_tls(listener, acceptor, shutdown) => {}
                    never = certificate.follow() => match never {},
                }
            }
            (None, _) => shutdown.await,
        }
    };
    let (port, members) = ((listener, entrance, tokens), (layout, resolved));
    let services = (service, readiness as Arc<dyn ReadinessSource>);
    let serving = server::run(port, services, requests, members, config.server, shutdown);
    tokio::select! {
        biased;
        () = serving => {}
        never = certificate::follow(cluster_certificate) => match never {},
    }

    if let Some(watched) = &watched {
        watched.close_page();
    }
    drop(background);
    if let Some(participant) = participant {
        participant.close().await;
    }
    hints.close().await;
    store.close().await;
    drop(watched);
    tracing::info!(node = %config.node_id, "stopped");
    Ok(())
}
