//! Stock `git http-backend` behind a small HTTP server, with the faults that a test asks for.

use std::convert::Infallible;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

type Body = BoxBody<Bytes, std::io::Error>;

/// What becomes of the answer with a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The connection breaks after so many bytes.
    Break(usize),
    /// The answer ends after so many bytes as if that was all.
    End(usize),
}

/// How a backend behaves, and what it was asked.
#[derive(Debug, Default)]
pub struct Behaviour {
    pub cut: Option<Cut>,
    /// `USER:PASSWORD` that it asks for.
    pub credentials: Option<String>,
    /// It speaks the original protocol alone.
    pub is_old: bool,
    /// Paths of repositories that have moved, and where to.
    pub moved: Option<(String, String)>,
    /// Bodies of requests for packs.
    pub fetches: Vec<String>,
}

/// A server of bare repositories in a directory; it ends with the value.
pub struct Backend {
    /// The URL that its repositories are below.
    pub url: String,
    pub behaviour: Arc<Mutex<Behaviour>>,
    _runtime: Runtime,
}

impl Backend {
    pub fn start(root: &Path) -> Self {
        Self::start_with(root, None)
    }

    /// The same over TLS, with a certificate and its key in PEM.
    pub fn start_tls(root: &Path, certificate: &Path, key: &Path) -> Self {
        let certificate = CertificateDer::from_pem_file(certificate).unwrap();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Self::start_with(root, Some(TlsAcceptor::from(Arc::new(config))))
    }

    fn start_with(root: &Path, tls: Option<TlsAcceptor>) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let behaviour = Arc::<Mutex<Behaviour>>::default();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let cgi = Cgi { root: root.to_owned(), behaviour: behaviour.clone() };
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (cgi, tls) = (cgi.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            // Else it is a client that does not trust us.
                            if let Ok(stream) = tls.accept(stream).await {
                                cgi.serve(stream).await;
                            }
                        }
                        None => cgi.serve(stream).await,
                    }
                });
            }
        });
        Backend { url: format!("{scheme}://localhost:{port}"), behaviour, _runtime: runtime }
    }

    /// The same URL, with credentials.
    pub fn url_as(&self, credentials: &str) -> String {
        self.url.replacen("://", &format!("://{credentials}@"), 1)
    }

    pub fn set(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.behaviour.lock().unwrap());
    }

    /// Requests for packs since it was last asked.
    pub fn take_fetches(&self) -> Vec<String> {
        std::mem::take(&mut self.behaviour.lock().unwrap().fetches)
    }
}

#[derive(Clone)]
struct Cgi {
    root: PathBuf,
    behaviour: Arc<Mutex<Behaviour>>,
}

impl Cgi {
    async fn serve<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let answer = service_fn(move |request| {
            let cgi = self.clone();
            async move { Ok::<_, Infallible>(cgi.answer(request).await) }
        });
        // A client that hangs up is no failure of ours.
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
    }

    async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let path = parts.uri.path().to_owned();
        let asked = String::from_utf8_lossy(&body).into_owned();
        let is_fetch = asked.contains("want ");
        let (cut, is_old) = {
            let mut behaviour = self.behaviour.lock().unwrap();
            if let Some((from, to)) = &behaviour.moved
                && path.starts_with(from.as_str())
            {
                let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
                let location = format!("{}{query}", path.replacen(from.as_str(), to, 1));
                return Response::builder()
                    .status(StatusCode::MOVED_PERMANENTLY)
                    .header("location", location)
                    .body(full(Bytes::new()))
                    .unwrap();
            }
            if !is_allowed(&parts.headers, behaviour.credentials.as_deref()) {
                return Response::builder()
                    .status(StatusCode::UNAUTHORIZED)
                    .header("www-authenticate", "Basic realm=\"test\"")
                    .header("content-type", "text/plain")
                    .body(full("who are you?\n"))
                    .unwrap();
            }
            if is_fetch {
                behaviour.fetches.push(asked);
            }
            (behaviour.cut.filter(|_| is_fetch), behaviour.is_old)
        };
        if path == "/page" || path.starts_with("/page/") {
            let page = Response::builder().header("content-type", "text/html; charset=utf-8");
            return page.body(full("<html></html>")).unwrap();
        }
        let root = self.root.clone();
        let ran = tokio::task::spawn_blocking(move || run(&root, &parts, &body, is_old));
        let (head, body) = ran.await.unwrap();
        head.body(match cut {
            None => full(body),
            Some(Cut::End(len)) => full(body.slice(..len.min(body.len()))),
            Some(Cut::Break(len)) => {
                let begin = Ok(Frame::data(body.slice(..len.min(body.len()))));
                let broken = Err(std::io::Error::other("cut by the test"));
                BodyExt::boxed(StreamBody::new(stream::iter([begin, broken])))
            }
        })
        .unwrap()
    }
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed()
}

fn is_allowed(headers: &HeaderMap, credentials: Option<&str>) -> bool {
    use base64::Engine;
    let Some(credentials) = credentials else { return true };
    let expected = base64::engine::general_purpose::STANDARD.encode(credentials);
    headers.get("authorization").is_some_and(|value| value == &format!("Basic {expected}"))
}

/// Has git answer.
fn run(
    root: &Path,
    parts: &http::request::Parts,
    body: &[u8],
    is_old: bool,
) -> (http::response::Builder, Bytes) {
    let header = |name: &str| {
        let value = parts.headers.get(name).map(|value| value.to_str().unwrap());
        value.unwrap_or_default().to_owned()
    };
    let mut command = Command::new("git");
    command.arg("http-backend").stdin(Stdio::piped()).stdout(Stdio::piped());
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_PROJECT_ROOT", root).env("GIT_HTTP_EXPORT_ALL", "1");
    command.env("REQUEST_METHOD", parts.method.as_str()).env("PATH_INFO", parts.uri.path());
    command.env("QUERY_STRING", parts.uri.query().unwrap_or_default());
    command.env("CONTENT_TYPE", header("content-type"));
    command.env("CONTENT_LENGTH", body.len().to_string()).env("REMOTE_ADDR", "127.0.0.1");
    if !is_old {
        command.env("GIT_PROTOCOL", header("git-protocol"));
    }
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let body = body.to_vec();
    // It may answer before it has read all.
    let writing = std::thread::spawn(move || drop(stdin.write_all(&body)));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    let end = output.stdout.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let mut head = Response::builder();
    for line in std::str::from_utf8(&output.stdout[..end]).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        head = match name {
            "Status" => head.status(value[..3].parse::<u16>().unwrap()),
            _ => head.header(name, value),
        };
    }
    (head, Bytes::from(output.stdout).slice(end + 4..))
}
