//! `recover`: a node goes on alone when a majority of those that voted is lost for good.
//!
//! Invariant: what may be lost is said before anything is done, and nothing is done without
//! `--force`.

use gitstratum_catalog::entity::NodeState;
use gitstratum_consensus::Remains;
use gitstratum_host::Disk;

use super::arguments::Recover;
use super::serve::{load, refused};
use super::{Failure, note, seeded_by_the_system, show};
use crate::catalog::Catalog;
use crate::config::{ConfigOverrides, LoadedConfig};
use crate::server::Stopped;

/// Does what the arguments say.
pub(super) async fn recover(asked: Recover) -> Result<(), Failure> {
    let overrides = ConfigOverrides { data: asked.data, ..ConfigOverrides::default() };
    let loaded = load(asked.config.as_deref(), &overrides, None).await?;
    let disk = Disk::new(&loaded.data);
    let rng = &mut seeded_by_the_system()?;
    let stopped = Stopped::open(&loaded.config, &disk, rng).await;
    let stopped = stopped.map_err(|error| refused(error, &loaded.data))?;
    let done = go_on_alone(&stopped, &loaded, asked.force).await;
    stopped.close().await;
    done
}

async fn go_on_alone(stopped: &Stopped, loaded: &LoadedConfig, force: bool) -> Result<(), Failure> {
    let rng = &mut seeded_by_the_system()?;
    let node = &loaded.config.node_id;
    if let Some(member) = stopped.go_on(rng).await? {
        return show(&format!("node {node} goes on alone as member {member}: completed\n"));
    }
    let (member, remains) = stopped.catalog(rng).await?;
    note(prospect(node.as_str(), member, &remains));
    if !force {
        return Err(Failure::Operation(
            "nothing was changed: with --force it is done. Where any of the others can still be \
             started with its disk, do that instead"
                .to_owned(),
        ));
    }
    let address = stopped.address(&remains.machine.0);
    let address = address
        .ok_or_else(|| Failure::Operation(format!("nobody says where node {node} is reached")))?;
    let member = stopped.go_on_alone(remains, &address, rng).await?;
    show(&format!("node {node} goes on alone as member {member}\n"))?;
    note(format_args!(
        "start it: gitstratum serve --data {}. Then replace the lost nodes: `gitstratum join --spare` \
         on each new machine, and for all of them together `gitstratum node replace LOST… --with \
         NEW,… --accept-loss`",
        loaded.data.display()
    ));
    Ok(())
}

/// What the node has, and what will be lost.
fn prospect(node: &str, member: u64, remains: &Remains<Catalog>) -> String {
    let state = &remains.machine.0;
    let counts = state.counts();
    let others: Vec<String> = state
        .nodes()
        .filter(|(id, other)| id.as_str() != node && other.state != NodeState::Removed)
        .map(|(id, _)| id.to_string())
        .collect();
    let name = |id: &u64| remains.members.nodes.get(id).cloned().unwrap_or_else(|| id.to_string());
    let voters = remains.members.voters.last().into_iter().flatten().map(name);
    let voters: Vec<String> = voters.collect();
    let (last, term) = (remains.last.map_or(0, |last| last.index), remains.term);
    let mut text = format!(
        "node {node} is member {member}; {} vote, as it knows\n\
         it has entries up to {last} and heard of term {term}: {} repositories, {} refs, {} tokens\n",
        voters.join(", "),
        counts.repositories,
        counts.refs,
        counts.tokens,
    );
    let others = others.join(", ");
    text.push_str("If it goes on alone:\n");
    text.push_str(
        "- what the others agreed on and this node did not hear of is lost: repositories, updates of \
         refs, tokens, layouts that were acknowledged, and nobody can say which\n",
    );
    if remains.unconfirmed > 0 {
        text.push_str(&format!(
            "- its last {} entries, of which it did not know whether they were agreed on, count as \
             agreed: some may be changes whose callers were told that they failed\n",
            remains.unconfirmed
        ));
    }
    text.push_str(&format!(
        "- {others}: removed for good. None of them may be started again with the disk that it had: \
         it would be a second cluster of the same name\n\
         - objects whose replicas were all on lost nodes are gone",
    ));
    text
}
