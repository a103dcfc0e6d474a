//! The members of a cluster and how it replicates: a versioned, validated document.
//!
//! Invariant: a layout that came out of [`Layout::validated`] has overlapping quorums
//! that its members can satisfy. How it is read from a file or a message is left to others.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

use super::{ClusterId, OtherCluster};
use crate::limits::{
    LAYOUT_BYTES_MAX, LAYOUTS_UNSETTLED_MAX, MEMBERS_MAX, NAME_BYTES_MAX, REPLICAS_MAX, WEIGHT_MAX,
    WEIGHT_SUM_MAX,
};

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

    fn check_quorums(&self) -> Result<(), LayoutError> {
        let (n, w, r) = (self.replicas, self.write_quorum, self.read_quorum);
        if n == 0 {
            return refuse("cluster.replicas", "must be at least 1");
        }
        if n > REPLICAS_MAX {
            return refuse("cluster.replicas", format!("{n} is over the limit of {REPLICAS_MAX}"));
        }
        let active = self.in_state(MemberState::Active).count();
        if n > active {
            let which = if active < self.members.len() { "active " } else { "" };
            let problem = format!("{n} exceeds the {active} {which}[[node]]s");
            return refuse("cluster.replicas", problem);
        }
        for (field, quorum) in [("cluster.write_quorum", w), ("cluster.read_quorum", r)] {
            if quorum == 0 {
                return refuse(field, "must be at least 1");
            }
            if quorum > n {
                return refuse(field, format!("{quorum} exceeds cluster.replicas ({n})"));
            }
        }
        if r + w <= n {
            let problem = format!(
                "{r} with cluster.write_quorum {w} does not overlap: together they must exceed \
                 cluster.replicas ({n})"
            );
            return refuse("cluster.read_quorum", problem);
        }
        Ok(())
    }

    fn check_history(&self) -> Result<(), LayoutError> {
        // What a document can state.
        if self.version > i64::MAX as u64 {
            return refuse("cluster.version", format!("{} is over {}", self.version, i64::MAX));
        }
        if self.settled > self.version {
            let (settled, version) = (self.settled, self.version);
            let problem = format!("{settled} is after cluster.version ({version})");
            return refuse("cluster.settled", problem);
        }
        if self.previous.len() > LAYOUTS_UNSETTLED_MAX {
            let problem = format!(
                "readers look where {} earlier versions placed objects, over the limit of \
                 {LAYOUTS_UNSETTLED_MAX}: settle, then say so",
                self.previous.len()
            );
            return refuse("cluster.settled", problem);
        }
        let bytes = self.bytes();
        if bytes > LAYOUT_BYTES_MAX {
            let problem = format!(
                "the members of this version and of the {} before it that are not settled take \
                 {bytes} bytes, over the limit of {LAYOUT_BYTES_MAX}: settle, then say so, or \
                 shorten names and addresses",
                self.previous.len()
            );
            return refuse("node", problem);
        }
        let mut before = self.settled.checked_sub(1);
        for (index, previous) in self.previous.iter().enumerate() {
            let follows = before.is_none_or(|before| before < previous.version);
            if !follows || previous.version >= self.version || !previous.previous.is_empty() {
                let problem = format!("{} is out of order", previous.version);
                return refuse(format!("previous[{index}].cluster.version"), problem);
            }
            if let Some(theirs) = &previous.cluster
                && let Some(ours) = &self.cluster
                && theirs != ours
            {
                let other = OtherCluster { ours: ours.clone(), theirs: theirs.clone() };
                return refuse(format!("previous[{index}].cluster.id"), other.to_string());
            }
            before = Some(previous.version);
        }
        Ok(())
    }

    fn check_members(&self) -> Result<(), LayoutError> {
        if self.members.is_empty() {
            return refuse("node", "at least one [[node]] is needed");
        }
        if self.members.len() > MEMBERS_MAX {
            let members = self.members.len();
            return refuse(
                "node",
                format!("{members} members are over the limit of {MEMBERS_MAX}"),
            );
        }
        let mut ids = BTreeMap::new();
        let mut addresses = BTreeMap::new();
        for (index, member) in self.members.iter().enumerate() {
            let field = |name: &str| format!("node[{index}].{name}");
            check_name(member.node_id.as_str()).or_else(|problem| refuse(field("id"), problem))?;
            check_name(&member.zone).or_else(|problem| refuse(field("zone"), problem))?;
            check_address(&member.address).or_else(|problem| refuse(field("address"), problem))?;
            if let Some(first) = ids.insert(member.node_id.as_str(), index) {
                let id = member.node_id.as_str();
                return refuse(field("id"), format!("{id:?} is already the id of node[{first}]"));
            }
            if member.state == MemberState::Removed {
                // Its address may be another's by now.
                continue;
            }
            if let Some(first) = addresses.insert(member.address.to_ascii_lowercase(), index) {
                let address = &member.address;
                let problem = format!("{address} is already the address of node[{first}]");
                return refuse(field("address"), problem);
            }
        }
        Ok(())
    }

    fn check_weights(&self) -> Result<(), LayoutError> {
        let mut sum = 0;
        for (index, member) in self.members.iter().enumerate() {
            let field = format!("node[{index}].weight");
            if !(1..=WEIGHT_MAX).contains(&member.weight) {
                let problem = format!("{} is not between 1 and {WEIGHT_MAX}", member.weight);
                return refuse(field, problem);
            }
            // No overflow: both counts are bounded by now.
            sum += member.weight;
            if sum > WEIGHT_SUM_MAX {
                let problem = format!(
                    "the weights up to here add up to {sum}, over the limit of {WEIGHT_SUM_MAX}; weights are relative, so divide them all"
                );
                return refuse(field, problem);
            }
        }
        Ok(())
    }
}

fn refuse<T>(field: impl Into<String>, problem: impl Into<String>) -> Result<T, LayoutError> {
    Err(LayoutError { field: field.into(), problem: problem.into() })
}

/// Ids and zones stand in log lines, metrics and the output that scripts split at
/// blanks, so they are kept to characters that need no quoting anywhere.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("{} bytes are over the limit of {NAME_BYTES_MAX}", name.len()));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match name.chars().find(|&c| !allowed(c)) {
        Some(c) => Err(format!("{c:?} is not allowed; letters, digits, '-', '_' and '.' are")),
        None => Ok(()),
    }
}

/// Whether an address is one that a member may have.
///
/// # Errors
/// What is wrong with it, fit for a log.
pub fn check_address(address: &str) -> Result<(), String> {
    if address.len() > NAME_BYTES_MAX {
        return Err(format!("{} bytes are over the limit of {NAME_BYTES_MAX}", address.len()));
    }
    let wrong = || format!("{address:?} is not HOST:PORT");
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    if port == 0 {
        return Err(format!("{address:?} has port 0, which nobody can dial"));
    }
    let host_is_right = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(literal) => literal.parse::<Ipv6Addr>().is_ok(),
        None => {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !host.is_empty() && host.chars().all(allowed)
        }
    };
    if host_is_right { Ok(()) } else { Err(wrong()) }
}
