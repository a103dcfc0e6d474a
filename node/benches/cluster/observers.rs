//! Those who watch nodes, for as long as the benchmark runs.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::Outcome;

/// How often metrics are asked for: many times as often as in production.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(1);

/// Asks nodes for their metrics, again and again.
///
/// # Errors
/// When one does not answer to begin with, or with anything else.
pub async fn scrape(addresses: Vec<SocketAddr>) -> Outcome<()> {
    for address in &addresses {
        let answer = ask_for_metrics(*address).await?;
        if !answer.starts_with("HTTP/1.1 200") || !answer.ends_with("# EOF\n") {
            let status = answer.lines().next().unwrap_or_default();
            return Err(format!("{address} answers {status:?} instead of metrics").into());
        }
    }
    tokio::spawn(async move {
        let mut due = tokio::time::interval(SCRAPE_INTERVAL);
        loop {
            due.tick().await;
            for address in &addresses {
                // Nodes that have ended have nobody to tell.
                let _ = ask_for_metrics(*address).await;
            }
        }
    });
    Ok(())
}

async fn ask_for_metrics(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Takes the traces that are sent, and looks at none of them.
pub async fn collect_traces() -> Outcome<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let taking = service_fn(take);
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), taking));
        }
    });
    Ok(address)
}

async fn take(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    // A client that has gone away needs no answer.
    let _ = request.into_body().collect().await;
    Ok(Response::new(Full::default()))
}
