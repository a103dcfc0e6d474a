//! Nodes: who belongs to the cluster, and as what.
//!
//! Invariant: a node id and a data directory belong to each other for good, and so does the raft
//! id that they were given. So nobody who lost what it had promised votes under its old name.

use std::sync::Arc;

use gitstratum_core::limits::NODES_EVER_MAX;
use gitstratum_core::placement::{NodeId, check_address};
use imbl::OrdMap;

use super::{Context, State};
use crate::command::{JoinNode, Refound};
use crate::entity::{Change, Node, NodeState, Program};
use crate::error::CatalogError;
use crate::ids::{DirectoryId, RaftId};
use crate::reply::Outcome;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Nodes {
    by_id: OrdMap<NodeId, Arc<Node>>,
    by_directory: OrdMap<DirectoryId, NodeId>,
    /// The last raft id that was given.
    last: u64,
}

impl Nodes {
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn set_last(&mut self, last: u64) {
        self.last = last;
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&NodeId, &Arc<Node>)> {
        self.by_id.iter()
    }

    pub(super) fn get(&self, id: &NodeId) -> Option<&Arc<Node>> {
        self.by_id.get(id)
    }

    pub(super) fn of_directory(&self, directory: &DirectoryId) -> Option<&NodeId> {
        self.by_directory.get(directory)
    }

    /// Forgets all nodes, but no number that was given.
    fn clear(&mut self) {
        *self = Nodes { last: self.last, ..Nodes::default() };
    }

    /// Enters a node that is new, or has changed.
    pub(super) fn put(&mut self, id: NodeId, node: Node) {
        self.last = self.last.max(node.raft.0);
        self.by_directory.insert(node.directory, id.clone());
        self.by_id.insert(id, Arc::new(node));
    }
}

impl State {
    pub(super) fn join_node(
        &mut self,
        context: &Context,
        join: JoinNode,
    ) -> Result<Outcome, CatalogError> {
        let JoinNode { node, directory, address, program } = join;
        let wrong = |problem| CatalogError::NodeWrong { node: node.clone(), problem };
        let id = NodeId::checked(&node).map_err(wrong)?;
        check_address(&address).map_err(wrong)?;
        let known = match self.nodes.get(&id) {
            Some(known) if known.directory != directory => {
                return Err(CatalogError::NodeIdUsed { node: id });
            }
            Some(known) if known.state == NodeState::Removed => {
                return Err(CatalogError::NodeRemoved { node: id });
            }
            known => known.map(|known| Node::clone(known)),
        };
        // Neither a reply nor an event depends on the program: version 0.1 skips it.
        let program = program.filter(Program::is_fit);
        let has_moved = known.as_ref().is_none_or(|known| known.address != address);
        let next = match known {
            Some(known) => Node { address: address.clone(), program, ..known },
            None => Node {
                raft: self.new_raft_id(&directory)?,
                directory,
                address: address.clone(),
                state: NodeState::Joining,
                program,
            },
        };
        let raft = next.raft;
        self.nodes.put(id.clone(), next);
        if has_moved {
            self.events.add(context, Change::NodeJoined { node: id, address });
        }
        Ok(Outcome::Joined { raft })
    }

    fn new_raft_id(&self, directory: &DirectoryId) -> Result<RaftId, CatalogError> {
        if let Some(node) = self.nodes.of_directory(directory) {
            return Err(CatalogError::DirectoryUsed { node: node.clone() });
        }
        let count = self.nodes.len() as u64;
        if count >= NODES_EVER_MAX || self.nodes.last == u64::MAX {
            let what = "nodes that ever belonged to the cluster";
            return Err(CatalogError::over(what, count.saturating_add(1), NODES_EVER_MAX));
        }
        Ok(RaftId(self.nodes.last + 1))
    }

    /// One node goes on alone, under a new raft id: none of what it, or another, promised under an
    /// old one binds it.
    pub(super) fn refound(
        &mut self,
        context: &Context,
        refound: Refound,
    ) -> Result<Outcome, CatalogError> {
        let Refound { node, directory, address, forgets_others } = refound;
        let wrong = |problem| CatalogError::NodeWrong { node: node.clone(), problem };
        let id = NodeId::checked(&node).map_err(wrong)?;
        check_address(&address).map_err(wrong)?;
        if let Some(other) = self.nodes.of_directory(&directory).filter(|other| **other != id) {
            return Err(CatalogError::DirectoryUsed { node: other.clone() });
        }
        let raft = RaftId(self.nodes.last.saturating_add(1));
        let others: Vec<(NodeId, Node)> = self
            .nodes
            .iter()
            .filter(|(other, _)| **other != id)
            .map(|(other, node)| (other.clone(), Node::clone(node)))
            .collect();
        self.nodes.clear();
        for (other, node) in others.into_iter().filter(|_| !forgets_others) {
            if node.state != NodeState::Removed {
                let state = NodeState::Removed;
                self.events.add(context, Change::NodeChanged { node: other.clone(), state });
            }
            self.nodes.put(other, Node { state: NodeState::Removed, ..node });
        }
        let (state, program) = (NodeState::Voter, None);
        let voter = Node { raft, directory, address: address.clone(), state, program };
        self.nodes.put(id.clone(), voter);
        self.events.add(context, Change::NodeJoined { node: id, address });
        Ok(Outcome::Joined { raft })
    }

    pub(super) fn set_node_state(
        &mut self,
        context: &Context,
        node: &str,
        to: NodeState,
    ) -> Result<Outcome, CatalogError> {
        let id = NodeId::new(node);
        let Some(known) = self.nodes.get(&id) else {
            return Err(CatalogError::NoNode { node: node.to_owned() });
        };
        let from = known.state;
        if from == to {
            return Ok(Outcome::Changed);
        }
        if from == NodeState::Removed {
            return Err(CatalogError::NodeRemoved { node: id });
        }
        if to == NodeState::Joining {
            return Err(CatalogError::NodeTransition { node: id, from, to });
        }
        let is_voter = |node: &Node| node.state == NodeState::Voter;
        let voters = self.nodes.iter().filter(|(_, node)| is_voter(node)).count();
        if is_voter(known) && voters == 1 {
            return Err(CatalogError::LastVoter { node: id, raft: known.raft });
        }
        if to == NodeState::Removed
            && self.layout.as_ref().is_some_and(|layout| layout.is_read_from(&id))
        {
            return Err(CatalogError::NodeInLayout { node: id });
        }
        let next = Node { state: to, ..Node::clone(known) };
        self.nodes.put(id.clone(), next);
        self.events.add(context, Change::NodeChanged { node: id, state: to });
        Ok(Outcome::Changed)
    }
}
