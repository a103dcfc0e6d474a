//! `layout show`, `check` and `apply`: the document that says who the cluster is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use gitstratum_cluster::client::LayoutAnswer;
use gitstratum_cluster::membership::apply;
use gitstratum_core::limits;
use gitstratum_core::placement::{
    CurrentLayout, Layout, Member, MemberState, NodeId, layout_to_toml,
};
use gitstratum_core::replica::{DialError, DialProblem, NodeError, Stage};
use gitstratum_host::Net;

use super::arguments::{ClientArguments, LayoutArguments, LayoutCommand};
use super::{Failure, connect, note, show, wrong_configuration};
use crate::config::load_layout;

/// Does what the arguments say.
pub(super) async fn layout(asked: LayoutArguments) -> Result<(), Failure> {
    match asked.command {
        LayoutCommand::Show { client } => show_layout(&client).await,
        LayoutCommand::Check { file } => check(&file),
        LayoutCommand::Apply { file, client } => apply_layout(&file, &client).await,
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

async fn apply_layout(file: &Path, arguments: &ClientArguments) -> Result<(), Failure> {
    let wanted = load_layout(file).map_err(wrong_configuration)?;
    let client = connect(arguments).await?;
    let in_force = newest(&client.layout(), &client.layouts().await);
    // What goes out has the history of all, so that no node needs to know it already.
    let current = CurrentLayout::new(in_force.clone());
    let next = current.check_step(&wanted).and_then(|()| current.succession(&wanted));
    let next = next
        .map_err(|refused| Failure::Operation(format!("{}: refused: {refused}", file.display())))?;
    let next = next.unwrap_or_else(|| Layout::clone(&in_force));
    // Those that are gone are told too, at the address that they had.
    let mut members: BTreeMap<NodeId, Member> = BTreeMap::new();
    for member in in_force.members.iter().chain(&next.members) {
        members.insert(member.node_id.clone(), member.clone());
    }
    let told = apply(
        Net::new(),
        &next,
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
            Ok((version, true)) => {
                show(&format!("{node_id} {address} version {version} applied\n"))
            }
            Ok((version, false)) => {
                show(&format!("{node_id} {address} version {version} already in force\n"))
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
    match without {
        0 => Ok(()),
        _ => Err(Failure::Operation(format!(
            "{without} nodes did not take version {}; those that cannot be reached learn it from \
             the others when they are back, and applying it again does no harm",
            next.version
        ))),
    }
}
