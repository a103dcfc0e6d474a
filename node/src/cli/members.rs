//! `node`: who belongs to the cluster.
//!
//! Invariant: each command is a few steps that may be done again, so that one which was interrupted
//! goes on when it is given again.

use std::collections::BTreeSet;
use std::time::Duration;

use comfy_table::{Table, presets};
use gitstratum_catalog::entity::{Node, NodeState};
use gitstratum_catalog::error::lacking;
use gitstratum_catalog::{Answer, Feature, Operation, Query};
use gitstratum_cluster::client::Client;
use gitstratum_core::placement::{Layout, LayoutError, Member, MemberState, NodeId};
use serde::Serialize;
use tokio::time::Instant;

use super::agreed::Agreed;
use super::arguments::{ClientArguments, NodeCommand};
use super::catalog::{ask, call, catalog, line, other};
use super::layout::tell;
use super::settle::{Progress, settle};
use super::{Failure, connect_for_status, note, show};
use crate::catalog::CatalogClient;

const PAUSE: Duration = Duration::from_millis(300);
/// How long the other voters may take to do without one.
const VOTE_MAX: Duration = Duration::from_secs(60);

/// Does what `node` says.
pub(super) async fn node(asked: NodeCommand) -> Result<(), Failure> {
    match asked {
        NodeCommand::List { json, client } => list(json, &client).await,
        NodeCommand::Add { id, in_zone, weight, replicas, client } => {
            add(&id, in_zone, weight, replicas, &client).await
        }
        NodeCommand::Drain { id, replicas, client } => drain(&id, replicas, &client).await,
        NodeCommand::Remove { id, replicas, accept_loss, client } => {
            remove(&id, replicas, accept_loss, &client).await
        }
        NodeCommand::Replace { dead, with, accept_loss, client } => {
            replace(&dead, &with, accept_loss, &client).await
        }
    }
}

async fn list(json: bool, client: &ClientArguments) -> Result<(), Failure> {
    let catalog = catalog(client).await?;
    let nodes = nodes(&catalog).await?;
    #[derive(Serialize)]
    struct Line<'a> {
        id: &'a str,
        #[serde(flatten)]
        node: &'a Node,
        /// Of the program that it stated last.
        version: Option<&'a str>,
        features: Option<&'a BTreeSet<String>>,
    }
    if json {
        let lines: Result<String, _> = nodes
            .iter()
            .map(|(id, node)| {
                let program = node.program.as_ref();
                let version = program.map(|program| program.version.as_str());
                let features = program.map(|program| &program.features);
                line(&Line { id, node, version, features })
            })
            .collect();
        return show(&lines?);
    }
    let mut table = Table::new();
    let header = ["node", "member", "part", "version", "address"];
    table.load_preset(presets::NOTHING).set_header(header);
    for (id, node) in &nodes {
        let (member, part) = (node.raft.to_string(), node.state.to_string());
        let version = node.program.as_ref().map_or("-", |program| program.version.as_str());
        table.add_row([id, &member, &part, version, &node.address]);
    }
    let mut out = format!("{}\n", table.trim_fmt());
    for feature in Feature::ALL {
        let lacked_by = feature.lacked_among(nodes.iter().map(|(id, node)| (id.as_str(), node)));
        if !lacked_by.is_empty() {
            out += &format!("`{}` is off: {} lack it\n", feature.name(), lacking(&lacked_by));
        }
    }
    show(&out)
}

/// Every node that ever belonged to the cluster, by id.
pub(super) async fn nodes(catalog: &CatalogClient) -> Result<Vec<(String, Node)>, Failure> {
    match ask(catalog, &Query::Nodes).await? {
        Answer::Nodes(nodes) => Ok(nodes),
        _ => other(),
    }
}

/// A node that has joined, and was not removed.
async fn joined(catalog: &CatalogClient, id: &str) -> Result<Node, Failure> {
    let known = nodes(catalog).await?.into_iter().find(|(known, _)| known == id);
    match known.map(|(_, node)| node) {
        Some(node) if node.state != NodeState::Removed => Ok(node),
        Some(_) => Err(Failure::Operation(format!(
            "node {id} was removed for good: its machine joins under another id, with an empty \
             directory"
        ))),
        None => Err(Failure::Operation(format!(
            "there is no node {id}: on its machine, `gitstratum join --spare --id {id} …` makes it \
             one, and `gitstratum serve` starts it"
        ))),
    }
}

async fn add(
    id: &str,
    zone: String,
    weight: u32,
    replicas: Option<usize>,
    arguments: &ClientArguments,
) -> Result<(), Failure> {
    let mut agreed = Agreed::connect(arguments).await?;
    let node = NodeId::new(id);
    let Node { address, .. } = joined(&agreed.catalog, id).await?;
    let member = Member::active(node.clone(), address, zone, weight);
    let changed =
        change(&mut agreed, false, arguments, |layout| match layout.is_read_from(&node) {
            true => Ok(None),
            false => layout.with_member(member.clone(), replicas).map(Some),
        });
    match changed.await? {
        true => Ok(()),
        false => show(&format!("{id} is in the layout already\n")),
    }
}

async fn drain(
    id: &str,
    replicas: Option<usize>,
    arguments: &ClientArguments,
) -> Result<(), Failure> {
    let mut agreed = Agreed::connect(arguments).await?;
    let node = NodeId::new(id);
    change(&mut agreed, false, arguments, |layout| {
        match layout.member(&node).map(|member| member.state) {
            Some(MemberState::Draining) => Ok(None),
            _ => layout.with_state(&node, MemberState::Draining, replicas).map(Some),
        }
    })
    .await?;
    settle(&mut agreed, arguments).await?;
    note(format_args!("{id} is drained: `gitstratum node remove {id}` takes it out for good"));
    Ok(())
}

async fn remove(
    id: &str,
    replicas: Option<usize>,
    accept_loss: bool,
    arguments: &ClientArguments,
) -> Result<(), Failure> {
    let mut agreed = Agreed::connect(arguments).await?;
    let node = NodeId::new(id);
    refuse_minority(&agreed, &node, None, arguments).await?;
    change(&mut agreed, accept_loss, arguments, |layout| {
        match layout.knows(&node) && !layout.is_read_from(&node) || is_spare(layout, &node) {
            true => Ok(None),
            false => layout.with_state(&node, MemberState::Removed, replicas).map(Some),
        }
    })
    .await?;
    leave(&mut agreed, id).await
}

/// Whether the layout says nothing of a node.
fn is_spare(layout: &Layout, node: &NodeId) -> bool {
    layout.member(node).is_none()
}

/// Gives the places of dead nodes to others. Of several that are lost all leave the layout before
/// anything is compared: else the comparison would wait for one that never answers.
async fn replace(
    dead: &[String],
    with: &[String],
    accept_loss: bool,
    arguments: &ClientArguments,
) -> Result<(), Failure> {
    if dead.len() != with.len() {
        return Err(Failure::Usage(format!(
            "--with: {} nodes for {} places: give one for each, as \"n4,n5\"",
            with.len(),
            dead.len()
        )));
    }
    let named: BTreeSet<&String> = dead.iter().chain(with).collect();
    if named.len() < dead.len() + with.len() {
        let problem = "--with: each node is named once: a machine that lost its disk comes back \
                       under another id, because it has forgotten what it promised under its old one";
        return Err(Failure::Usage(problem.to_owned()));
    }
    let mut agreed = Agreed::connect(arguments).await?;
    let mut places = Vec::new();
    for (dead, with) in dead.iter().zip(with) {
        let Node { address, .. } = joined(&agreed.catalog, with).await?;
        refuse_minority(&agreed, &NodeId::new(dead.as_str()), Some(with), arguments).await?;
        places.push((NodeId::new(dead.as_str()), NodeId::new(with.as_str()), address));
    }
    for (dead, with, address) in &places {
        change(&mut agreed, accept_loss, arguments, |layout| {
            let has_both = layout.is_read_from(with) && !layout.is_read_from(dead);
            if has_both && layout.member(dead).is_some() {
                return Ok(None);
            }
            let place = layout.member(dead).map(|member| (member.zone.clone(), member.weight));
            let by = place
                .filter(|_| !layout.is_read_from(with))
                .map(|(zone, weight)| Member::active(with.clone(), address.clone(), zone, weight));
            layout.with_replaced(dead, by).map(Some)
        })
        .await?;
    }
    settle(&mut agreed, arguments).await?;
    for dead in dead {
        leave(&mut agreed, dead).await?;
    }
    Ok(())
}

/// Has the layout changed, tells all nodes, and waits until those that left vote no more.
async fn change(
    agreed: &mut Agreed,
    accept_loss: bool,
    arguments: &ClientArguments,
    next: impl Fn(&Layout) -> Result<Option<Layout>, LayoutError>,
) -> Result<bool, Failure> {
    let before = agreed.layout.clone();
    let changed = agreed.change(accept_loss, |layout| next(layout).map_err(refused)).await?;
    if changed {
        let layout = agreed.layout.clone();
        show(&format!(
            "version {} agreed on: N={} W={} R={}\n",
            layout.version, layout.replicas, layout.write_quorum, layout.read_quorum
        ))?;
        tell(&before, &layout, true, arguments).await?;
    }
    Ok(changed)
}

fn refused(error: LayoutError) -> Failure {
    let LayoutError { field, problem } = error;
    let what_to_do = match field.as_str() {
        "cluster.replicas" => ": have another node join first, or say --replicas for fewer copies",
        _ => "",
    };
    Failure::Operation(format!("{field}: {problem}{what_to_do}"))
}

/// Refuses to take a node away where those that vote then and answer would be no majority.
async fn refuse_minority(
    agreed: &Agreed,
    leaving: &NodeId,
    coming: Option<&str>,
    arguments: &ClientArguments,
) -> Result<(), Failure> {
    let nodes = nodes(&agreed.catalog).await?;
    let voters = nodes.iter().filter(|(_, node)| node.state == NodeState::Voter);
    let (leaves, stay): (Vec<_>, Vec<_>) =
        voters.map(|(id, _)| id).partition(|id| **id == leaving.as_str());
    if leaves.is_empty() {
        return Ok(());
    }
    let answering = answering(&connect_for_status(arguments).await?).await;
    let others = nodes.iter().filter(|(id, node)| {
        let layout = &agreed.layout;
        let is_active = layout
            .member(&NodeId::new(id.as_str()))
            .is_some_and(|member| member.state == MemberState::Active);
        node.state != NodeState::Voter && (is_active || coming == Some(id))
    });
    let silent: Vec<_> = stay.iter().filter(|id| !answering.contains(**id)).collect();
    if stay.is_empty() && others.count() == 0 {
        return Err(Failure::Operation(format!(
            "node {leaving} is the only one that votes: nobody would agree on anything without it. \
             Have another node join first"
        )));
    }
    if !stay.is_empty() && silent.len() * 2 >= stay.len() {
        let silent: Vec<&str> = silent.iter().map(|id| id.as_str()).collect();
        return Err(Failure::Operation(format!(
            "without {leaving}, those that vote and answer are no majority any more: start {} \
             first, or replace them one by one with `gitstratum node replace`",
            silent.join(", ")
        )));
    }
    Ok(())
}

async fn answering(client: &Client) -> Vec<String> {
    let answers = client.status().await.into_iter();
    answers.filter(|(_, a)| a.is_ok()).map(|(member, _)| member.node_id.to_string()).collect()
}

/// Has a node leave for good that the layout does not read from, once the others do without its
/// vote.
async fn leave(agreed: &mut Agreed, id: &str) -> Result<(), Failure> {
    let removed = Operation::SetNodeState { node: id.to_owned(), state: NodeState::Removed };
    wait_until_voteless(&agreed.catalog, id).await?;
    match nodes(&agreed.catalog).await?.iter().find(|(known, _)| known == id) {
        Some((_, node)) if node.state == NodeState::Removed => {}
        Some(_) => call(&mut agreed.catalog, removed).await.map(drop)?,
        // It never took part in what is agreed on.
        None => {}
    }
    show(&format!("{id} is removed\n"))?;
    note(format_args!("its machine may go; its id is never used again"));
    Ok(())
}

/// Waits until the others agree without this node.
pub(super) async fn wait_until_voteless(catalog: &CatalogClient, id: &str) -> Result<(), Failure> {
    let until = Instant::now() + VOTE_MAX;
    let mut progress = Progress::default();
    loop {
        let nodes = nodes(catalog).await?;
        // One that is joining may be about to vote: the founder of a young cluster does already.
        let may_vote = |node: &Node| matches!(node.state, NodeState::Voter | NodeState::Joining);
        if !nodes.iter().any(|(known, node)| known == id && may_vote(node)) {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(Failure::Operation(format!(
                "{id} still votes: leave it running until `gitstratum node list` says otherwise, \
                 and give the command again"
            )));
        }
        progress.say(format!("{id} still votes: the others take over"));
        tokio::time::sleep(PAUSE).await;
    }
}
