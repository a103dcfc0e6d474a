//! `join`: a data directory that belongs to a cluster which is there.
//!
//! Invariant: nothing is made before the cluster has said that it knows no such node; and what was
//! interrupted goes on with the same directory id, so that the cluster has one member for it.

use std::path::Path;

use gitstratum_catalog::command::JoinNode;
use gitstratum_catalog::{Operation, Outcome};
use gitstratum_core::placement::{Layout, NodeId};
use gitstratum_host::Disk;

use super::agreed::Agreed;
use super::arguments::{ClientArguments, Join, TokenArguments};
use super::catalog::{call, other};
use super::members::nodes;
use super::serve::refused;
use super::vicinity::check_around;
use super::{Failure, connect_as_node, note, seeded_by_the_system, show, wrong_configuration};
use crate::catalog::{CatalogClient, Joining};
use crate::config::{
    Config, ConfigOverrides, KeptMember, MemberOverrides, data_directory, tls_files,
};
use crate::server::{check_founded, prepare_join};

/// Makes the directory, and the node a member.
pub(super) async fn join(asked: Join) -> Result<(), Failure> {
    let overrides =
        ConfigOverrides { data: asked.data, listen: asked.listen, ..ConfigOverrides::default() };
    let directory = data_directory(asked.config.as_deref(), &overrides);
    let goes_on = match directory.map_err(wrong_configuration)? {
        Some(data) => {
            check_around(&data).await?;
            match is_there(&Disk::new(&data), &data).await? {
                None => false,
                Some(There { owner, is_member: true, .. }) if asked.if_needed => {
                    note(format_args!("data: {}: it is node {owner}'s already", data.display()));
                    return Ok(());
                }
                Some(There { is_joining: true, .. }) => true,
                Some(There { owner, .. }) => {
                    return Err(Failure::Operation(format!(
                        "data: {}: it is node {owner}'s, and belongs to its cluster for good; a node \
                         that joins needs a new directory",
                        data.display()
                    )));
                }
            }
        }
        // Said with what else is wrong.
        None => false,
    };
    let address = match (&asked.address, asked.listen) {
        (Some(address), _) => address.clone(),
        (None, Some(listen)) => listen.to_string(),
        (None, None) => {
            let problem = "--address: missing: where do other nodes and clients reach it?";
            return Err(Failure::Usage(problem.to_owned()));
        }
    };
    let node = NodeId::checked(&asked.id).map_err(|problem| usage("id", &problem))?;
    let tls = match &asked.config {
        Some(file) => asked.tls.or(tls_files(file).map_err(wrong_configuration)?),
        None => asked.tls,
    };
    let (peers, token) = (asked.peers.clone(), TokenArguments::default());
    let client = ClientArguments { peers, timeout: None, zone: None, tls, token };
    let client = connect_as_node(&client).await?;
    let Some(cluster) = client.layout().cluster.clone() else {
        return Err(Failure::Operation("the cluster does not say which one it is".to_owned()));
    };
    let agreed = Agreed::of(client.clone(), &client.layout()).await?;
    let Some(Agreed { mut catalog, layout }) = agreed else {
        return Err(Failure::Operation(
            "the catalog of this cluster is switched off: write the node into the layout, make its \
             directory with `gitstratum init --config FILE`, and apply the layout"
                .to_owned(),
        ));
    };
    if !goes_on {
        refuse_known(&catalog, &layout, &node).await?;
    }
    let joining = Joining {
        address: address.clone(),
        zone: asked.zone.clone(),
        weight: asked.weight,
        replicas: asked.replicas,
        spare: asked.spare,
    };
    // Looked at before anything is made: what it will ask for.
    let next = joining.enter(&node, &layout);
    let next = next.map_err(|error| usage(wrong_flag(&error.field), &error.problem))?;
    let kept = KeptMember {
        node_id: node.clone(),
        layout: Layout::clone(&layout),
        address: Some(address.clone()),
    };
    let member = MemberOverrides { kept: Some(kept), ..MemberOverrides::default() };
    let loaded = Config::load_member(asked.config.as_deref(), overrides, member);
    let loaded = loaded.map_err(wrong_configuration)?;
    let (config, data) = (&loaded.config, loaded.data.as_path());
    if config.layout != *layout {
        let problem = "the configuration describes a cluster: with one, a node is made by \
                       `gitstratum init --config FILE`";
        return Err(usage("config", problem));
    }
    let disk = Disk::new(data);
    let rng = &mut seeded_by_the_system()?;
    let joined = prepare_join(config, &disk, &joining, rng).await;
    let joined = joined.map_err(|error| refused(error, data))?;
    // This program made the directory. Whichever is started on it states itself.
    let program = Some(config.catalog.program());
    let ask = JoinNode { node: node.to_string(), directory: joined.directory, address, program };
    let member = match call(&mut catalog, Operation::JoinNode(ask)).await {
        Ok(Outcome::Joined { raft }) => raft.0,
        Ok(_) => return other(),
        Err(error) => {
            return Err(Failure::Operation(format!(
                "{error}; the directory {} was made for it: empty it before it is used for another \
                 node",
                data.display()
            )));
        }
    };
    joined.became(&disk, member, rng).await.map_err(|error| refused(error, data))?;
    show(&format!("node {node} member {member} cluster {cluster} data {}\n", data.display()))?;
    let listen = match joining.address == config.listen.to_string() {
        true => String::new(),
        false => format!(" --listen {}", config.listen),
    };
    let how = match &asked.config {
        Some(file) => format!("--config {}", file.display()),
        None => format!("--data {}", data.display()),
    };
    note(format_args!("start it: gitstratum serve {how}{listen}"));
    match asked.spare {
        true => note(format_args!(
            "it enters the layout by `gitstratum node replace ID --with {node}`, or `node add {node}`"
        )),
        false => note(format_args!(
            "then it enters the layout: version {}, N={} W={} R={}",
            next.version, next.replicas, next.write_quorum, next.read_quorum
        )),
    }
    Ok(())
}

fn usage(flag: &str, problem: &str) -> Failure {
    Failure::Usage(format!("--{flag}: {problem}"))
}

/// The flag that a field of a layout comes from.
fn wrong_flag(field: &str) -> &str {
    match field.rsplit_once('.').map_or(field, |(_, name)| name) {
        "replicas" | "write_quorum" | "read_quorum" => "replicas",
        "node" => "id",
        name => name,
    }
}

/// The node that a directory is of, before anything is made in it.
struct There {
    owner: NodeId,
    /// It asked to join, and was not in the layout when it was looked at last.
    is_joining: bool,
    /// A cluster has it.
    is_member: bool,
}

async fn is_there(disk: &Disk, data: &Path) -> Result<Option<There>, Failure> {
    // What is no node's, and cannot become one, is refused by name when it is opened.
    let Ok(owner) = check_founded(disk, data).await else { return Ok(None) };
    let joining = Joining::read(disk).await;
    let joining = joining.map_err(Failure::operation(format!("data: {}", data.display())))?;
    let is_joining = joining.is_some();
    let is_member = !is_joining || Joining::is_let_in(disk).await?;
    Ok(Some(There { owner, is_joining, is_member }))
}

/// Refuses an id that a node has, or had.
async fn refuse_known(
    catalog: &CatalogClient,
    layout: &Layout,
    node: &NodeId,
) -> Result<(), Failure> {
    let nodes = nodes(catalog).await?;
    match layout.knows(node) || nodes.iter().any(|(id, _)| id == node.as_str()) {
        true => Err(Failure::Operation(format!(
            "node id {node} belongs to another data directory, for good: join under another id. If \
             that machine lost its disk: `gitstratum node replace {node} --with NEW`"
        ))),
        false => Ok(()),
    }
}
