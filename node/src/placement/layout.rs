//! The members of a cluster and how it replicates: a versioned, validated document.

use std::fmt;
use std::sync::Arc;

/// The name of a node, unique in its cluster; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// A node id with this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        NodeId(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub node_id: NodeId,
    /// `HOST:PORT`, resolved anew at every dial.
    pub address: String,
    /// Failure domain; replicas are spread over zones first.
    pub zone: String,
    /// Share of the objects, relative to other members; at least 1.
    pub weight: u32,
}

/// The members and the quorum sizes, as one version of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Grows with every change.
    pub version: u64,
    /// Replication factor N.
    pub replicas: usize,
    /// Write quorum W.
    pub write_quorum: usize,
    /// Read quorum R.
    pub read_quorum: usize,
    /// Sorted by node id.
    pub members: Vec<Member>,
}

/// What is wrong with a layout; `field` is named as in the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct LayoutError {
    /// The field, such as `cluster.write_quorum` or `node[2].address`.
    pub field: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl Layout {
    /// Checks the layout and sorts its members.
    ///
    /// # Errors
    /// [`LayoutError`] for quorums that do not overlap or exceed N, N above the number
    /// of members, duplicate ids or addresses, empty or overlong names, weights out of
    /// bounds.
    pub fn validated(mut self) -> Result<Self, LayoutError> {
        self.members.sort_by(|a, b| a.node_id.cmp(&b.node_id));
        todo!()
    }

    /// The member with this id.
    pub fn member(&self, node_id: &NodeId) -> Option<&Member> {
        self.members.iter().find(|member| member.node_id == *node_id)
    }
}
