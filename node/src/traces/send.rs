//! OTLP over HTTP: one message to a collector, on a connection that is kept for the next.

use bytes::Bytes;
use gitstratum_core::limits;
use gitstratum_host::Net;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use crate::config::Collector;

/// Answers say how many spans were refused and why; longer ones are no answers.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Why a collector did not take a message.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("{0}: its address cannot be found")]
    Resolve(String, #[source] std::io::Error),
    #[error("{0}: it cannot be connected to")]
    Dial(String, #[source] std::io::Error),
    #[error("{0}: the connection broke")]
    Broken(String, #[source] hyper::Error),
    #[error("{0}: it does not answer in time")]
    Late(String),
    #[error("{0}: it answers {1}")]
    Status(String, StatusCode),
}

impl SendError {
    /// Whether the same message may be taken later, as OTLP has it.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            SendError::Status(_, status) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            SendError::Resolve(..)
            | SendError::Dial(..)
            | SendError::Broken(..)
            | SendError::Late(_) => true,
        }
    }
}

/// A way to a collector.
pub(super) struct Connection {
    net: Net,
    collector: Collector,
    open: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// One that is dialled when something is sent.
    pub(super) fn new(net: Net, collector: Collector) -> Self {
        Connection { net, collector, open: None }
    }

    /// Sends a message.
    pub(super) async fn send(&mut self, body: Bytes) -> Result<(), SendError> {
        let open = self.open.take();
        let sending = self.send_on(open, body);
        let sent = tokio::time::timeout(limits::TRACE_SEND_TIMEOUT, sending).await;
        let sender = sent.map_err(|_| SendError::Late(self.whom()))??;
        self.open = Some(sender);
        Ok(())
    }

    fn whom(&self) -> String {
        format!("the collector at {}", self.collector.host_and_port)
    }

    /// Sends it on the connection that is open, if that still is, or on a new one.
    async fn send_on(
        &self,
        open: Option<SendRequest<Full<Bytes>>>,
        body: Bytes,
    ) -> Result<SendRequest<Full<Bytes>>, SendError> {
        let broken = |error| SendError::Broken(self.whom(), error);
        let mut sender = match open.filter(|open| !open.is_closed()) {
            Some(open) => open,
            None => self.connect().await?,
        };
        sender.ready().await.map_err(broken)?;
        let request = Request::post(&self.collector.path)
            .header(HOST, &self.collector.host_and_port)
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(USER_AGENT, concat!("gitstratum/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(body))
            .expect("its parts are valid");
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        // Read to its end, or the connection cannot be used again; what it says is no matter.
        let _ = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        match status.is_success() {
            true => Ok(sender),
            false => Err(SendError::Status(self.whom(), status)),
        }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, SendError> {
        let resolved = self.net.resolve(&self.collector.host_and_port).await;
        let addresses = resolved.map_err(|error| SendError::Resolve(self.whom(), error))?;
        let mut dialled = Err(std::io::ErrorKind::NotFound.into());
        for address in addresses {
            dialled = self.net.dial(address, limits::TRACE_SEND_TIMEOUT).await;
            if dialled.is_ok() {
                break;
            }
        }
        let stream = dialled.map_err(|error| SendError::Dial(self.whom(), error))?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|error| SendError::Broken(self.whom(), error))?;
        // It ends with the sender; what was wrong the sender is told.
        tokio::spawn(async { drop(connection.await) });
        Ok(sender)
    }
}
