//! `snapshot`: a consistent copy of every node's store, by hard links, beside its data.

use super::arguments::Snapshot;
use super::{Failure, connect, note, show};

/// Asks every node, and prints where each put its snapshot.
pub(super) async fn snapshot(asked: Snapshot) -> Result<(), Failure> {
    let client = connect(&asked.client).await?;
    let answers = client.snapshot(&asked.name).await;
    let mut failed = 0;
    for (member, answer) in &answers {
        match answer {
            Ok(made) => show(&format!(
                "{} {} ({} files, below its data directory)\n",
                member.node_id, made.path, made.files
            ))?,
            Err(error) => {
                failed += 1;
                note(format_args!("{}: {error}", member.node_id));
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => {
            Err(Failure::Operation(format!("{failed} of {} nodes made no snapshot", answers.len())))
        }
    }
}
