//! One HTTP/2 connection, dialled and identified.
//!
//! Invariant: a [`Connection`] is used only for the node that said its name on it. When it
//! dies its callers see that at once, and nothing redials behind their back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use gitstratum_core::limits;
use gitstratum_core::placement::{Layout, NodeId};
use gitstratum_core::replica::NodeError;
use gitstratum_proto::v1::node_client::NodeClient;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use super::bearer::Bearer;
use super::life::Life;

/// tonic's generated client over one of our connections.
pub type Rpc = NodeClient<Channel>;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer said that it takes no more requests (GOAWAY); those in flight go on.
    GoAway,
    /// It broke, or a ping was not answered.
    Broken,
}

/// Says when, and how, the connection's driver ended.
#[derive(Debug, Default)]
pub(super) struct Ending {
    ended: CancellationToken,
    /// 0 while it lasts.
    how: AtomicU8,
}

impl Ending {
    pub(super) fn set(&self, end: End) {
        self.how.store(if end == End::GoAway { 1 } else { 2 }, Ordering::Release);
        self.ended.cancel();
    }

    fn get(&self) -> Option<End> {
        match self.how.load(Ordering::Acquire) {
            0 => None,
            1 => Some(End::GoAway),
            _ => Some(End::Broken),
        }
    }
}

/// An HTTP/2 connection that tonic's generated client sends its requests into. Cheap to
/// clone; nobody has said yet who is on the other side.
#[derive(Clone)]
pub struct Channel {
    sender: http2::SendRequest<Body>,
    life: Arc<Life>,
    ending: Arc<Ending>,
    /// Goes with every request.
    bearer: Option<Bearer>,
}

impl Channel {
    pub(super) fn new(
        sender: http2::SendRequest<Body>,
        life: Arc<Life>,
        ending: Arc<Ending>,
        bearer: Option<Bearer>,
    ) -> Self {
        Channel { sender, life, ending, bearer }
    }

    /// A client whose requests go over this connection.
    pub fn rpc(&self) -> Rpc {
        NodeClient::with_origin(self.clone(), http::Uri::from_static("http://gitstratum"))
            .max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
            .max_encoding_message_size(limits::MESSAGE_BYTES_MAX)
    }
}

impl tower_service::Service<http::Request<Body>> for Channel {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        if let Some(bearer) = &self.bearer {
            bearer.put(request.headers_mut());
        }
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
    /// The version of the contract that is spoken with it.
    pub protocol_version: u32,
    /// The layout it holds.
    pub layout: Arc<Layout>,
}

/// An open, identified connection. Cheap to clone; clones share the HTTP/2 connection,
/// which closes when the last of them and the last request on it are gone.
#[derive(Clone)]
pub struct Connection {
    channel: Channel,
    address: Arc<str>,
    identity: Arc<Identity>,
}

impl Connection {
    /// The connection over `channel` to whoever `identity` says is at `address`.
    pub fn new(channel: Channel, address: &str, identity: Identity) -> Self {
        Connection { channel, address: address.into(), identity: Arc::new(identity) }
    }

    /// Who is on the other side.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// `HOST:PORT` that was dialled.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the connection can take no more requests.
    pub fn is_closed(&self) -> bool {
        self.channel.sender.is_closed()
    }

    /// How it ended, once it has.
    pub fn end(&self) -> Option<End> {
        self.channel.ending.get()
    }

    /// Completes when the connection takes no more requests.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        self.channel.ending.ended.clone().cancelled_owned()
    }

    /// Its stream: when it was last heard, and how to end it.
    pub fn life(&self) -> &Arc<Life> {
        &self.channel.life
    }

    /// The HTTP/2 connection.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// A client whose requests go over this connection.
    pub fn rpc(&self) -> Rpc {
        self.channel.rpc()
    }
}

/// Bounds a request over a connection on our own side.
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
