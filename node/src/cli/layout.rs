//! `layout show`, `check` and `apply`: the document that says who the cluster is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use gitstratum_cluster::client::LayoutAnswer;
use gitstratum_cluster::membership::apply;
use gitstratum_cluster::transport::Dialler;
use gitstratum_core::limits;
use gitstratum_core::placement::{
    CurrentLayout, Layout, Member, MemberState, NodeId, layout_to_toml,
};
use gitstratum_core::replica::{DialError, DialProblem, NodeError, Stage};
use gitstratum_host::Net;

use super::agreed::Agreed;
use super::arguments::{ClientArguments, LayoutArguments, LayoutCommand};
use super::members::wait_until_voteless;
use super::settle::settle;
use super::{Failure, connect, note, show, wrong_configuration};
use crate::config::load_layout;

/// Does what the arguments say.
pub(super) async fn layout(asked: LayoutArguments) -> Result<(), Failure> {
    match asked.command {
        LayoutCommand::Show { client } => show_layout(&client).await,
        LayoutCommand::Check { file } => check(&file),
        LayoutCommand::Settle { client } => {
            let mut agreed = Agreed::connect(&client).await?;
            settle(&mut agreed, &client).await
        }
        LayoutCommand::Apply { file, accept_loss, client } => {
            apply_layout(&file, accept_loss, &client).await
        }
    }
}

fn check(file: &Path) -> Result<(), Failure> {
    let layout = load_layout(file).map_err(wrong_configuration)?;
    show(&format!("{}: {}\n", file.display(), summary(&layout)))
}

fn summary(layout: &Layout) -> String {
    let count = |state| layout.in_state(state).count();
    format!(
        "version {}, {} nodes active, {} draining, {} removed, N={} W={} R={}",
        layout.version,
        count(MemberState::Active),
        count(MemberState::Draining),
        count(MemberState::Removed),
        layout.replicas,
        layout.write_quorum,
        layout.read_quorum
    )
}

/// The newest layout that any node holds, with all the history that they know together.
fn newest(ours: &Arc<Layout>, answers: &[LayoutAnswer]) -> Arc<Layout> {
    let newest = CurrentLayout::new(ours.clone());
    for held in answers.iter().filter_map(|(_, answer)| answer.as_ref().ok()) {
        newest.learn(held);
    }
    newest.get()
}

async fn show_layout(client: &ClientArguments) -> Result<(), Failure> {
    let client = connect(client).await?;
    let answers = client.layouts().await;
    let layout = newest(&client.layout(), &answers);
    let mut text = format!("# {}\n", summary(&layout));
    let mut disagree = 0;
    for (member, answer) in &answers {
        let holds = match answer {
            Ok(held) if held.version == layout.version => {
                format!("version {}", held.version)
            }
            Ok(held) => {
                disagree += 1;
                format!("version {}  DISAGREES", held.version)
            }
            Err(error) => format!("not asked: {error}"),
        };
        let Member { node_id, address, state, .. } = member;
        text += &format!("# {node_id:<12} {address:<22} {state:<9} {holds}\n");
    }
    text.push('\n');
    text += &layout_to_toml(&layout);
    show(&text)?;
    if disagree > 0 {
        note(format_args!("{disagree} of {} nodes hold an older version", answers.len()));
    }
    Ok(())
}

/// Whether nobody is at an address. A name that does not resolve may be misspelt.
fn is_not_running(error: &DialError) -> bool {
    error.stage == Stage::Connect && !matches!(error.problem, DialProblem::Dns { .. })
}

async fn apply_layout(
    file: &Path,
    accept_loss: bool,
    arguments: &ClientArguments,
) -> Result<(), Failure> {
    let wanted = load_layout(file).map_err(wrong_configuration)?;
    let client = connect(arguments).await?;
    let in_force = newest(&client.layout(), &client.layouts().await);
    let agreed = Agreed::of(client, &in_force).await?;
    let in_force = agreed.as_ref().map_or(in_force, |agreed| agreed.layout.clone());
    // What goes out has the history of all, so that no node needs to know it already.
    let current = CurrentLayout::new(in_force.clone());
    let next = current.check_step(&wanted).and_then(|()| current.succession(&wanted));
    let next = next
        .map_err(|refused| Failure::Operation(format!("{}: refused: {refused}", file.display())))?;
    let next = next.unwrap_or_else(|| Layout::clone(&in_force));
    let is_agreed = agreed.is_some();
    let mut catalog = None;
    if let Some(mut agreed) = agreed {
        let changed = agreed.apply(next.clone(), accept_loss).await?;
        let how = if changed { "agreed on" } else { "agreed on already" };
        show(&format!("version {} {how}\n", next.version))?;
        catalog = Some(agreed.catalog);
    }
    let without = tell(&in_force, &next, is_agreed, arguments).await?;
    if let Some(catalog) = catalog {
        for member in next.in_state(MemberState::Removed) {
            wait_until_voteless(&catalog, member.node_id.as_str()).await?;
        }
    }
    match without {
        // Whoever did not take it learns it from the others.
        _ if is_agreed => Ok(()),
        0 => Ok(()),
        _ => Err(Failure::Operation(format!(
            "{without} nodes did not take version {}; those that cannot be reached learn it from \
             the others when they are back, and applying it again does no harm",
            next.version
        ))),
    }
}

/// Tells a layout to all nodes, those that leave it included, and prints what each says. Gives how
/// many have a part in it and did not take it.
pub(super) async fn tell(
    in_force: &Layout,
    next: &Layout,
    is_agreed: bool,
    arguments: &ClientArguments,
) -> Result<usize, Failure> {
    // Those that are gone are told too, at the address that they had.
    let mut members: BTreeMap<NodeId, Member> = BTreeMap::new();
    for member in in_force.members.iter().chain(&next.members) {
        members.insert(member.node_id.clone(), member.clone());
    }
    let (security, bearer) = arguments.credentials().await?;
    let told = apply(
        Dialler::new(Net::new(), "").secured(security).bearing(bearer),
        next,
        members.into_values().collect(),
        arguments.timeout_or(limits::REQUEST_TIMEOUT),
    )
    .await;
    let mut without = 0;
    for (member, answer) in &told {
        let Member { node_id, address, .. } = member;
        let gone = !next.is_read_from(node_id);
        // One that comes with this layout is started with it, and knows it then.
        let comes = in_force.member(node_id).is_none();
        match answer {
            Ok((version, changed)) => {
                let how = match changed {
                    _ if is_agreed => "in force",
                    true => "applied",
                    false => "already in force",
                };
                show(&format!("{node_id} {address} version {version} {how}\n"))
            }
            Err(NodeError::Dial(error)) if comes && is_not_running(error) => {
                note(format_args!(
                    "{node_id} {address}: does not run yet: start it with this layout ({error})"
                ));
                Ok(())
            }
            Err(error) => {
                without += usize::from(!gone);
                let gone = if gone { " (it left the layout)" } else { "" };
                note(format_args!("{node_id} {address}: {error}{gone}"));
                Ok(())
            }
        }?;
    }
    Ok(without)
}
