//! `scrub status`, `start`, `pause` and `cancel`.

mod report;

use gitstratum_proto::v1::ScrubOrder;

use super::arguments::{ClientArguments, ScrubArguments, ScrubCommand};
use super::{Failure, connect, nodes, show};

/// Does what the arguments say.
pub(super) async fn scrub(asked: ScrubArguments) -> Result<(), Failure> {
    match asked.command {
        ScrubCommand::Status { json, client } => status(json, &client).await,
        ScrubCommand::Start { client } => order(ScrubOrder::Start, &client).await,
        ScrubCommand::Pause { client } => order(ScrubOrder::Pause, &client).await,
        ScrubCommand::Cancel { client } => order(ScrubOrder::Cancel, &client).await,
    }
}

async fn status(as_json: bool, client: &ClientArguments) -> Result<(), Failure> {
    let answers = nodes::ask(client).await?;
    match as_json {
        true => show(&format!("{:#}\n", report::as_json(&answers))),
        false => show(&report::as_text(&answers)?),
    }
}

async fn order(order: ScrubOrder, client: &ClientArguments) -> Result<(), Failure> {
    nodes::told(&connect(client).await?.scrub(order).await, done(order))
}

fn done(order: ScrubOrder) -> &'static str {
    match order {
        ScrubOrder::Start => "reads and verifies all it has now",
        ScrubOrder::Pause => "paused until `scrub start`, or until it restarts",
        ScrubOrder::Cancel => "gave up the scrub that was under way",
        ScrubOrder::Unspecified => "was told nothing",
    }
}
