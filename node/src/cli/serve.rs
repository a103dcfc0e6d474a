//! `serve` and `check-config`.

use std::io::{Read, Write};
use std::path::Path;

use gitstratum_cluster::membership::ClusterError;
use gitstratum_cluster::wire::status::chain;
use gitstratum_core::placement::ClusterId;
use gitstratum_host::signal::{Hangups, Terminations};
use gitstratum_host::supervisor::{self, Told};
use gitstratum_host::{Disk, Host, Net};
use tokio::sync::oneshot;

use super::arguments::Serve;
use super::logging::Levels;
use super::reload::Reload;
use super::vicinity::check_around;
use super::{Failure, seeded_by_the_system, show, wrong_configuration};
use crate::config::{Config, ConfigOverrides, LoadedConfig, MemberOverrides, data_directory};
use crate::server::{self, NoData, ServeError, Serving, check_founded, kept_member};
use crate::traces::Service;

/// What a node is started with: its configuration, where its data directory is a node's.
pub(super) async fn load(
    config: Option<&Path>,
    overrides: &ConfigOverrides,
    address: Option<String>,
) -> Result<LoadedConfig, Failure> {
    let mut member = MemberOverrides { address, ..MemberOverrides::default() };
    if let Some(data) = data_directory(config, overrides).map_err(wrong_configuration)? {
        check_around(&data).await?;
        let disk = Disk::new(&data);
        let refused = |error: NoData| {
            Failure::Operation(format!("data: {}: {}", data.display(), chain(&error)))
        };
        let node_id = match check_founded(&disk, &data).await {
            Ok(node_id) => node_id,
            Err(error) => {
                if config.is_some() {
                    // What is wrong with the file is said first.
                    member.unmade = true;
                    let loaded = Config::load_member(config, overrides.clone(), member);
                    loaded.map_err(wrong_configuration)?;
                }
                return Err(refused(error));
            }
        };
        member.kept = kept_member(&disk, node_id).await.map_err(refused)?;
    }
    let loaded = Config::load_member(config, overrides.clone(), member);
    loaded.map_err(wrong_configuration)
}

/// Runs one node.
pub(super) async fn serve(asked: Serve, levels: Levels) -> Result<(), Failure> {
    let overrides = ConfigOverrides {
        data: asked.data,
        listen: asked.listen,
        http: asked.http,
        monitor: asked.monitor,
        require_tokens: asked.require_tokens,
        node_id: asked.node_id,
    };
    let loaded = load(asked.config.as_deref(), &overrides, asked.address).await?;
    let followed = levels.follow(&loaded.config.log);
    followed.map_err(|problem| Failure::Usage(format!("log.levels: {problem}")))?;
    let _telling = levels.tell_repeats();
    let service = Service { node: loaded.config.node_id.as_str(), version: crate::VERSION };
    let sending = levels.traces.start(&loaded.config.traces, service, Net::new());
    let sending =
        sending.map_err(|problem| Failure::Usage(format!("traces.endpoint: {problem}")))?;
    // From here on no signal ends us half-way: whoever reads that we listen may ask at once.
    let (hangups, mut requests) = (Hangups::watch(), Terminations::watch());
    let descriptors = gitstratum_host::raise_descriptor_limit();
    tracing::debug!(?descriptors, "files and sockets that may be open");
    let host = Host { net: Net::new(), disk: Disk::new(&loaded.data) };
    let data = loaded.data.clone();
    let (config, node_id) = (loaded.config.clone(), loaded.config.node_id.clone());
    let ready = move |serving: Serving| {
        let Serving { address, http, speaks_tls, monitor, layout, catalog, .. } = serving;
        let reloading = Reload { file: asked.config, overrides, loaded, levels, layout, catalog };
        tokio::spawn(reloading.at_each(hangups));
        let scheme = if speaks_tls { "https" } else { "http" };
        // Whoever started us may wait for this line; if nobody reads it, nobody waits.
        let git = http.map(|http| format!(" git={scheme}://{http}/")).unwrap_or_default();
        let monitor =
            monitor.map(|monitor| format!(" monitor=http://{monitor}/")).unwrap_or_default();
        let line = format!("listening node={node_id} address={address}{git}{monitor}");
        let _ = writeln!(std::io::stdout(), "{line}");
        supervisor::tell(Told::Ready);
    };
    let watched = asked.while_stdin_is_open;
    let (stopping, stops) = oneshot::channel();
    let shutdown = async {
        tokio::select! {
            biased;
            () = requests.next() => {}
            () = stdin_closed(), if watched => {}
        }
        supervisor::tell(Told::Stopping);
        // Nobody waits for it where the node has ended by itself.
        let _ = stopping.send(requests);
    };
    let rng = seeded_by_the_system()?;
    let served = tokio::select! {
        biased;
        served = server::serve(config, host, rng, ready, shutdown) => {
            served.map_err(|error| refused(error, &data))
        }
        () = asked_again(stops) => return Err(Failure::Operation(
            "asked to stop once more: what was under way is given up; nothing acknowledged is lost"
                .to_owned(),
        )),
    };
    if let Some(sending) = sending {
        sending.finish().await;
    }
    served
}

/// Waits for a request to stop that comes after the first one.
async fn asked_again(stops: oneshot::Receiver<Terminations>) {
    match stops.await {
        Ok(mut requests) => requests.next().await,
        // The node ends without having been asked.
        Err(_) => std::future::pending().await,
    }
}

/// Why a node with this data directory does not start, or cannot be made.
pub(super) fn refused(error: ServeError, data: &Path) -> Failure {
    match error {
        ServeError::Cluster(
            wrong @ (ClusterError::Contradicted(_) | ClusterError::Unknown { .. }),
        ) => Failure::Usage(wrong.to_string()),
        error @ (ServeError::Certificate(_) | ServeError::ClusterCertificate(_)) => {
            Failure::Usage(error.to_string())
        }
        ServeError::Data(error) => {
            Failure::Operation(format!("data: {}: {}", data.display(), chain(&error)))
        }
        error => error.into(),
    }
}

async fn stdin_closed() {
    let read = tokio::task::spawn_blocking(|| {
        let mut sink = [0; 64];
        while matches!(std::io::stdin().read(&mut sink), Ok(1..)) {}
    });
    // It ends with the process at the latest.
    let _ = read.await;
}

/// Checks a configuration file and says what it describes.
pub(super) fn check_config(file: &Path) -> Result<(), Failure> {
    let member = MemberOverrides { unmade: true, ..MemberOverrides::default() };
    let loaded = Config::load_member(Some(file), ConfigOverrides::default(), member);
    let loaded = loaded.map_err(wrong_configuration)?;
    let layout = &loaded.config.layout;
    let cluster = match &layout.cluster {
        Some(id) => format!("cluster {id}"),
        None if loaded.config.alone => {
            "or which node of which cluster the data directory says".to_owned()
        }
        None if layout.version == 1 => {
            format!("cluster {} if the data directory names no other", ClusterId::derived(layout))
        }
        None => "the cluster that the data directory names: a new one needs cluster.id".to_owned(),
    };
    show(&format!(
        "{}: node {} of {}, N={} W={} R={}, listens on {}, data in {}, {cluster}\n",
        file.display(),
        loaded.config.node_id,
        layout.members.len(),
        layout.replicas,
        layout.write_quorum,
        layout.read_quorum,
        loaded.config.listen,
        loaded.data.display(),
    ))
}
