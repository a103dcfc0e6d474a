//! `repair status`, `start`, `pause` and `cancel`.

mod report;

use gitstratum_proto::v1::RepairOrder;

use super::arguments::{ClientArguments, RepairArguments, RepairCommand};
use super::{Failure, connect, nodes, show};

/// Does what the arguments say.
pub(super) async fn repair(asked: RepairArguments) -> Result<(), Failure> {
    match asked.command {
        RepairCommand::Status { json, client } => status(json, &client).await,
        RepairCommand::Start { client } => order(RepairOrder::Start, &client).await,
        RepairCommand::Pause { client } => order(RepairOrder::Pause, &client).await,
        RepairCommand::Cancel { client } => order(RepairOrder::Cancel, &client).await,
    }
}

async fn status(as_json: bool, client: &ClientArguments) -> Result<(), Failure> {
    let answers = nodes::ask(client).await?;
    match as_json {
        true => show(&format!("{:#}\n", report::as_json(&answers))),
        false => show(&report::as_text(&answers)?),
    }
}

async fn order(order: RepairOrder, client: &ClientArguments) -> Result<(), Failure> {
    nodes::told(&connect(client).await?.repair(order).await, done(order))
}

fn done(order: RepairOrder) -> &'static str {
    match order {
        RepairOrder::Start => "compares everything with every peer now",
        RepairOrder::Pause => "paused until `repair start`, or until it restarts",
        RepairOrder::Cancel => "gave up the comparisons that were under way",
        RepairOrder::Unspecified => "was told nothing",
    }
}
