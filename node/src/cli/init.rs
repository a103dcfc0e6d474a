//! `init`: a cluster of one in a directory, or the directory of a node that a configuration
//! describes.

use std::path::Path;

use gitstratum_cluster::membership::LAYOUT_FILE;
use gitstratum_core::placement::{ClusterId, NodeId};
use gitstratum_host::Disk;

use super::arguments::Init;
use super::serve::refused;
use super::vicinity::check_around;
use super::{Failure, note, seeded_by_the_system, show, wrong_configuration};
use crate::config::{Config, ConfigOverrides, MemberOverrides};
use crate::server::{check_founded, found};

/// Makes the directory.
pub(super) async fn init(asked: Init) -> Result<(), Failure> {
    let overrides = ConfigOverrides {
        data: asked.data,
        listen: asked.listen,
        node_id: asked.id,
        ..ConfigOverrides::default()
    };
    let member =
        MemberOverrides { address: asked.address, zone: asked.zone, ..MemberOverrides::default() };
    let loaded = Config::load_member(asked.config.as_deref(), overrides, member);
    let mut loaded = loaded.map_err(wrong_configuration)?;
    if let Some(cluster) = asked.cluster {
        let cluster = ClusterId::parse(&cluster);
        let wrong = |problem| Failure::Usage(format!("--cluster: {problem}"));
        loaded.config.layout.cluster = Some(cluster.map_err(wrong)?);
    }
    let (config, data) = (&loaded.config, loaded.data.as_path());
    check_around(data).await?;
    let disk = Disk::new(data);
    if let Some(owner) = made(&disk, data).await {
        return is_made(&owner, data, asked.if_needed);
    }
    let founded = found(config, &disk, &mut seeded_by_the_system()?).await;
    let cluster = founded.map_err(|error| refused(error, data))?.cluster;
    let node = &config.node_id;
    let address = config.layout.member(node).map_or("", |member| &member.address);
    show(&format!("node {node} address {address} cluster {cluster} data {}\n", data.display()))?;
    let how = match asked.config {
        Some(file) => format!("--config {}", file.display()),
        // What the address says by itself is not to be said again.
        None if address == config.listen.to_string() => format!("--data {}", data.display()),
        None => format!("--data {} --listen {}", data.display(), config.listen),
    };
    note(format_args!("start it: gitstratum serve {how}"));
    Ok(())
}

/// Whose directory it is, where it is a whole node's.
async fn made(disk: &Disk, data: &Path) -> Option<NodeId> {
    // What is no node's, and cannot become one, is refused by name when it is opened.
    let owner = check_founded(disk, data).await.ok()?;
    let whole = disk.exists(gitstratum_store::CLUSTER).await.unwrap_or(true)
        && disk.exists(LAYOUT_FILE).await.unwrap_or(true);
    whole.then_some(owner)
}

/// Says that a node was made here before, which is wrong unless nothing was to be done then.
fn is_made(owner: &NodeId, data: &Path, if_needed: bool) -> Result<(), Failure> {
    let already = format!("data: {}: it is node {owner}'s already", data.display());
    if if_needed {
        note(already);
        return Ok(());
    }
    let start = format!("gitstratum serve --data {} starts it", data.display());
    Err(Failure::Operation(format!("{already}: {start}")))
}
