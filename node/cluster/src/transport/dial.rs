//! Connection establishment.
//!
//! A dial in its stages: resolve, connect, secure, shake hands, identify.
//!
//! Each stage has its own deadline and its own error. Nothing is remembered from one dial
//! to the next: the name is resolved anew every time, and a connection is handed out only
//! after the other side has said who it is. Whether to dial at all, and how often, is left
//! to the pool.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gitstratum_core::limits;
use gitstratum_core::placement::{ClusterId, NodeId, OtherCluster};
use gitstratum_core::replica::{DialError, DialProblem, NodeError, Stage};
use gitstratum_host::rt::{TaskExecutor, TaskTimer};
use gitstratum_host::{Net, net};
use gitstratum_proto::v1;
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout};
use tracing::instrument;

use super::bearer::Bearer;
use super::connection::{Channel, Connection, End, Ending, Identity};
use super::secure::{Secured, Security};
use super::server::Resolved;
use crate::wire::codec::held_layout_from_wire;
use crate::wire::status::{chain, node_error_of};
use crate::wire::{PROTOCOL_VERSION, PROTOCOL_VERSION_MIN};

/// HTTP/2 pings of the calling side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// While requests wait and nothing is read for this long, a ping is sent.
    pub interval: Duration,
    /// Unanswered for this long, it ends the connection.
    pub timeout: Duration,
}

impl Default for Keepalive {
    fn default() -> Self {
        Keepalive { interval: limits::KEEPALIVE_INTERVAL, timeout: limits::KEEPALIVE_TIMEOUT }
    }
}

/// Opens connections. Cheap to clone.
#[derive(Clone)]
pub struct Dialler {
    net: Net,
    /// Our own node id, empty for a client; told to peers.
    caller: Arc<str>,
    /// Whose nodes are dialled; any cluster's, when not known yet.
    cluster: Option<ClusterId>,
    keepalive: Option<Keepalive>,
    security: Security,
    /// What a client shows that has no certificate.
    bearer: Option<Bearer>,
    resolved: Resolved,
}

impl Dialler {
    /// A dialler over `net` for the node `caller`, or for a client when that is empty.
    pub fn new(net: Net, caller: &str) -> Self {
        let keepalive = Some(Keepalive::default());
        let (security, resolved) = (Security::Plain, Resolved::default());
        let (caller, cluster, bearer) = (caller.into(), None, None);
        Dialler { net, caller, cluster, keepalive, security, bearer, resolved }
    }

    /// What names resolved to.
    pub fn resolved(&self) -> &Resolved {
        &self.resolved
    }

    /// For nodes of this cluster alone. Without it, as a client that has not learned yet which
    /// cluster it talks to, those of any cluster are accepted.
    pub fn of_cluster(self, cluster: Option<ClusterId>) -> Self {
        Dialler { cluster, ..self }
    }

    /// With these pings, or none: then only the kernel says when a connection is dead.
    pub fn keepalive(self, keepalive: Option<Keepalive>) -> Self {
        Dialler { keepalive, ..self }
    }

    /// With connections that are secured so.
    pub fn secured(self, security: Security) -> Self {
        Dialler { security, ..self }
    }

    /// With the secret of an access token in every request, which is sent over TLS alone, but to this
    /// machine itself.
    pub fn bearing(self, bearer: Option<Bearer>) -> Self {
        Dialler { bearer, ..self }
    }

    /// All stages, one after another. With `expected`, an answer of another node is
    /// [`DialProblem::WrongPeer`]; one of another cluster's node is
    /// [`DialProblem::OtherCluster`].
    ///
    /// # Errors
    /// [`DialError`] of the stage that failed.
    pub async fn open(
        &self,
        address: &str,
        expected: Option<&NodeId>,
    ) -> Result<Connection, DialError> {
        let candidates = self.resolve(address).await?;
        self.open_at(address, &candidates, expected).await
    }

    /// The stages after the first, to one of the addresses that `address` resolved to.
    ///
    /// # Errors
    /// [`DialError`] of the stage that failed.
    pub async fn open_at(
        &self,
        address: &str,
        candidates: &[SocketAddr],
        expected: Option<&NodeId>,
    ) -> Result<Connection, DialError> {
        let tries_tls = !matches!(self.security, Security::Plain);
        self.check_confidential(address, candidates, tries_tls)?;
        let stream = self.connect(address, candidates).await?;
        let stream = self.secure(address, candidates, stream, expected).await?;
        self.check_confidential(address, candidates, stream.is_tls())?;
        let certified = stream.node().cloned();
        let channel = self.handshake(address, stream).await?;
        let identity = self.identify(address, &channel).await?;
        if let Some(certified) = certified.filter(|certified| *certified != identity.node_id) {
            let stated = &identity.node_id;
            let reason =
                format!("it says that it is node {stated}, with node {certified}'s certificate");
            return Err(DialError::new(Stage::Secure, address, DialProblem::Tls { reason }));
        }
        self.check_identity(address, &identity, expected)?;
        Ok(Connection::new(channel, address, identity))
    }

    /// The addresses that the name has now; at least one.
    ///
    /// # Errors
    /// [`DialError`] of [`Stage::Resolve`].
    #[instrument(level = "debug", skip_all, fields(%address), err(level = "debug"))]
    pub async fn resolve(&self, address: &str) -> Result<Vec<SocketAddr>, DialError> {
        let failed = |problem| DialError::new(Stage::Resolve, address, problem);
        let after = limits::RESOLVE_TIMEOUT;
        match timeout(after, self.net.resolve(address)).await {
            Ok(Ok(found)) => {
                self.resolved.note(address, &found);
                Ok(found)
            }
            Ok(Err(error)) => Err(failed(DialProblem::Dns { reason: chain(&error) })),
            Err(_) => Err(failed(DialProblem::TimedOut { after })),
        }
    }

    /// Tries the addresses one after another, each for its share of the time that is
    /// left; the last error stands for all.
    ///
    /// # Errors
    /// [`DialError`] of [`Stage::Connect`].
    #[instrument(level = "debug", skip_all, fields(%address), err(level = "debug"))]
    pub async fn connect(
        &self,
        address: &str,
        candidates: &[SocketAddr],
    ) -> Result<net::Stream, DialError> {
        let deadline = Instant::now() + limits::CONNECT_TIMEOUT;
        let mut problem = DialProblem::Dns { reason: "no address".into() };
        for (tried, candidate) in candidates.iter().enumerate() {
            let left = u32::try_from(candidates.len() - tried).unwrap_or(u32::MAX);
            let share = deadline.saturating_duration_since(Instant::now()) / left;
            match self.net.dial(*candidate, share).await {
                Ok(stream) => return Ok(stream),
                Err(error) => problem = connect_problem(&error, share),
            }
        }
        Err(DialError::new(Stage::Connect, address, problem))
    }

    /// Takes the connected stream and gives back the one that HTTP/2 runs on: by TLS, where that is
    /// configured, with a node whose certificate is that of `expected`, or of any node. A node that
    /// does not speak TLS is connected to again, where that is allowed.
    ///
    /// # Errors
    /// [`DialError`] of [`Stage::Secure`].
    #[instrument(level = "debug", skip_all, fields(%address), err(level = "debug"))]
    pub async fn secure(
        &self,
        address: &str,
        candidates: &[SocketAddr],
        stream: net::Stream,
        expected: Option<&NodeId>,
    ) -> Result<Secured, DialError> {
        let failed = |problem| DialError::new(Stage::Secure, address, problem);
        let Security::Tls { connector, falls_back } = &self.security else {
            return Ok(Secured::plain(stream));
        };
        let after = limits::SECURE_TIMEOUT;
        let securing = async {
            match Secured::tls(stream, connector, expected).await {
                Err(DialProblem::Plaintext) if *falls_back => {
                    Ok(Secured::plain(self.connect(address, candidates).await?))
                }
                secured => secured.map_err(failed),
            }
        };
        let late = |_| Err(failed(DialProblem::TimedOut { after }));
        timeout(after, securing).await.unwrap_or_else(late)
    }

    /// Refuses to let others read a secret on its way.
    fn check_confidential(
        &self,
        address: &str,
        candidates: &[SocketAddr],
        is_tls: bool,
    ) -> Result<(), DialError> {
        let stays_here = || candidates.iter().all(|it| it.ip().to_canonical().is_loopback());
        if self.bearer.is_none() || is_tls || stays_here() {
            return Ok(());
        }
        let reason = "an access token is not sent in plain text, but to this machine itself: see \
                      --tls-authority";
        let problem = DialProblem::Tls { reason: reason.to_owned() };
        Err(DialError::new(Stage::Secure, address, problem))
    }

    /// Begins HTTP/2 on the stream, driven by a task that ends with the connection.
    ///
    /// # Errors
    /// [`DialError`] of [`Stage::Handshake`].
    #[instrument(level = "debug", skip_all, fields(%address), err(level = "debug"))]
    pub async fn handshake(&self, address: &str, stream: Secured) -> Result<Channel, DialError> {
        let failed = |problem| DialError::new(Stage::Handshake, address, problem);
        let life = stream.life().clone();
        let mut builder = http2::Builder::new(TaskExecutor);
        builder
            .timer(TaskTimer)
            .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
            .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
            .max_frame_size(limits::FRAME_BYTES_MAX);
        if let Some(Keepalive { interval, timeout }) = self.keepalive {
            // While idle the pool's probe asks instead, more seldom and the node itself.
            builder.keep_alive_interval(interval).keep_alive_timeout(timeout);
        }
        let after = limits::HANDSHAKE_TIMEOUT;
        let (sender, driver) = match timeout(after, builder.handshake(TokioIo::new(stream))).await {
            Ok(Ok(begun)) => begun,
            Ok(Err(error)) => return Err(failed(DialProblem::Lost { reason: chain(&error) })),
            Err(_) => return Err(failed(DialProblem::TimedOut { after })),
        };
        let ending = Arc::new(Ending::default());
        let (ends, peer) = (ending.clone(), address.to_owned());
        tokio::spawn(async move {
            // Ends when the last sender is dropped, on GOAWAY, or when the connection dies;
            // every request that waits on a dead one is answered with the error.
            match driver.await {
                Ok(()) => ends.set(End::GoAway),
                Err(error) => {
                    tracing::debug!(peer, error = chain(&error), "connection ended");
                    ends.set(End::Broken);
                }
            }
        });
        Ok(Channel::new(sender, life, ending, self.bearer.clone()))
    }

    /// Asks who is there.
    ///
    /// # Errors
    /// [`DialError`] of [`Stage::Identify`].
    #[instrument(level = "debug", skip_all, fields(%address), err(level = "debug"))]
    pub async fn identify(&self, address: &str, channel: &Channel) -> Result<Identity, DialError> {
        let failed = |problem| DialError::new(Stage::Identify, address, problem);
        let protocol = |reason: String| failed(DialProblem::Protocol { reason });
        let after = limits::IDENTIFY_TIMEOUT;
        let request = v1::IdentifyRequest {
            caller: self.caller.to_string(),
            protocol_version: PROTOCOL_VERSION,
        };
        let answer = match timeout(after, channel.rpc().identify(request)).await {
            Ok(Ok(answer)) => answer.into_inner(),
            Ok(Err(status)) => {
                let error = node_error_of(&status, address, after);
                return Err(failed(identify_problem(error, after)));
            }
            Err(_) => return Err(failed(DialProblem::TimedOut { after })),
        };
        let (oldest, newest) = (PROTOCOL_VERSION_MIN, PROTOCOL_VERSION);
        if !(oldest..=newest).contains(&answer.protocol_version) {
            let theirs = answer.protocol_version;
            return Err(failed(DialProblem::Version { oldest, newest, theirs }));
        }
        let layout = answer.layout.ok_or_else(|| protocol("no layout".into()))?;
        let layout = held_layout_from_wire(layout)
            .map_err(|error| protocol(format!("it holds a wrong layout: {error}")))?;
        let node_id = NodeId::checked(&answer.node_id)
            .map_err(|problem| protocol(format!("its node id: {problem}")))?;
        Ok(Identity {
            node_id,
            boot_id: answer.boot_id,
            protocol_version: answer.protocol_version,
            layout: Arc::new(layout),
        })
    }

    /// Whether the node that answered is the one that was to be reached: of that id, and of
    /// our cluster.
    ///
    /// # Errors
    /// [`DialProblem::WrongPeer`] and [`DialProblem::OtherCluster`] in [`Stage::Identify`].
    pub fn check_identity(
        &self,
        address: &str,
        identity: &Identity,
        expected: Option<&NodeId>,
    ) -> Result<(), DialError> {
        let failed = |problem| Err(DialError::new(Stage::Identify, address, problem));
        let actual = &identity.node_id;
        if let Some(expected) = expected.filter(|expected| *expected != actual) {
            let (expected, actual) = (expected.clone(), actual.clone());
            return failed(DialProblem::WrongPeer { expected, actual });
        }
        match (&self.cluster, &identity.layout.cluster) {
            (Some(ours), Some(theirs)) if ours != theirs => {
                let (ours, theirs) = (ours.clone(), theirs.clone());
                failed(DialProblem::OtherCluster(OtherCluster { ours, theirs }))
            }
            _ => Ok(()),
        }
    }
}

fn connect_problem(error: &std::io::Error, after: Duration) -> DialProblem {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => DialProblem::Refused,
        std::io::ErrorKind::TimedOut => DialProblem::TimedOut { after },
        std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::ConnectionAborted => {
            DialProblem::Lost { reason: error.to_string() }
        }
        _ => DialProblem::Unreachable { reason: error.to_string() },
    }
}

fn identify_problem(error: NodeError, after: Duration) -> DialProblem {
    match error {
        NodeError::ConnectionLost { reason, .. } => DialProblem::Lost { reason },
        NodeError::TimedOut { .. } => DialProblem::TimedOut { after },
        NodeError::Protocol { reason } => DialProblem::Protocol { reason },
        declined => DialProblem::Declined(Box::new(declined)),
    }
}
