//! HTTP client of remotes: one request a connection, over TLS where the URL says so.
//!
//! HTTP/1.1, which all Git hosts speak. A connection that nobody reads from any more is closed.
//! Redirects are followed where a repository is found, and what it is asked next goes to where they
//! led, as git has it.

use bytes::Bytes;
use gitstratum_core::limits;
use gitstratum_git::protocol::AGENT;
use gitstratum_host::Net;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, LOCATION, USER_AGENT};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::error::{RemoteError, one_line};
use super::tls::Tls;
use super::url::RemoteUrl;

/// By which a version of the protocol is asked for.
const GIT_PROTOCOL: HeaderName = HeaderName::from_static("git-protocol");

/// Speaks HTTP to one remote.
pub(super) struct Http {
    net: Net,
    tls: Option<Tls>,
    /// Where the repository is, after redirects.
    url: RemoteUrl,
}

impl Http {
    /// Makes one; nothing is asked yet.
    pub(super) async fn new(net: Net, url: RemoteUrl) -> Result<Self, RemoteError> {
        let tls = match url.is_secure() {
            true => Some(Self::load_tls().await?),
            false => None,
        };
        Ok(Http { net, tls, url })
    }

    async fn load_tls() -> Result<Tls, RemoteError> {
        let loaded = tokio::task::spawn_blocking(Tls::of_machine).await;
        loaded.unwrap_or_else(|error| Err(RemoteError::NoRoots { found: format!(": {error}") }))
    }

    /// Where the repository is.
    pub(super) fn url(&self) -> &RemoteUrl {
        &self.url
    }

    /// Asks for something below the repository, following redirects.
    pub(super) async fn get(&mut self, asked: &str) -> Result<Response<Incoming>, RemoteError> {
        let below = format!("/{asked}");
        for _ in 0..=limits::MIRROR_REDIRECTS_MAX {
            let request = self.request(Method::GET, asked);
            let request = request.body(Full::default()).expect("its parts are valid");
            let response = self.send(request).await?;
            if !is_redirect(response.status()) {
                return self.accepted(response).await;
            }
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let location = location.unwrap_or_default();
            let Some(to) = self.url.redirected(location, &below) else {
                // What is before an @ may be a password.
                let location = location.rsplit('@').next().unwrap_or_default();
                let location = one_line(location.as_bytes());
                return Err(RemoteError::Redirect { url: self.url.to_string(), location });
            };
            if to.is_secure() && self.tls.is_none() {
                self.tls = Some(Self::load_tls().await?);
            }
            self.url = to;
        }
        Err(RemoteError::Redirects { url: self.url.to_string() })
    }

    /// Sends something below the repository.
    pub(super) async fn post(
        &self,
        asked: &str,
        content_type: &str,
        accepted: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, RemoteError> {
        let request = self
            .request(Method::POST, asked)
            .header(CONTENT_TYPE, content_type)
            .header(ACCEPT, accepted)
            .body(Full::new(body))
            .expect("its parts are valid");
        self.accepted(self.send(request).await?).await
    }

    fn request(&self, method: Method, asked: &str) -> http::request::Builder {
        let request = Request::builder()
            .method(method)
            .uri(self.url.below(asked))
            .header(HOST, self.url.authority())
            // Some hosts serve Git to programs that call themselves so.
            .header(USER_AGENT, format!("git/{AGENT}"))
            .header(GIT_PROTOCOL, "version=2");
        match self.url.authorization() {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, RemoteError> {
        let stalled = |after| RemoteError::Stalled { url: self.url.to_string(), after };
        let timeout = limits::MIRROR_CONNECT_TIMEOUT;
        let connected = tokio::time::timeout(timeout, self.connect()).await;
        let mut sender = connected.map_err(|_| stalled(timeout))??;
        let timeout = limits::MIRROR_STALL_TIMEOUT;
        let answered = tokio::time::timeout(timeout, sender.send_request(request)).await;
        answered.map_err(|_| stalled(timeout))?.map_err(|source| self.broken(source))
    }

    fn broken(&self, source: hyper::Error) -> RemoteError {
        RemoteError::Broken { url: self.url.to_string(), source }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, RemoteError> {
        let url = || self.url.to_string();
        let resolved = self.net.resolve(&self.url.host_and_port()).await;
        let addresses = resolved.map_err(|source| RemoteError::Resolve { url: url(), source })?;
        let mut dialled = Err(std::io::ErrorKind::NotFound.into());
        for address in addresses {
            dialled = self.net.dial(address, limits::MIRROR_CONNECT_TIMEOUT).await;
            if dialled.is_ok() {
                break;
            }
        }
        let stream = dialled.map_err(|source| RemoteError::Dial { url: url(), source })?;
        match &self.tls {
            Some(tls) if self.url.is_secure() => {
                let connected = tls.connect(self.url.host(), stream).await;
                self.shake(connected.map_err(|source| RemoteError::Tls { url: url(), source })?)
                    .await
            }
            _ => self.shake(stream).await,
        }
    }

    async fn shake<S>(&self, stream: S) -> Result<SendRequest<Full<Bytes>>, RemoteError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|source| self.broken(source))?;
        // It ends with the sender and the answer; what was wrong they are told.
        tokio::spawn(async { drop(connection.await) });
        Ok(sender)
    }

    /// The answer, or why there is none.
    async fn accepted(
        &self,
        response: Response<Incoming>,
    ) -> Result<Response<Incoming>, RemoteError> {
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response);
        }
        let url = self.url.to_string();
        let said = said(response).await;
        Err(match status {
            StatusCode::NOT_FOUND | StatusCode::GONE => RemoteError::NotFound { url, said },
            StatusCode::UNAUTHORIZED => {
                let advice = match self.url.authorization() {
                    None => {
                        "they go into the URL as https://USER:PASSWORD@…, or a token into the \
                         environment as GITSTRATUM_MIRROR_TOKEN"
                    }
                    Some(_) => "it does not take those that it got",
                };
                RemoteError::Unauthorized { url, said, advice }
            }
            status => RemoteError::Status { url, status, said },
        })
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The reason of a refusal, where it is told as text.
async fn said(response: Response<Incoming>) -> String {
    if !has_type(response.headers(), "text/plain") {
        return String::new();
    }
    let body = Limited::new(response.into_body(), limits::MIRROR_REFUSAL_BYTES_MAX);
    match tokio::time::timeout(limits::MIRROR_STALL_TIMEOUT, body.collect()).await {
        Ok(Ok(collected)) => match one_line(&collected.to_bytes()) {
            said if said.is_empty() => said,
            said => format!(": {said}"),
        },
        // The status says enough.
        Ok(Err(_)) | Err(_) => String::new(),
    }
}

/// Whether this is the type of a body.
pub(super) fn has_type(headers: &HeaderMap, expected: &str) -> bool {
    let found = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    found.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(expected)
}
