//! Feature gates: what a program can apply that an older one may not know.
//!
//! A node states its program's features to the catalog, under the names here, and a command that
//! takes one is not proposed before every member stated it. What is committed can then be applied by
//! all. Applying never looks at features: it is the same on all nodes, whatever they have stated.
//!
//! Invariant: a name is never used for another feature, nor for more than it stood for.

use std::collections::BTreeSet;

use crate::command::Operation;
use crate::entity::{Node, NodeState};
use crate::error::{CatalogError, Lacking};
use crate::state::State;

/// Something that programs can apply from one version on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// Repositories and tokens are restored from a backup.
    Restore,
}

impl Feature {
    /// All that this program has, in the order of their versions.
    pub const ALL: [Feature; 1] = [Feature::Restore];

    /// The name by which nodes state it.
    pub fn name(self) -> &'static str {
        match self {
            Feature::Restore => "restore",
        }
    }

    /// The last version of which there are programs without it.
    pub fn lacked_by(self) -> &'static str {
        match self {
            Feature::Restore => "0.1",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Feature::ALL.into_iter().find(|feature| feature.name() == name)
    }

    /// What every member has to have before this is proposed. An operation that got a field goes by
    /// what is in the field.
    pub fn needed_by(operation: &Operation) -> Option<Self> {
        match operation {
            Operation::BeginRestore(_)
            | Operation::RestoreRecords(_)
            | Operation::EndRestore(_)
            | Operation::RestoreToken(_) => Some(Feature::Restore),
            // The first version has these.
            Operation::CreateRepository(_)
            | Operation::RenameRepository { .. }
            | Operation::ConfigureRepository(_)
            | Operation::DeleteRepository { .. }
            | Operation::UndeleteRepository { .. }
            | Operation::PurgeRepository { .. }
            | Operation::Push(_)
            | Operation::ApplyLayout(_)
            | Operation::JoinNode(_)
            | Operation::SetNodeState { .. }
            | Operation::CreateToken(_)
            | Operation::RevokeToken { .. }
            | Operation::AdoptLayout(_)
            | Operation::Refound(_)
            | Operation::ForkRepository { .. }
            | Operation::AdvanceClock => None,
        }
    }

    /// Which of these nodes lack it; none that was removed.
    pub fn lacked_among<'a>(
        self,
        nodes: impl IntoIterator<Item = (&'a str, &'a Node)>,
    ) -> Vec<Lacking> {
        let present = nodes.into_iter().filter(|(_, node)| node.state != NodeState::Removed);
        let has_it = |node: &Node| {
            node.program.as_ref().is_some_and(|program| program.features.contains(self.name()))
        };
        let lacking = present.filter(|(_, node)| !has_it(node)).map(|(id, node)| Lacking {
            node: id.to_owned(),
            version: node.program.as_ref().map(|program| program.version.clone()),
        });
        lacking.collect()
    }
}

impl State {
    /// Who lacks a feature, as far as this state knows: members, and nodes of the layout that never
    /// were members and may become some.
    pub fn lacking(&self, feature: Feature) -> Vec<Lacking> {
        let members = self.nodes().map(|(id, node)| (id.as_str(), &**node));
        let mut lacking = feature.lacked_among(members);
        let layout = self.layout().into_iter();
        let read_from = layout.flat_map(|layout| {
            layout.members.iter().filter(|member| layout.is_read_from(&member.node_id))
        });
        let strangers = read_from.filter(|member| self.node(&member.node_id).is_none());
        lacking.extend(
            strangers.map(|member| Lacking { node: member.node_id.to_string(), version: None }),
        );
        lacking
    }

    /// Features that are off, with those who lack each.
    pub fn features_off(&self) -> Vec<(Feature, Vec<Lacking>)> {
        let lacking = Feature::ALL.into_iter().map(|feature| (feature, self.lacking(feature)));
        lacking.filter(|(_, nodes)| !nodes.is_empty()).collect()
    }

    /// Whether a command may be proposed: for whoever proposes, and not for applying it.
    ///
    /// # Errors
    /// [`CatalogError::FeatureOff`], where some member could not apply it.
    pub fn admits(&self, operation: &Operation) -> Result<(), CatalogError> {
        let Some(feature) = Feature::needed_by(operation) else { return Ok(()) };
        match self.lacking(feature) {
            nodes if nodes.is_empty() => Ok(()),
            nodes => Err(CatalogError::FeatureOff { feature: feature.name().to_owned(), nodes }),
        }
    }
}

/// The names of all features but these.
pub fn names_without(off: &[String]) -> BTreeSet<String> {
    let names = Feature::ALL.into_iter().map(|feature| feature.name().to_owned());
    names.filter(|name| !off.contains(name)).collect()
}

#[cfg(test)]
mod tests;
