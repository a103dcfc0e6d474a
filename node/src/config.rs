//! A node's configuration: TOML, then environment and flags, then checked.

use std::net::SocketAddr;

use crate::placement::{Layout, NodeId};

/// A checked configuration. The data directory is not in it: the [`gitstratum_host::Disk`]
/// of the host is rooted there.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who this node is.
    pub node_id: NodeId,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whether puts are synced before they are acknowledged.
    pub fsync: bool,
    /// The cluster; contains this node.
    pub layout: Layout,
}
