//! Layout changes.
//!
//! What a step changes in the layout.

use std::collections::BTreeMap;

use gitstratum_core::placement::{Layout, LayoutError, Member, MemberState, NodeId};

use serde::{Deserialize, Serialize};

use super::{Action, ClusterPlan, Step, is_default};

/// What is different in the next version of a layout, and who is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayoutChange {
    /// Nodes that drain from now on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub drain: Vec<String>,
    /// Nodes that leave.
    #[serde(default, skip_serializing_if = "is_default")]
    pub remove: Vec<String>,
    /// Nodes that are active again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub activate: Vec<String>,
    /// Nodes that have another weight.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weights: BTreeMap<String, u32>,
    /// Nodes that are in another zone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub zones: BTreeMap<String, String>,
    /// N, if it changes.
    pub replicas: Option<usize>,
    /// W, if it changes.
    pub write_quorum: Option<usize>,
    /// R, if it changes.
    pub read_quorum: Option<usize>,
    /// Whether the operator says that everything is where the version before places it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub settle: bool,
    /// Who is told; everybody else hears of it.
    pub tell: Vec<String>,
}

impl LayoutChange {
    /// Whether anything is different.
    pub(super) fn changes_something(&self) -> bool {
        *self != LayoutChange { tell: self.tell.clone(), ..LayoutChange::default() }
    }

    /// The next version after `layout`.
    ///
    /// # Errors
    /// [`LayoutError`] when it cannot be one, as nodes would say.
    pub fn after(&self, layout: &Layout) -> Result<Layout, LayoutError> {
        let mut next = Layout { version: layout.version + 1, ..layout.clone() };
        let states = [
            (&self.drain, MemberState::Draining),
            (&self.remove, MemberState::Removed),
            (&self.activate, MemberState::Active),
        ];
        for member in &mut next.members {
            let name = member.node_id.as_str();
            let state = states.iter().rfind(|(nodes, _)| nodes.iter().any(|node| node == name));
            member.state = state.map_or(member.state, |(_, state)| *state);
            member.weight = self.weights.get(name).copied().unwrap_or(member.weight);
            if let Some(zone) = self.zones.get(name) {
                member.zone.clone_from(zone);
            }
        }
        next.replicas = self.replicas.unwrap_or(next.replicas);
        next.write_quorum = self.write_quorum.unwrap_or(next.write_quorum);
        next.read_quorum = self.read_quorum.unwrap_or(next.read_quorum);
        if self.settle {
            next.settled = layout.version;
        }
        next.validated()
    }
}

/// The first layout of a cluster whose nodes listen on `port`.
///
/// # Errors
/// [`LayoutError`].
pub fn first_layout(plan: &ClusterPlan, port: u16) -> Result<Layout, LayoutError> {
    let active = plan.active_nodes();
    let member = |number: usize| {
        let name = format!("n{number}");
        let (address, zone) =
            (format!("{name}:{port}"), format!("z{}", (number - 1) % plan.zones + 1));
        let state = if number > active { MemberState::Draining } else { MemberState::Active };
        Member { state, ..Member::active(NodeId::new(name), address, zone, 1) }
    };
    let members = (1..=plan.nodes).map(member).collect();
    Layout::first((plan.replicas, plan.write_quorum, plan.read_quorum), members).validated()
}

/// Checks that each change makes a layout, in the order of the steps; a problem comes with the
/// place of its step.
pub(super) fn check(plan: &ClusterPlan, steps: &[Step]) -> Result<(), (usize, LayoutError)> {
    let mut layout = first_layout(plan, 1).map_err(|error| (0, error))?;
    for (place, step) in steps.iter().enumerate() {
        if let Action::Layout(change) = &step.action {
            layout = change.after(&layout).map_err(|error| (place, error))?;
        }
    }
    Ok(())
}
