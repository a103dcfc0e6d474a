//! Features of programs: what this node states of its own, and the gate before commands.
//!
//! A command that an older program does not know stops that program's part in the catalog, so it is
//! proposed only when every member has stated that it knows it. Who takes a command from a client looks,
//! whoever leads: a leader of the version before would not know what to look for.
//!
//! What was stated is in the catalog, where version 0.1 skips it. So a node that was upgraded lacks what
//! others stated before, until they do so again. Hence a node states its program when it starts,
//! whenever its own record has another, and after it saw another node state something new.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use gitstratum_catalog::encode::decode_reply;
use gitstratum_catalog::entity::{NodeState, Program};
use gitstratum_catalog::error::Lacking;
use gitstratum_catalog::{CatalogError, Feature, Operation, Reply};
use gitstratum_consensus::{Group, ReadError};
use gitstratum_core::limits;
use gitstratum_core::placement::NodeId;
use gitstratum_proto::v1;

use super::identity::Identity;
use super::join::member_of;
use super::{Catalog, Participant};

/// Refuses what some member's program could not apply, by a state that has all that was acknowledged
/// before; what the first version has is not looked at.
///
/// # Errors
/// [`ReadError`] when there is no such state in time.
pub(super) async fn refusal(
    group: &Group<Catalog>,
    operation: &Operation,
    within: Duration,
) -> Result<Option<CatalogError>, ReadError> {
    if Feature::needed_by(operation).is_none() {
        return Ok(None);
    }
    group.read(within, |catalog| catalog.0.admits(operation).err()).await
}

/// What is known of the programs of others that were not removed.
type Programs = BTreeMap<NodeId, Option<Program>>;

/// A node's statements of its own program.
pub(super) struct Statements<'p> {
    participant: &'p Participant,
    identity: Identity,
    /// What others had stated before this node did so last; nothing before its first statement.
    seen: Option<Programs>,
}

impl<'p> Statements<'p> {
    /// Nothing is stated yet.
    pub(super) fn new(participant: &'p Participant, identity: Identity) -> Self {
        Statements { participant, identity, seen: None }
    }

    /// States the program, if it is time to. What fails is tried again with the next call.
    pub(super) async fn keep(&mut self, group: &Group<Catalog>) {
        let Some(others) = self.due(group) else { return };
        let Some(command) = self.participant.join_command(self.identity) else { return };
        match group.propose(command, limits::CATALOG_REQUEST_TIMEOUT).await {
            Ok(proposed) if self.is_taken(&proposed.reply) => self.seen = Some(others),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the catalog does not know this program yet"),
        }
    }

    /// What others have stated, where that, or what is kept of this node, asks for a statement.
    fn due(&self, group: &Group<Catalog>) -> Option<Programs> {
        let Participant { node, program, .. } = self.participant;
        group.with_local(|catalog| {
            let ours = catalog.0.node(node)?;
            if ours.state == NodeState::Removed {
                return None;
            }
            let others = catalog
                .0
                .nodes()
                .filter(|(id, other)| *id != node && other.state != NodeState::Removed);
            let others: Programs =
                others.map(|(id, other)| (id.clone(), other.program.clone())).collect();
            let is_kept = ours.program.as_ref() == Some(program);
            (!is_kept || self.seen.as_ref() != Some(&others)).then_some(others)
        })
    }

    /// Whether the statement was taken, or never will be.
    fn is_taken(&self, reply: &Bytes) -> bool {
        let is_behind = decode_reply(reply)
            .is_ok_and(|reply| self.participant.author_of(self.identity).is_behind(&reply));
        if !is_behind && let Err(reason) = member_of(reply) {
            tracing::warn!(
                reason,
                "the catalog does not take what this node states of its program"
            );
        }
        !is_behind
    }
}

impl Participant {
    /// Features that are off, as far as this node knows.
    pub(super) fn features_off_here(&self) -> Vec<v1::FeatureOff> {
        let off = self.with_local(|state| state.features_off()).unwrap_or_default();
        off.into_iter().map(|(feature, nodes)| to_wire(feature, nodes)).collect()
    }
}

fn to_wire(feature: Feature, nodes: Vec<Lacking>) -> v1::FeatureOff {
    let node = |Lacking { node, version }| v1::LackingNode { node_id: node, version };
    v1::FeatureOff {
        feature: feature.name().to_owned(),
        nodes: nodes.into_iter().map(node).collect(),
    }
}

/// The reply of a command that is not proposed.
pub(super) fn refused(error: CatalogError) -> Bytes {
    gitstratum_catalog::encode::encode_reply(&Reply::Refused(error)).into()
}

#[cfg(test)]
mod tests;
