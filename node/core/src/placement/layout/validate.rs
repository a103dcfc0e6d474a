//! Layout validation: quorums that overlap and that the members can satisfy, and bounds.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use super::{Layout, LayoutError, MemberState};
use crate::limits::{
    LAYOUT_BYTES_MAX, LAYOUTS_UNSETTLED_MAX, MEMBERS_MAX, NAME_BYTES_MAX, REPLICAS_MAX, WEIGHT_MAX,
    WEIGHT_SUM_MAX,
};
use crate::placement::OtherCluster;

impl Layout {
    pub(super) fn check_quorums(&self) -> Result<(), LayoutError> {
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

    pub(super) fn check_history(&self) -> Result<(), LayoutError> {
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

    pub(super) fn check_members(&self) -> Result<(), LayoutError> {
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

    pub(super) fn check_weights(&self) -> Result<(), LayoutError> {
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
pub(in crate::placement) fn check_name(name: &str) -> Result<(), String> {
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
