//! HTTPS: the handshake before a connection, within a deadline, and what it agrees on.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gitstratum_core::seldom::Seldom;
use gitstratum_core::{accept, limits};
use gitstratum_host::net::Listener;
use gitstratum_host::tls::{Acceptor, HandshakeError, Refusal};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{GitServer, stopping};

/// What is spoken over TLS, the preferred one first.
pub const PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];

/// What one is told who speaks plain HTTP to a port of TLS.
const PLAINTEXT_ANSWER: &str = "HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\nContent-Length: 55\r\nConnection: close\r\n\r\n\
    this port speaks TLS: the URL begins with https:// here";

/// One who was told so has so long to go.
const PLAINTEXT_READ_TIMEOUT: Duration = Duration::from_secs(1);

/// Says it, and reads what the client was about to say: closed over that, the connection would be
/// reset, and the answer lost.
async fn answer_in_plain_text<S>(stream: &mut S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(PLAINTEXT_ANSWER.as_bytes()).await?;
    stream.shutdown().await?;
    let mut rest = stream.take(limits::GIT_HEADER_BYTES_MAX as u64);
    let mut unheard = tokio::io::sink();
    let read = tokio::io::copy(&mut rest, &mut unheard);
    tokio::time::timeout(PLAINTEXT_READ_TIMEOUT, read).await.map_or(Ok(()), |read| read.map(drop))
}

/// Handshakes of a server.
#[derive(Debug)]
pub(super) struct Handshakes {
    /// Room for those that are under way.
    room: Semaphore,
    /// Of each kind of failure the log tells once in a while.
    authority: Seldom,
    expired: Seldom,
    other: Seldom,
    late: Seldom,
    /// And of clients that went after a handshake.
    unheard: Seldom,
}

impl Default for Handshakes {
    fn default() -> Self {
        Handshakes {
            room: Semaphore::new(limits::GIT_HANDSHAKES_MAX),
            authority: Seldom::default(),
            expired: Seldom::default(),
            other: Seldom::default(),
            late: Seldom::default(),
            unheard: Seldom::default(),
        }
    }
}

impl Handshakes {
    fn failed<S>(&self, error: &HandshakeError<S>, address: &str) {
        let seldom = match error {
            HandshakeError::Refused(Refusal::UnknownAuthority) => &self.authority,
            HandshakeError::Refused(Refusal::Expired) => &self.expired,
            HandshakeError::Silent => return,
            HandshakeError::Plaintext(_)
            | HandshakeError::Refused(_)
            | HandshakeError::Certificate(_)
            | HandshakeError::Broken(_) => &self.other,
        };
        match seldom.count() {
            Some(count) => {
                tracing::warn!(count, address, reason = %error, "TLS handshakes with Git clients failed");
            }
            None => tracing::debug!(address, reason = %error, "a TLS handshake failed"),
        }
    }

    fn unheard(&self, address: &str) {
        if let Some(count) = self.unheard.count() {
            tracing::warn!(
                count,
                address,
                "Git clients went away after a TLS handshake, without a word: they may not know the \
                 authority that signed our certificate, find that it has expired, or have asked for \
                 another name than it has"
            );
        }
    }

    fn too_late(&self, address: &str) {
        if let Some(count) = self.late.count() {
            let seconds = limits::GIT_HANDSHAKE_TIMEOUT.as_secs();
            tracing::warn!(
                count,
                address,
                seconds,
                "TLS handshakes with Git clients took too long"
            );
        }
    }
}

impl GitServer {
    /// As [`GitServer::run`], with a handshake before each connection.
    pub async fn run_tls(
        self: Arc<Self>,
        listener: Listener,
        acceptor: Acceptor,
        shutdown: impl Future<Output = ()> + Send,
    ) {
        let server = self.clone();
        let serve = move |stream, peer: SocketAddr, stop| {
            server.clone().serve_tls(stream, acceptor.clone(), peer.to_string(), stop)
        };
        let in_time = accept::run(listener, limits::GIT_CONNECTIONS_MAX, shutdown, serve).await;
        self.say_what_is_left(in_time);
    }

    /// Serves the client at `address` on a stream after a handshake.
    pub async fn serve_tls<S>(
        self: Arc<Self>,
        stream: S,
        acceptor: Acceptor,
        address: String,
        stop: CancellationToken,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = async {
            // Who waits for room waits within the deadline.
            let _room = self.handshakes.room.acquire().await;
            match acceptor.accept(stream).await {
                Err(HandshakeError::Plaintext(mut stream)) => {
                    // Whoever does not read it has been told nothing, and is closed all the same.
                    let _ = answer_in_plain_text(&mut stream).await;
                    Err(HandshakeError::Plaintext(stream))
                }
                shaken => shaken,
            }
        };
        let shaken = tokio::select! {
            biased;
            () = stopping::too_late_to_begin(&stop) => return,
            shaken = tokio::time::timeout(limits::GIT_HANDSHAKE_TIMEOUT, handshake) => shaken,
        };
        match shaken {
            Err(_) => self.handshakes.too_late(&address),
            Ok(Err(error)) => self.handshakes.failed(&error, &address),
            Ok(Ok(stream)) => {
                let (server, heard) = (self.clone(), stream.heard());
                match stream.protocol() {
                    Some(b"h2") => self.serve_streams(stream, address.clone(), stop).await,
                    _ => self.serve_connection(stream, address.clone(), stop).await,
                }
                if !heard.load(Ordering::Relaxed) {
                    server.handshakes.unheard(&address);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PLAINTEXT_ANSWER;

    #[test]
    fn the_answer_in_plain_text_is_as_long_as_it_says() {
        let (head, body) = PLAINTEXT_ANSWER.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
    }
}
