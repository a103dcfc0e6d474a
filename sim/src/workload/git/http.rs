//! HTTP/1.1 client: one request a connection, and ways to go away in the middle of it.

use std::time::Duration;

use gitstratum_host::Net;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

/// A node that does not accept a connection within this is down.
const DIAL_TIMEOUT: Duration = Duration::from_secs(3);
/// Longer bodies are sent in chunks, as git does with those it does not hold.
const WHOLE_BYTES_MAX: usize = 64 << 10;
/// Bytes of a chunk.
const CHUNK_BYTES: usize = 16 << 10;
/// An answer of a run is far shorter.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// A request.
pub(super) struct Request {
    /// `GET` or `POST`.
    pub(super) method: &'static str,
    /// Path and query.
    pub(super) target: String,
    /// Beside those that say where it goes and how long it is.
    pub(super) headers: Vec<(&'static str, String)>,
    /// Sent if it is a `POST`.
    pub(super) body: Vec<u8>,
}

/// How long the client stays.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stay {
    /// Until it is answered.
    Answered,
    /// It has sent so many bytes of the body, which has more.
    Sent(usize),
    /// It has sent all, and waited so long.
    Waited(Duration),
}

/// An answer that came to its end.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// Nothing was sent.
    #[error("no connection: {0}")]
    NoConnection(std::io::Error),
    /// The request may have arrived.
    #[error("the connection broke: {0}")]
    Broken(std::io::Error),
    /// What came is no whole answer.
    #[error("the answer is cut off or no HTTP: {0}")]
    NoAnswer(&'static str),
    /// The client went away, as it was told to.
    #[error("the client went away")]
    Gone,
}

/// Sends a request to `authority` and takes the answer.
///
/// # Errors
/// [`HttpError`].
pub(super) async fn exchange(
    net: &Net,
    authority: &str,
    request: &Request,
    stay: Stay,
) -> Result<Response, HttpError> {
    let addresses = net.resolve(authority).await.map_err(HttpError::NoConnection)?;
    let stream = net.dial(addresses[0], DIAL_TIMEOUT).await;
    let mut stream = stream.map_err(HttpError::NoConnection)?;
    let sent = encode(authority, request, stay);
    stream.write_all(&sent).await.map_err(HttpError::Broken)?;
    stream.flush().await.map_err(HttpError::Broken)?;
    match stay {
        Stay::Answered => {}
        Stay::Sent(_) => return Err(HttpError::Gone),
        Stay::Waited(waited) => {
            sleep(waited).await;
            return Err(HttpError::Gone);
        }
    }
    let mut answer = Vec::new();
    let read = stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await;
    // One that is whole is believed, however the connection ended.
    match (decode(&answer), read) {
        (Ok(response), _) => Ok(response),
        (Err(_), Err(error)) => Err(HttpError::Broken(error)),
        (Err(error), Ok(_)) => Err(error),
    }
}

/// The bytes of a request, as far as they are sent.
fn encode(authority: &str, request: &Request, stay: Stay) -> Vec<u8> {
    let Request { method, target, headers, body } = request;
    let mut sent = format!(
        "{method} {target} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: git/simulated\r\n\
         Connection: close\r\n"
    );
    for (name, value) in headers {
        sent.push_str(&format!("{name}: {value}\r\n"));
    }
    let is_chunked = body.len() > WHOLE_BYTES_MAX;
    if *method == "POST" {
        sent.push_str(&match is_chunked {
            true => "Transfer-Encoding: chunked\r\n".to_owned(),
            false => format!("Content-Length: {}\r\n", body.len()),
        });
    }
    sent.push_str("\r\n");
    let mut sent = sent.into_bytes();
    let (part, is_whole) = match stay {
        Stay::Sent(bytes) => (&body[..bytes.min(body.len())], false),
        Stay::Answered | Stay::Waited(_) => (&body[..], true),
    };
    if !is_chunked {
        sent.extend_from_slice(part);
        return sent;
    }
    for chunk in part.chunks(CHUNK_BYTES) {
        sent.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        sent.extend_from_slice(chunk);
        sent.extend_from_slice(b"\r\n");
    }
    if is_whole {
        sent.extend_from_slice(b"0\r\n\r\n");
    }
    sent
}

/// An answer, if all of it is there.
fn decode(answer: &[u8]) -> Result<Response, HttpError> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or(HttpError::NoAnswer("its headers do not end"))?;
    let head = std::str::from_utf8(&answer[..end]);
    let head = head.map_err(|_| HttpError::NoAnswer("its headers are no text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
    let status = status.and_then(|rest| rest.get(..3)).and_then(|digits| digits.parse().ok());
    let status = status.ok_or(HttpError::NoAnswer("it has no status"))?;
    let header = |wanted: &str| {
        let mut pairs = head.split("\r\n").filter_map(|line| line.split_once(':'));
        pairs.find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then(|| value.trim()))
    };
    let rest = &answer[end + 4..];
    let body = if header("transfer-encoding").is_some_and(|it| it.eq_ignore_ascii_case("chunked")) {
        dechunk(rest)?
    } else {
        let length = header("content-length").and_then(|digits| digits.parse::<usize>().ok());
        let length = length.ok_or(HttpError::NoAnswer("it does not say how long it is"))?;
        let body = rest.get(..length).ok_or(HttpError::NoAnswer("it is shorter than it says"))?;
        body.to_vec()
    };
    Ok(Response { status, body })
}

/// A body that came in chunks, if the last of them did.
fn dechunk(mut rest: &[u8]) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n");
        let end = end.ok_or(HttpError::NoAnswer("it ends between two chunks"))?;
        let digits = std::str::from_utf8(&rest[..end]).ok();
        let length = digits.and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok());
        let length = length.ok_or(HttpError::NoAnswer("the length of a chunk is no number"))?;
        rest = &rest[end + 2..];
        if length == 0 {
            return Ok(body);
        }
        let chunk = rest.get(..length).ok_or(HttpError::NoAnswer("it ends within a chunk"))?;
        body.extend_from_slice(chunk);
        rest = rest.get(length + 2..).ok_or(HttpError::NoAnswer("it ends after a chunk"))?;
    }
}
