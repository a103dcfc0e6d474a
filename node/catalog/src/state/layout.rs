//! Layouts: the next version comes into force if no object is left with too few replicas.
//!
//! An object was acknowledged by W replicas of the layout that placed it. Those that nobody reads
//! from any more are lost to it. So of the replicas of any object, by the layout in force and by
//! each earlier one that is not settled, at least W have to go on being read from. What an earlier
//! layout took away already, with its loss accepted, does not stand in the way of later ones.
//!
//! A layout that nodes go by already, however they were told, is adopted whatever it takes away.
//!
//! A node that drains is read from. Once the layout in which it drained is settled, its objects
//! are elsewhere, and nothing of this speaks against its removal.

use std::collections::BTreeSet;
use std::sync::Arc;

use gitstratum_core::placement::{
    Layout, LayoutRefused, MemberState, NodeId, Ring, check_step, succession,
};

use super::{Context, State};
use crate::command::ApplyLayout;
use crate::entity::{Change, NodeState};
use crate::error::CatalogError;
use crate::reply::Outcome;

impl State {
    pub(super) fn apply_layout(
        &mut self,
        context: &Context,
        apply: &ApplyLayout,
    ) -> Result<Outcome, CatalogError> {
        let layout = &apply.layout;
        let next = match &self.layout {
            None => Some(first(layout)?),
            Some(in_force) => following(in_force, layout)?,
        };
        let Some(next) = next else {
            return Ok(Outcome::LayoutInForce { version: layout.version, changed: false });
        };
        self.check_removed(&next)?;
        if let Some(in_force) = &self.layout
            && !apply.accept_loss
        {
            check_replicas(in_force, &next)?;
        }
        let version = next.version;
        self.layout = Some(Arc::new(next));
        self.events.add(context, Change::LayoutApplied { version });
        Ok(Outcome::LayoutInForce { version, changed: true })
    }

    pub(super) fn adopt_layout(
        &mut self,
        context: &Context,
        layout: &Layout,
    ) -> Result<Outcome, CatalogError> {
        let next = match &self.layout {
            None => Some(first(layout)?),
            Some(in_force) if layout.version < in_force.version => None,
            Some(in_force) => succession(in_force, layout).map_err(refused)?,
        };
        let Some(next) = next else {
            let version = self.layout.as_ref().map_or(0, |in_force| in_force.version);
            return Ok(Outcome::LayoutInForce { version, changed: false });
        };
        let version = next.version;
        self.layout = Some(Arc::new(next));
        self.events.add(context, Change::LayoutApplied { version });
        Ok(Outcome::LayoutInForce { version, changed: true })
    }

    /// A node that left the cluster for good may be named as one that left, and as nothing else. Of
    /// several that were lost together, which a recovery makes nodes that left, those stay in the
    /// layout that are not replaced yet.
    fn check_removed(&self, next: &Layout) -> Result<(), CatalogError> {
        let is_removed =
            |id: &NodeId| self.nodes.get(id).is_some_and(|node| node.state == NodeState::Removed);
        let in_force = |id: &NodeId| {
            let mut members = self.layout.iter().flat_map(|layout| &layout.members);
            members.any(|member| member.node_id == *id && member.state != MemberState::Removed)
        };
        let mut stay = next.members.iter().filter(|member| member.state != MemberState::Removed);
        match stay.find(|member| is_removed(&member.node_id) && !in_force(&member.node_id)) {
            Some(member) => Err(CatalogError::LayoutNamesRemoved { node: member.node_id.clone() }),
            None => Ok(()),
        }
    }
}

/// The layout that this catalog begins with: a new cluster's, or the one that a cluster went by
/// before it had a catalog, with its history.
pub(super) fn first(layout: &Layout) -> Result<Layout, CatalogError> {
    if layout.cluster.is_none() {
        let problem = "cluster.id: missing: the first layout says of which cluster it is";
        return Err(CatalogError::Layout { problem: problem.to_owned() });
    }
    validated(layout)
}

/// A layout that keeps the rules, and whose history does.
fn validated(layout: &Layout) -> Result<Layout, CatalogError> {
    let wrong = |problem: String| CatalogError::Layout { problem };
    let mut layout = layout.clone();
    for (index, previous) in layout.previous.iter_mut().enumerate() {
        let valid = Layout::clone(previous).validated();
        let valid = valid.map_err(|error| wrong(format!("previous[{index}].{error}")))?;
        *previous = Arc::new(valid);
    }
    layout.validated().map_err(|error| wrong(error.to_string()))
}

/// The layout that comes into force; nothing where it is already.
fn following(in_force: &Arc<Layout>, layout: &Layout) -> Result<Option<Layout>, CatalogError> {
    check_step(in_force, layout).map_err(refused)?;
    succession(in_force, layout).map_err(refused)
}

fn refused(why: LayoutRefused) -> CatalogError {
    match why {
        LayoutRefused::Older { given, in_force }
        | LayoutRefused::Gap { given, in_force }
        | LayoutRefused::TooFarAhead { given, in_force } => {
            CatalogError::LayoutVersion { given, in_force }
        }
        other => CatalogError::Layout { problem: other.to_string() },
    }
}

fn check_replicas(in_force: &Arc<Layout>, next: &Layout) -> Result<(), CatalogError> {
    let placing = next.previous.iter().rev().filter(|earlier| earlier.version != in_force.version);
    for placing in [in_force].into_iter().chain(placing) {
        let lost = |id: &NodeId| in_force.is_read_from(id) && !next.is_read_from(id);
        let nodes: BTreeSet<&NodeId> = placing
            .in_state(MemberState::Active)
            .map(|member| &member.node_id)
            .filter(|id| lost(id))
            .collect();
        // Whichever objects they are: a ring takes long to make where there are many members.
        let away = placing.in_state(MemberState::Active);
        let away = away.filter(|member| !next.is_read_from(&member.node_id)).count();
        if nodes.is_empty() || away + placing.write_quorum <= placing.replicas {
            continue;
        }
        let ring = Ring::new(placing.clone());
        let left = |list: &[NodeId]| list.iter().filter(|id| next.is_read_from(id)).count();
        let shrinks = |list: &&[NodeId]| list.iter().any(|id| nodes.contains(id));
        let left = ring.replica_lists().filter(shrinks).map(left).min();
        if let Some(left) = left.filter(|left| *left < placing.write_quorum) {
            return Err(CatalogError::LayoutLosesReplicas {
                version: placing.version,
                nodes: nodes.into_iter().map(NodeId::to_string).collect(),
                left: left as u64,
                write_quorum: placing.write_quorum as u64,
                at_once: (placing.replicas - placing.write_quorum) as u64,
            });
        }
    }
    Ok(())
}
