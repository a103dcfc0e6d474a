//! One HTTP/2 connection, dialled and identified.
//!
//! Invariant: a [`Connection`] is used only for the node that said its name on it. When it
//! dies its callers see that at once, and nothing redials behind their back.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use gitstratum_host::{Net, net};
use gitstratum_proto::v1;
use gitstratum_proto::v1::node_client::NodeClient;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use tonic::body::Body;

use crate::limits;
use crate::placement::{Layout, NodeId};
use crate::quorum::NodeError;
use crate::wire::codec::layout_from_wire;
use crate::wire::rt::{TaskExecutor, TaskTimer};
use crate::wire::status::{chain, node_error_of};

/// tonic's generated client over one of our connections.
pub type Rpc = NodeClient<Channel>;

/// What tonic's generated client sends its requests into.
#[derive(Clone)]
pub struct Channel {
    sender: http2::SendRequest<Body>,
}

impl tower_service::Service<http::Request<Body>> for Channel {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.sender.send_request(request))
    }
}

/// Who answered a dial.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The node.
    pub node_id: NodeId,
    /// Which run of it.
    pub boot_id: u64,
    /// The layout it holds.
    pub layout: Arc<Layout>,
}

/// An open, identified connection. Cheap to clone; clones share the HTTP/2 connection.
#[derive(Clone)]
pub struct Connection {
    channel: Channel,
    identity: Arc<Identity>,
}

impl Connection {
    /// Resolves, connects, shakes hands and asks who is there, all within
    /// `limits::DIAL_TIMEOUT`.
    ///
    /// # Errors
    /// The stage's own [`NodeError`]; [`NodeError::WrongPeer`] when another node than
    /// `expected` answers.
    pub async fn open(
        net: &Net,
        address: &str,
        expected: Option<&NodeId>,
        caller: &str,
    ) -> Result<Self, NodeError> {
        let opening = Self::open_unbounded(net, address, expected, caller);
        tokio::time::timeout(limits::DIAL_TIMEOUT, opening).await.unwrap_or_else(|_| {
            Err(NodeError::TimedOut { stage: "identifying", after: limits::DIAL_TIMEOUT })
        })
    }

    async fn open_unbounded(
        net: &Net,
        address: &str,
        expected: Option<&NodeId>,
        caller: &str,
    ) -> Result<Self, NodeError> {
        let stream = connect(net, address).await?;
        let channel = handshake(stream, address).await?;
        let identity = identify(&channel, address, caller).await?;
        if let Some(expected) = expected
            && *expected != identity.node_id
        {
            return Err(NodeError::WrongPeer {
                address: address.into(),
                expected: expected.clone(),
                actual: identity.node_id,
            });
        }
        Ok(Connection { channel, identity: Arc::new(identity) })
    }

    /// Who is on the other side.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// Whether the connection can take no more requests.
    pub fn is_closed(&self) -> bool {
        self.channel.sender.is_closed()
    }

    /// A client whose requests go over this connection.
    pub fn rpc(&self) -> Rpc {
        rpc(self.channel.clone())
    }
}

fn rpc(channel: Channel) -> Rpc {
    NodeClient::with_origin(channel, http::Uri::from_static("http://gitstratum"))
        .max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
        .max_encoding_message_size(limits::MESSAGE_BYTES_MAX)
}

/// Tries every address the name has; the last error stands for all.
async fn connect(net: &Net, address: &str) -> Result<net::Stream, NodeError> {
    let candidates = net
        .resolve(address)
        .await
        .map_err(|error| NodeError::Dns { address: address.into(), reason: error.to_string() })?;
    let mut last = NodeError::Dns { address: address.into(), reason: "no address".into() };
    for candidate in candidates {
        match net.dial(candidate, limits::DIAL_TIMEOUT).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = dial_error(&error, address),
        }
    }
    Err(last)
}

fn dial_error(error: &std::io::Error, address: &str) -> NodeError {
    let address = address.to_owned();
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => NodeError::Refused { address },
        std::io::ErrorKind::TimedOut => {
            NodeError::TimedOut { stage: "connecting", after: limits::DIAL_TIMEOUT }
        }
        std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::ConnectionAborted => {
            NodeError::ConnectionLost { address, reason: error.to_string() }
        }
        _ => NodeError::Unreachable { address, reason: error.to_string() },
    }
}

async fn handshake(stream: net::Stream, address: &str) -> Result<Channel, NodeError> {
    let lost = |error: hyper::Error| NodeError::ConnectionLost {
        address: address.into(),
        reason: chain(&error),
    };
    let (sender, connection) = http2::Builder::new(TaskExecutor)
        .timer(TaskTimer)
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .max_frame_size(limits::FRAME_BYTES_MAX)
        .keep_alive_interval(limits::KEEPALIVE_INTERVAL)
        .keep_alive_timeout(limits::KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(lost)?;
    let peer = address.to_owned();
    tokio::spawn(async move {
        // Ends when the last sender is dropped or the connection dies; every request then
        // waiting on it is answered with the error, so here it is only worth a trace.
        if let Err(error) = connection.await {
            tracing::debug!(peer, error = chain(&error), "connection ended");
        }
    });
    Ok(Channel { sender })
}

async fn identify(channel: &Channel, address: &str, caller: &str) -> Result<Identity, NodeError> {
    let request = v1::IdentifyRequest { caller: caller.to_owned() };
    let answer = rpc(channel.clone())
        .identify(request)
        .await
        .map_err(|status| node_error_of(&status, address, limits::DIAL_TIMEOUT))?
        .into_inner();
    let layout = answer.layout.ok_or_else(|| NodeError::Protocol {
        reason: format!("{address} identified itself without a layout"),
    })?;
    let layout = layout_from_wire(layout).map_err(|error| NodeError::Protocol {
        reason: format!("{address} holds a wrong layout: {error}"),
    })?;
    Ok(Identity {
        node_id: NodeId::new(answer.node_id),
        boot_id: answer.boot_id,
        layout: Arc::new(layout),
    })
}

/// How long a request over a connection may take, as `grpc-timeout` for the server and as
/// a bound on our own side.
///
/// # Errors
/// Whatever the call ended with; [`NodeError::TimedOut`] when it did not end.
pub async fn bounded<T, F>(timeout: Duration, call: F) -> Result<T, NodeError>
where
    F: Future<Output = Result<T, NodeError>>,
{
    tokio::time::timeout(timeout, call).await.unwrap_or_else(|_| {
        Err(NodeError::TimedOut { stage: "waiting for the answer", after: timeout })
    })
}
