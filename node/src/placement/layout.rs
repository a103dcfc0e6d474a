//! The members of a cluster and how it replicates: a versioned, validated document.
//!
//! Invariant: a layout that came out of [`Layout::validated`] has overlapping quorums
//! that its members can satisfy. How it is read from a file or a message is left to others.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

use crate::limits::{MEMBERS_MAX, NAME_BYTES_MAX, REPLICAS_MAX, WEIGHT_MAX, WEIGHT_SUM_MAX};

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
        self.members.sort_by(|a, b| a.node_id.cmp(&b.node_id));
        Ok(self)
    }

    /// The member with this id.
    pub fn member(&self, node_id: &NodeId) -> Option<&Member> {
        self.members.iter().find(|member| member.node_id == *node_id)
    }

    /// The first thing in which another validated layout of the same version differs, named
    /// as in the configuration file; `None` when they say the same.
    pub(super) fn difference(&self, other: &Layout) -> Option<String> {
        let numbers = [
            ("cluster.replicas", self.replicas, other.replicas),
            ("cluster.write_quorum", self.write_quorum, other.write_quorum),
            ("cluster.read_quorum", self.read_quorum, other.read_quorum),
        ];
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
        if n > self.members.len() {
            let members = self.members.len();
            return refuse("cluster.replicas", format!("{n} exceeds the {members} [[node]]s"));
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
fn check_name(name: &str) -> Result<(), String> {
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

fn check_address(address: &str) -> Result<(), String> {
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
