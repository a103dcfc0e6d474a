//! Layout: the members of a cluster and how it replicates, a versioned, validated document.
//!
//! Invariant: a layout that came out of [`Layout::validated`] has overlapping quorums
//! that its members can satisfy. How it is read from a file or a message is left to others.

mod validate;

use std::fmt;
use std::sync::Arc;

use super::{ClusterId, OtherCluster};

pub use validate::check_address;
pub(super) use validate::check_name;

/// Beside its names and its address, a member takes no more than this in a message.
const MEMBER_BYTES_BESIDE_NAMES: usize = 24;

/// The name of a node, unique in its cluster; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// A node id with this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        NodeId(name.into())
    }

    /// A node id that came from outside, if it is one that a layout may have.
    ///
    /// # Errors
    /// What is wrong with it, fit for a log.
    pub fn checked(name: &str) -> Result<Self, String> {
        check_name(name).map(|()| NodeId(name.into()))
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

/// What part a member takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberState {
    /// Takes writes and is read from.
    #[default]
    Active,
    /// Is read from, because it holds what was written before, and takes no writes.
    Draining,
    /// Nobody's replica: it is neither written to nor read from. Named all the same, so
    /// that it is told.
    Removed,
}

impl MemberState {
    /// The word for it in files and in output.
    pub fn word(self) -> &'static str {
        match self {
            MemberState::Active => "active",
            MemberState::Draining => "draining",
            MemberState::Removed => "removed",
        }
    }
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
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
    /// Whether it takes writes, and is read from.
    pub state: MemberState,
}

impl Member {
    /// An active member.
    pub fn active(node_id: NodeId, address: String, zone: String, weight: u32) -> Self {
        Member { node_id, address, zone, weight, state: MemberState::Active }
    }
}

/// The members and the quorum sizes, as one version of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The cluster whose layout it is: of every layout that is in force on a node. `None` in a
    /// document that leaves it out, and in `previous`, where it is that of the whole.
    pub cluster: Option<ClusterId>,
    /// Grows with every change.
    pub version: u64,
    /// Replication factor N.
    pub replicas: usize,
    /// Write quorum W.
    pub write_quorum: usize,
    /// Read quorum R.
    pub read_quorum: usize,
    /// The operator's word that every object is where this version, or a later one, places
    /// it. Readers then no longer look where versions before it placed objects. At most
    /// `version`; 0 when nothing was said.
    pub settled: u64,
    /// Sorted by node id.
    pub members: Vec<Member>,
    /// The versions before this one that objects may still be placed by: readers look there
    /// too. Oldest first, none of them before `settled`, and none with a history of its own.
    /// No part of what the operator writes: it is gathered as layouts come into force.
    pub previous: Vec<Arc<Layout>>,
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
    /// Version 1 of a cluster, not checked yet.
    pub fn first(
        (replicas, write_quorum, read_quorum): (usize, usize, usize),
        members: Vec<Member>,
    ) -> Self {
        let (cluster, version, settled, previous) = (None, 1, 0, Vec::new());
        Layout { cluster, version, replicas, write_quorum, read_quorum, settled, members, previous }
    }

    /// The same as a layout of the cluster `ours`, which one that names no cluster is taken for.
    ///
    /// # Errors
    /// [`OtherCluster`] when it names another.
    pub fn of_cluster(self, ours: &ClusterId) -> Result<Self, OtherCluster> {
        match self.cluster {
            Some(theirs) if theirs != *ours => Err(OtherCluster { ours: ours.clone(), theirs }),
            _ => Ok(Layout { cluster: Some(ours.clone()), ..self }),
        }
    }

    /// Checks the layout and sorts its members.
    ///
    /// Fields are named as in the configuration file; `node[2]` is the third `[[node]]`
    /// of the list as it was given, before sorting.
    ///
    /// # Errors
    /// [`LayoutError`] for quorums that do not overlap or exceed N, N above the number
    /// of members, duplicate ids or addresses, empty or overlong names, addresses that
    /// are not `HOST:PORT`, weights out of bounds.
    pub fn validated(mut self) -> Result<Self, LayoutError> {
        self.check_members()?;
        self.check_weights()?;
        self.check_quorums()?;
        self.check_history()?;
        self.members.sort_by(|a, b| a.node_id.cmp(&b.node_id));
        Ok(self)
    }

    /// The members in `state`.
    pub fn in_state(&self, state: MemberState) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |member| member.state == state)
    }

    /// Whether objects are read from this node.
    pub fn is_read_from(&self, node_id: &NodeId) -> bool {
        self.member(node_id).is_some_and(|member| member.state != MemberState::Removed)
    }

    /// Whether another that somebody holds says more: it is newer, or it is the same and knows
    /// of a version before it that this one does not.
    pub fn is_outdone_by(&self, other: &Layout) -> bool {
        let known = |version| self.previous.iter().any(|previous| previous.version == version);
        let older = || other.previous.iter().all(|previous| known(previous.version));
        other.version > self.version || (other.version == self.version && !older())
    }

    /// The member with this id.
    pub fn member(&self, node_id: &NodeId) -> Option<&Member> {
        self.members.iter().find(|member| member.node_id == *node_id)
    }

    /// Whether a node is a member of it, or of an earlier layout that objects may still be
    /// placed by.
    pub fn knows(&self, node_id: &NodeId) -> bool {
        let earlier = |earlier: &Arc<Layout>| earlier.member(node_id).is_some();
        self.member(node_id).is_some() || self.previous.iter().any(earlier)
    }

    /// What it takes in a message, about, its history included.
    pub fn bytes(&self) -> usize {
        let member = |member: &Member| {
            let names = member.node_id.as_str().len() + member.address.len() + member.zone.len();
            names + MEMBER_BYTES_BESIDE_NAMES
        };
        let members: usize = self.members.iter().map(member).sum();
        members + self.previous.iter().map(|earlier| earlier.bytes()).sum::<usize>()
    }

    /// The first thing in which another validated layout of the same version differs, named
    /// as in the configuration file; `None` when they say the same.
    pub(super) fn difference(&self, other: &Layout) -> Option<String> {
        let numbers = [
            ("cluster.replicas", self.replicas, other.replicas),
            ("cluster.write_quorum", self.write_quorum, other.write_quorum),
            ("cluster.read_quorum", self.read_quorum, other.read_quorum),
        ];
        if self.settled != other.settled {
            return Some(format!("cluster.settled is {}, not {}", self.settled, other.settled));
        }
        let number = numbers.into_iter().find(|(_, ours, theirs)| ours != theirs);
        if let Some((field, ours, theirs)) = number {
            return Some(format!("{field} is {ours}, not {theirs}"));
        }
        let known = |member: &Member| self.members.contains(member);
        let news = other.members.iter().find(|member| !known(member));
        let gone = self.members.iter().find(|member| other.member(&member.node_id).is_none());
        match (news, gone) {
            (Some(member), _) if self.member(&member.node_id).is_some() => {
                Some(format!("node {} is described otherwise", member.node_id))
            }
            (Some(member), _) => Some(format!("node {} is not in it", member.node_id)),
            (None, Some(member)) => Some(format!("node {} is in it", member.node_id)),
            (None, None) => None,
        }
    }
}
