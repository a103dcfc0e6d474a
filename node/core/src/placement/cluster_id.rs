//! The id of a cluster: what tells its nodes from those of every other cluster.
//!
//! Node ids and addresses do not: two clusters may both have an `n1`, and an address may go
//! from one cluster to the other. The id is made once, when the cluster is founded, and never
//! changes. Where a node keeps its own is left to `layout`.

use std::fmt;
use std::sync::Arc;

use rand::Rng;
use sha2::{Digest, Sha256};

use super::Layout;
use super::layout::check_name;

/// Bytes of an id that nobody wrote: it is drawn, or derived from the first layout.
const MADE_BYTES: usize = 16;

/// The id of a cluster; cheap to clone. Letters, digits, '-', '_' and '.'.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(Arc<str>);

impl ClusterId {
    /// Reads an id that an operator wrote, or a peer stated.
    ///
    /// # Errors
    /// What is wrong with it: empty, too long, or with a character that is not allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        check_name(text)?;
        Ok(ClusterId(text.into()))
    }

    /// An id that no other cluster has.
    pub fn random(rng: &mut impl Rng) -> Self {
        Self::made(rng.random())
    }

    /// The id of the cluster that is founded with this layout: a hash of its members and its
    /// numbers. So machines that are founded with one document agree without talking. `layout`
    /// came out of [`Layout::validated`]; its own id and its history are left out.
    pub fn derived(layout: &Layout) -> Self {
        let Layout { version, replicas, write_quorum, read_quorum, .. } = layout;
        // Neither names nor addresses have blanks or line ends, so this has one reading.
        let mut text = format!(
            "gitstratum cluster 1\nversion {version}\nreplicas {replicas}\nwrite_quorum \
             {write_quorum}\nread_quorum {read_quorum}\n"
        );
        for member in &layout.members {
            let (id, state) = (&member.node_id, member.state);
            let (address, zone, weight) = (&member.address, &member.zone, member.weight);
            text += &format!("node {id} {address} {zone} {weight} {state}\n");
        }
        let hash = Sha256::digest(text);
        Self::made(std::array::from_fn(|at| hash[at]))
    }

    fn made(bytes: [u8; MADE_BYTES]) -> Self {
        ClusterId(hex::encode(bytes).into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A node or a layout is another cluster's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it belongs to cluster {theirs}, not to {ours}")]
pub struct OtherCluster {
    /// The cluster that it should belong to.
    pub ours: ClusterId,
    /// The cluster that it belongs to.
    pub theirs: ClusterId,
}
