//! TLS of the calling side: the stream that HTTP/2 runs on, and whose certificate is on the other
//! side.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::DialProblem;
use gitstratum_host::net;
use gitstratum_host::tls::{CertificateProblem, ConnectError, Connector, Refusal, TlsStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::holder::Holder;
use super::life::{Life, Watched};

/// What nodes speak over TLS.
pub const PROTOCOLS: [&str; 1] = ["h2"];

/// How a dial is secured.
#[derive(Clone, Debug, Default)]
pub enum Security {
    /// Not at all.
    #[default]
    Plain,
    /// By TLS, with nodes that have a certificate of an authority that is trusted.
    Tls {
        /// What is shown, and who is trusted.
        connector: Connector,
        /// Whether a node that does not speak TLS is talked to all the same, while it is being
        /// brought to a cluster. One whose certificate is wrong is not.
        falls_back: bool,
    },
}

/// A connected stream, secured as it was asked for.
pub struct Secured {
    stream: Wire,
    life: Arc<Life>,
    /// Whose certificate is on the other side, where it was asked for.
    node: Option<NodeId>,
}

enum Wire {
    Plain(Watched<net::Stream>),
    Tls(Box<TlsStream<Watched<net::Stream>>>),
}

impl Secured {
    /// A stream that is not secured.
    pub(super) fn plain(stream: net::Stream) -> Self {
        let stream = Watched::new(stream);
        Secured { life: stream.life().clone(), stream: Wire::Plain(stream), node: None }
    }

    /// A stream over which TLS is spoken with `expected`, or with whichever node has a certificate of
    /// the authority. Signs of life are those of the stream beneath.
    pub(super) async fn tls(
        stream: net::Stream,
        connector: &Connector,
        expected: Option<&NodeId>,
    ) -> Result<Self, DialProblem> {
        let wrong = |reason: String| DialProblem::Tls { reason };
        let name = expected.map(Holder::node).transpose().map_err(wrong)?;
        let name = name.map(|holder| holder.dns_name());
        let stream = Watched::new(stream);
        let life = stream.life().clone();
        let shaken = connector.connect(stream, name.as_deref()).await;
        let stream = shaken.map_err(|error| problem_of(error, expected))?;
        // A server without a certificate has no handshake.
        let names = stream.peer_names().unwrap_or_default();
        match (Holder::of(&names), expected) {
            (Ok(Holder::Node(node)), expected) if expected.is_none_or(|it| *it == node) => {
                Ok(Secured { stream: Wire::Tls(Box::new(stream)), life, node: Some(node) })
            }
            (Ok(holder), _) => Err(wrong(other_holder(&holder, expected))),
            (Err(problem), _) => Err(wrong(problem)),
        }
    }

    /// What is known of the stream from outside.
    pub(super) fn life(&self) -> &Arc<Life> {
        &self.life
    }

    /// The node whose certificate is on the other side, if it was asked for one.
    pub(super) fn node(&self) -> Option<&NodeId> {
        self.node.as_ref()
    }

    /// Whether TLS is spoken over it.
    pub(super) fn is_tls(&self) -> bool {
        matches!(self.stream, Wire::Tls(_))
    }

    fn stream(&mut self) -> Pin<&mut dyn Duplex> {
        let stream: &mut dyn Duplex = match &mut self.stream {
            Wire::Plain(stream) => stream,
            Wire::Tls(stream) => &mut **stream,
        };
        Pin::new(stream)
    }
}

fn other_holder(holder: &Holder, expected: Option<&NodeId>) -> String {
    match expected {
        Some(expected) => {
            format!("it shows the certificate of {holder}, not that of node {expected}")
        }
        None => format!("it shows the certificate of {holder}, which is no node"),
    }
}

/// What a handshake came to, with what to do about it.
fn problem_of(error: ConnectError, expected: Option<&NodeId>) -> DialProblem {
    let ours = "[tls] of the configuration, or --tls-certificate and --tls-key of a command";
    let reason = match error {
        ConnectError::Plaintext => return DialProblem::Plaintext,
        ConnectError::Broken(error) => return DialProblem::Lost { reason: error.to_string() },
        ConnectError::Certificate(CertificateProblem::OtherName(names)) => {
            match (Holder::of(&names), expected) {
                (Ok(holder), expected) => other_holder(&holder, expected),
                (Err(problem), _) => problem,
            }
        }
        ConnectError::Certificate(problem @ CertificateProblem::UnknownAuthority) => {
            format!("{problem}: see authority under [tls], or --tls-authority of a command")
        }
        ConnectError::Certificate(problem) => problem.to_string(),
        ConnectError::Refused(refusal @ Refusal::Missing) => format!("{refusal}: see {ours}"),
        ConnectError::Refused(refusal @ Refusal::Expired) => {
            format!("{refusal}: renew it, or set the clocks")
        }
        ConnectError::Refused(refusal @ Refusal::Revoked) => {
            format!("{refusal}: have another one issued")
        }
        ConnectError::Refused(refusal) => format!("{refusal}: see {ours}"),
    };
    DialProblem::Tls { reason }
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Duplex for S {}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, buf)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Wire::Plain(stream) => stream.is_write_vectored(),
            Wire::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}
