//! What traces cost: puts to three clusters that take none, some and all of them, in turn.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use gitstratum::config::TracesConfig;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::Outcome;
use crate::cluster::Cluster;
use crate::puts::{self, Row};

/// How often each cluster has its turn.
const ROUNDS: u64 = 5;

/// Measures 64 callers of one client, and prints the medians over all rounds.
pub async fn measure(dir: &Path, duration: Duration) -> Outcome<()> {
    let endpoint = format!("http://{}", collector().await?);
    let taken = |sample| TracesConfig {
        endpoint: Some(endpoint.clone()),
        sample,
        ..TracesConfig::default()
    };
    let mut contenders = Vec::new();
    for (name, directory, traces) in [
        ("no traces", "off", TracesConfig::default()),
        ("1 % of requests traced", "some", taken(0.01)),
        ("all requests traced", "all", taken(1.0)),
    ] {
        let cluster = Cluster::start_tracing(&dir.join(directory), &traces).await?;
        contenders.push((name, cluster, Vec::new()));
    }
    let mut seed = 0;
    for round in 0..=ROUNDS {
        for (name, cluster, rows) in &mut contenders {
            seed += 1000;
            let row = puts::measure(cluster, name, 1, 64, seed.., duration).await?;
            // The first round warms connections, files and caches.
            if round > 0 {
                rows.push(row);
            }
        }
    }
    println!();
    println!(
        "{:<34} {:>8} {:>9} {:>9} {:>13}",
        "4 KiB puts, 64 callers, medians", "puts/s", "p50 ms", "p99 ms", "spans sent/put"
    );
    for (name, cluster, rows) in &contenders {
        let puts: usize = rows.iter().map(|row| row.latencies.len()).sum();
        // The round that warms up is about as long as each other one.
        let puts = puts as f64 * (ROUNDS + 1) as f64 / ROUNDS as f64;
        let (sent, dropped) = spans(cluster).await?;
        println!(
            "{name:<34} {:>8.0} {:>9.2} {:>9.2} {:>13.2}  ({dropped} dropped)",
            median(rows, Row::per_second),
            median(rows, |row| row.millis_at(0.50)),
            median(rows, |row| row.millis_at(0.99)),
            sent as f64 / puts,
        );
    }
    Ok(())
}

fn median(rows: &[Row], of: impl Fn(&Row) -> f64) -> f64 {
    let mut values: Vec<f64> = rows.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Spans that the nodes of a cluster sent, and those that they dropped.
async fn spans(cluster: &Cluster) -> Outcome<(u64, u64)> {
    let client = cluster.client(u64::MAX).await?;
    let all = cluster.metrics(&client).await?;
    let sum = |name: &str| all.iter().map(|metrics| metrics.count(name)).sum();
    Ok((sum("gitstratum_trace_spans_sent_total"), sum("gitstratum_trace_spans_dropped_total")))
}

/// Takes what is sent and looks at none of it, for as long as the benchmark runs.
async fn collector() -> Outcome<SocketAddr> {
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
