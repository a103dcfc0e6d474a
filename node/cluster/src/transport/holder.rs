//! Names in certificates: who holds one, a node or a client of a cluster.
//!
//! A node's certificate is for the DNS name `ID.node.gitstratum.internal`, that of whoever gives
//! commands for `NAME.client.gitstratum.internal`. Nobody resolves them: `internal` is reserved for
//! private use. Addresses and hosts are no part of it, because nodes keep their identity where those
//! change.
//!
//! Invariant: one certificate is one holder's. One with two such names, or with a pattern, is
//! nobody's.

use std::fmt;
use std::sync::Arc;

use gitstratum_core::placement::NodeId;

const NODE_DOMAIN: &str = ".node.gitstratum.internal";
const CLIENT_DOMAIN: &str = ".client.gitstratum.internal";
/// A label of a DNS name has no more bytes.
const LABEL_BYTES_MAX: usize = 63;

/// Who holds a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A node.
    Node(NodeId),
    /// Whoever gives commands, an operator or a program.
    Client(Arc<str>),
}

impl Holder {
    /// The node with this id.
    ///
    /// # Errors
    /// Why there is no certificate for it.
    pub fn node(node_id: &NodeId) -> Result<Self, String> {
        check_label(node_id.as_str())?;
        Ok(Holder::Node(node_id.clone()))
    }

    /// The client of this name.
    ///
    /// # Errors
    /// Why there is no certificate for it.
    pub fn client(name: &str) -> Result<Self, String> {
        check_label(name)?;
        Ok(Holder::Client(name.into()))
    }

    /// The DNS name that its certificate is for.
    pub fn dns_name(&self) -> String {
        match self {
            Holder::Node(node_id) => format!("{node_id}{NODE_DOMAIN}"),
            Holder::Client(name) => format!("{name}{CLIENT_DOMAIN}"),
        }
    }

    /// The holder of a certificate for these DNS names, of which others may say what they like.
    ///
    /// # Errors
    /// Whose it may be instead.
    pub fn of(names: &[String]) -> Result<Self, String> {
        let mut holders = names.iter().filter_map(|name| {
            let node = name.strip_suffix(NODE_DOMAIN).map(|id| Self::node(&NodeId::new(id)));
            node.or_else(|| name.strip_suffix(CLIENT_DOMAIN).map(Self::client))
        });
        match (holders.next(), holders.next()) {
            (Some(holder), None) => holder,
            (Some(_), Some(_)) => Err("its certificate is for several nodes or clients".to_owned()),
            (None, _) => {
                Err("its certificate is for no node and no client: `gitstratum cert issue` \
                              makes one with --node or --client"
                    .to_owned())
            }
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::Node(node_id) => write!(f, "node {node_id}"),
            Holder::Client(name) => write!(f, "client {name}"),
        }
    }
}

/// DNS names do not tell upper from lower case, and ids do.
fn check_label(label: &str) -> Result<(), String> {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let is_label = !label.is_empty()
        && label.len() <= LABEL_BYTES_MAX
        && label.chars().all(is_allowed)
        && !label.starts_with('-')
        && !label.ends_with('-');
    if is_label {
        return Ok(());
    }
    Err(format!(
        "{label:?} cannot be in a certificate: there an id is up to {LABEL_BYTES_MAX} lower-case \
         letters, digits, '-' and '_'. A node's id is for good: let another join under such an id, and \
         take its place by `gitstratum node replace`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_certificate_is_one_holders_and_leads_back_to_it() {
        for holder in [
            Holder::node(&NodeId::new("n1")).unwrap(),
            Holder::node(&NodeId::new("rack-2_a")).unwrap(),
            Holder::client("alice").unwrap(),
            Holder::client("node").unwrap(),
        ] {
            let names = ["git.example.org".to_owned(), holder.dns_name()];
            assert_eq!(Holder::of(&names), Ok(holder.clone()));
            assert_eq!(Holder::of(&[names[1].clone(), names[1].clone()]).ok(), None);
        }
    }

    #[test]
    fn what_is_no_label_is_refused_and_so_are_patterns_and_certificates_of_nobody() {
        let long = "n".repeat(64);
        for id in ["N1", "a.b", "-a", "a-", "", "é", "*", &long] {
            let problem = Holder::node(&NodeId::new(id)).unwrap_err();
            assert!(problem.contains("node replace"), "{problem}");
            assert!(Holder::of(&[format!("{id}{NODE_DOMAIN}")]).is_err(), "{id}");
            assert!(Holder::client(id).is_err(), "{id}");
        }
        for names in [&[][..], &["n1"], &["node.gitstratum.internal"], &["n1.gitstratum.internal"]]
        {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            assert!(Holder::of(&names).unwrap_err().contains("no node and no client"), "{names:?}");
        }
    }
}
