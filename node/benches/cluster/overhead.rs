//! What it costs to be watched, and to be safe from strangers: puts to clusters that differ in
//! nothing else, in turn.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use gitstratum::config::{Config, TlsConfig, TracesConfig};
use gitstratum_cluster::transport::{PROTOCOLS, Security};
use gitstratum_host::tls::{Connector, Trust};

use crate::cluster::{Cluster, PROGRAM, free_addresses};
use crate::puts::{self, Row};
use crate::{Outcome, observers, process};

/// How often each cluster has its turn.
const ROUNDS: u64 = 5;

/// One of the clusters.
struct Contender {
    name: &'static str,
    cluster: Cluster,
    rows: Vec<Row>,
}

/// Measures 64 callers of one client, and prints the medians over all rounds.
pub async fn measure(dir: &Path, duration: Duration) -> Outcome<()> {
    if dir.exists() {
        std::fs::remove_dir_all(dir)?;
    }
    let mut contenders = contenders(dir).await?;
    let mut seed = 0;
    for round in 0..=ROUNDS {
        for Contender { name, cluster, rows } in &mut contenders {
            seed += 1000;
            let row = puts::measure(cluster, name, 1, 64, seed.., duration).await?;
            // The first round warms connections, files and caches.
            if round > 0 {
                rows.push(row);
            }
        }
    }
    print(&contenders).await
}

async fn contenders(dir: &Path) -> Outcome<Vec<Contender>> {
    let endpoint = format!("http://{}", observers::collect_traces().await?);
    let tracing = |sample| {
        let (endpoint, default) = (Some(endpoint.clone()), TracesConfig::default());
        let traces = TracesConfig { endpoint, sample, ..default };
        move |config: &mut Config| config.traces = traces.clone()
    };
    let start = |name, directory, security, adjust: Box<dyn Fn(&mut Config)>| async move {
        let at: PathBuf = dir.join(directory);
        std::fs::create_dir_all(&at)?;
        let cluster = Cluster::start_with(&at, security, adjust).await?;
        Outcome::Ok(Contender { name, cluster, rows: Vec::new() })
    };
    let plain = Security::Plain;
    let monitors = free_addresses()?;
    let listening = monitors.clone();
    let monitored = move |config: &mut Config| {
        // They are called n1, n2 and n3.
        let number: usize = config.node_id.as_str()[1..].parse().expect("a number follows");
        config.monitor.listen = Some(listening[number - 1]);
    };
    let authority = Authority::init(&dir.join("authority"))?;
    let (certificates, security) = (authority.nodes()?, authority.client().await?);
    let secured = move |config: &mut Config| {
        let tls = certificates.iter().find(|(node, _)| node == config.node_id.as_str());
        config.tls = tls.expect("each node has a certificate").1.clone();
    };
    let all = vec![
        start("neither watched nor secured", "plain", plain.clone(), Box::new(|_| ())).await?,
        start("metrics scraped each second", "metrics", plain.clone(), Box::new(monitored)).await?,
        start("1 % of requests traced", "some", plain.clone(), Box::new(tracing(0.01))).await?,
        start("all requests traced", "all", plain, Box::new(tracing(1.0))).await?,
        start("mutual TLS", "tls", security, Box::new(secured)).await?,
    ];
    observers::scrape(monitors).await?;
    Ok(all)
}

async fn print(contenders: &[Contender]) -> Outcome<()> {
    println!();
    println!(
        "{:<34} {:>8} {:>7} {:>9} {:>9} {:>10}",
        "4 KiB puts, 64 callers, medians", "puts/s", "times", "p50 ms", "p99 ms", "spans/put"
    );
    let first = contenders.first().map_or(0.0, |first| median(&first.rows, Row::per_second));
    for Contender { name, cluster, rows } in contenders {
        let puts: usize = rows.iter().map(|row| row.latencies.len()).sum();
        // The round that warms up is about as long as each other one.
        let puts = puts as f64 * (ROUNDS + 1) as f64 / ROUNDS as f64;
        let (sent, dropped) = spans(cluster).await?;
        let per_second = median(rows, Row::per_second);
        println!(
            "{name:<34} {per_second:>8.0} {:>7.2} {:>9.2} {:>9.2} {:>10.2}  ({dropped} dropped)",
            per_second / first,
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

/// Signs the certificates of a cluster.
struct Authority {
    dir: PathBuf,
}

impl Authority {
    fn init(dir: &Path) -> Outcome<Self> {
        let authority = Authority { dir: dir.to_owned() };
        authority.cert(&["init", "--name", "bench"])?;
        Ok(authority)
    }

    /// What stands in the configuration of each node.
    fn nodes(&self) -> Outcome<Vec<(String, TlsConfig)>> {
        let issue = |node: &str| {
            let (certificate, key) = self.issue("--node", node)?;
            let authority = Some(self.certificate());
            let (certificate, key) = (Some(certificate), Some(key));
            let tls = TlsConfig { certificate, key, authority, ..TlsConfig::default() };
            Ok((node.to_owned(), tls))
        };
        ["n1", "n2", "n3"].into_iter().map(issue).collect()
    }

    async fn client(&self) -> Outcome<Security> {
        let (certificate, key) = self.issue("--client", "bench")?;
        let own = Some((certificate.as_path(), key.as_path()));
        let trust = Trust::read(&self.certificate(), own, None, &PROTOCOLS).await?;
        Ok(Security::Tls { connector: Connector::new(trust), falls_back: false })
    }

    fn certificate(&self) -> PathBuf {
        self.dir.join("authority.pem")
    }

    /// The files of a certificate and its key.
    fn issue(&self, kind: &str, name: &str) -> Outcome<(PathBuf, PathBuf)> {
        let printed = self.cert(&["issue", kind, name])?;
        let mut files = printed.lines().map(PathBuf::from);
        files.next().zip(files.next()).ok_or_else(|| format!("no two files: {printed}").into())
    }

    fn cert(&self, arguments: &[&str]) -> Outcome<String> {
        let (first, rest) = arguments.split_first().ok_or("no command")?;
        let mut command = Command::new(PROGRAM);
        process::output(command.args(["cert", first, "--dir"]).arg(&self.dir).args(rest))
    }
}
