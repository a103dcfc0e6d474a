//! Who lacks a feature, and as what.

use std::fmt;

use minicbor::{Decode, Encode};

/// Nodes that are named in one message; of more their number is told.
const NAMED_MAX: usize = 8;

/// A node whose program lacks a feature, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Lacking {
    /// Its id.
    #[n(0)]
    pub node: String,
    /// The version of its program; nothing where it stated none, as version 0.1 does.
    #[n(1)]
    pub version: Option<String>,
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{} (version {version})", self.node),
            None => write!(f, "{} (states no version, as 0.1 does)", self.node),
        }
    }
}

/// These nodes in one line.
pub fn lacking(nodes: &[Lacking]) -> String {
    let named: Vec<String> = nodes.iter().take(NAMED_MAX).map(Lacking::to_string).collect();
    match nodes.len().saturating_sub(NAMED_MAX) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
