//! A server at the other end of a stream.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gitstratum_core::metrics::Samples;
use gitstratum_core::trace::RequestIds;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::GitServer;
use crate::fixture::Scripted;
use crate::service::{Caller, Credentials, OpenError, Purpose, Repositories, Repository};

/// Repositories of which each name but `missing` leads to this one.
struct One(Arc<Scripted>);

#[async_trait]
impl Repositories for One {
    async fn open(
        &self,
        name: &str,
        purpose: Purpose,
        caller: &Caller,
    ) -> Result<Arc<dyn Repository>, OpenError> {
        let guest = !matches!(caller.credentials, Credentials::Given { .. });
        match (name, purpose) {
            ("missing", _) => Err(OpenError::NotFound { name: name.into() }),
            ("half", Purpose::Push) if guest => {
                Err(OpenError::Unauthorized("who pushes here has a name".into()))
            }
            ("shut", _) => Err(OpenError::Forbidden("nobody may".into())),
            ("often", _) => Err(OpenError::Limited {
                reason: "too many wrong ones".into(),
                retry_after: Duration::from_millis(2_100),
            }),
            ("away", _) => Err(OpenError::Unavailable("too few nodes answer".into())),
            _ => Ok(self.0.clone()),
        }
    }
}

/// A server of one repository.
pub struct Served {
    pub server: Arc<GitServer>,
    pub stop: CancellationToken,
}

impl Served {
    pub fn new(repository: Scripted) -> Self {
        let server = GitServer::new(Arc::new(One(Arc::new(repository))), RequestIds::of_run(0x51));
        Served { server, stop: CancellationToken::new() }
    }

    /// The client's end of a connection that holds so many bytes on their way, and the server's
    /// task.
    pub fn connect(&self, buffer_bytes: usize) -> (DuplexStream, JoinHandle<()>) {
        let (client, stream) = tokio::io::duplex(buffer_bytes);
        let serving =
            self.server.clone().serve_connection(stream, "client".into(), self.stop.clone());
        (client, tokio::spawn(serving))
    }

    /// The answer to these bytes, on a connection of their own that is closed after it.
    pub async fn answer(&self, request: impl AsRef<[u8]>) -> Answer {
        let (mut client, serving) = self.connect(1 << 20);
        client.write_all(request.as_ref()).await.unwrap();
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).await.unwrap();
        serving.await.unwrap();
        Answer::parse(&bytes)
    }

    pub fn count(&self, name: &str) -> u64 {
        let samples = Samples::registered_by(|registry| self.server.register(registry));
        samples.count(&format!("gitstratum_git_{name}"))
    }

    /// Waits until a metric has this value.
    pub async fn until(&self, name: &str, value: u64) {
        for _ in 0..500 {
            if self.count(name) == value {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{name} is {} and not {value}", self.count(name));
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|part| part == b"\r\n\r\n").expect("an end of headers");
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut head = head.split("\r\n");
        let status = head.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = head.map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        let mut answer =
            Answer { status, headers: headers.collect(), body: bytes[end + 4..].to_vec() };
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.body = unchunk(&answer.body);
        }
        answer
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What chunks carry; they must end as they should.
pub fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut carried = Vec::new();
    loop {
        let end = bytes.windows(2).position(|part| part == b"\r\n").expect("a whole chunk");
        let length = std::str::from_utf8(&bytes[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        bytes = &bytes[end + 2..];
        carried.extend_from_slice(&bytes[..length]);
        bytes = &bytes[length + 2..];
        if length == 0 {
            return carried;
        }
    }
}

/// A request that posts a body to a service, and closes the connection then.
pub fn post(name: &str, service: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST /{name}/{service} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
         Content-Type: application/x-{service}-request\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// A request that asks for a path, and closes the connection then.
pub fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n")
}
