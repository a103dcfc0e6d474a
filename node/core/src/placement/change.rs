//! Membership change: the next version of a layout in which one node is added, drains, leaves, or
//! takes the place of another.
//!
//! Invariant: what comes out is [valid](Layout::validated). Whether enough replicas are left is
//! judged where the layout is agreed on.

use super::{Layout, LayoutError, Member, MemberState, NodeId};

/// More copies than this a cluster does not get by growing.
const REPLICAS_GROWN_MAX: usize = 3;

impl Layout {
    /// The next version, in which this node is a member. N grows to the number of active members, up
    /// to three, or is what is asked for; W and R are then the least that overlap.
    ///
    /// # Errors
    /// [`LayoutError`], also for a node that is a member already.
    pub fn with_member(
        &self,
        member: Member,
        replicas: Option<usize>,
    ) -> Result<Layout, LayoutError> {
        if self.is_read_from(&member.node_id) {
            return Err(wrong("is in the layout already", &member.node_id));
        }
        let mut next = self.following();
        next.members.retain(|known| known.node_id != member.node_id);
        next.members.push(member);
        let active = next.in_state(MemberState::Active).count();
        let grown = self.replicas.max(active.min(REPLICAS_GROWN_MAX));
        next.with_replicas(replicas.unwrap_or(grown)).validated()
    }

    /// The next version, in which this member is in another state.
    ///
    /// # Errors
    /// [`LayoutError`], also for a node that is no member.
    pub fn with_state(
        &self,
        node: &NodeId,
        state: MemberState,
        replicas: Option<usize>,
    ) -> Result<Layout, LayoutError> {
        let mut next = self.following();
        let member = next.members.iter_mut().find(|member| member.node_id == *node);
        member.ok_or_else(|| wrong("is not in the layout", node))?.state = state;
        next.with_replicas(replicas.unwrap_or(self.replicas)).validated()
    }

    /// The next version, in which one node is removed and another has its place.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn with_replaced(&self, dead: &NodeId, by: Option<Member>) -> Result<Layout, LayoutError> {
        let mut next = self.following();
        let member = next.members.iter_mut().find(|member| member.node_id == *dead);
        member.ok_or_else(|| wrong("is not in the layout", dead))?.state = MemberState::Removed;
        if let Some(by) = by {
            next.members.retain(|known| known.node_id != by.node_id);
            next.members.push(by);
        }
        next.validated()
    }

    /// The next version, which says that all objects are where this one places them; nothing where
    /// no earlier one places them elsewhere.
    pub fn with_all_settled(&self) -> Option<Layout> {
        let elsewhere = self.previous.iter().any(|earlier| !earlier.places_as(self));
        elsewhere.then(|| Layout { settled: self.version, ..self.following() })
    }

    /// Whether another version has the same replicas of each object, and counts them alike.
    fn places_as(&self, other: &Layout) -> bool {
        let numbers = |layout: &Layout| (layout.replicas, layout.write_quorum, layout.read_quorum);
        let place = |member: &Member| {
            (member.node_id.clone(), member.zone.clone(), member.weight, member.state)
        };
        let members = |layout: &Layout| {
            let present = layout.members.iter().filter(|m| m.state != MemberState::Removed);
            present.map(place).collect::<Vec<_>>()
        };
        numbers(self) == numbers(other) && members(self) == members(other)
    }

    /// Its history is gathered where it comes into force.
    fn following(&self) -> Layout {
        Layout { version: self.version + 1, previous: Vec::new(), ..self.clone() }
    }

    fn with_replicas(self, replicas: usize) -> Layout {
        if replicas == self.replicas {
            return self;
        }
        let write_quorum = replicas / 2 + 1;
        let read_quorum = (replicas + 1).saturating_sub(write_quorum);
        Layout { replicas, write_quorum, read_quorum, ..self }
    }
}

fn wrong(problem: &str, node: &NodeId) -> LayoutError {
    LayoutError { field: "node".to_owned(), problem: format!("{node} {problem}") }
}
