//! `node`.

use comfy_table::{Table, presets};
use gitstratum_catalog::entity::Node;
use gitstratum_catalog::{Answer, Query};
use serde::Serialize;

use super::super::arguments::NodeCommand;
use super::super::{Failure, show};
use super::{ask, catalog, line, other};

/// Does what `node` says.
pub(crate) async fn node(asked: NodeCommand) -> Result<(), Failure> {
    let NodeCommand::List { json, client } = asked;
    let catalog = catalog(&client).await?;
    let Answer::Nodes(nodes) = ask(&catalog, &Query::Nodes).await? else { return other() };
    #[derive(Serialize)]
    struct Line<'a> {
        id: &'a str,
        #[serde(flatten)]
        node: &'a Node,
    }
    if json {
        let lines: Result<String, _> =
            nodes.iter().map(|(id, node)| line(&Line { id, node })).collect();
        return show(&lines?);
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["node", "member", "part", "address"]);
    for (id, node) in &nodes {
        let (member, part) = (node.raft.to_string(), node.state.to_string());
        table.add_row([id, &member, &part, &node.address]);
    }
    show(&format!("{}\n", table.trim_fmt()))
}
