//! The member of a cluster that a configuration is of: by the file, by the data directory, or alone.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gitstratum_core::config_text::{ConfigError, ConfigText};
use gitstratum_core::placement::{
    Layout, LayoutError, LayoutRefused, Member, NodeId, ZONE_DEFAULT, check_address, succession,
};
use serde::Deserialize;

use super::{ConfigOverrides, LISTEN_DEFAULT, read};

/// The id of a single node that was not given one.
const NODE_ID_DEFAULT: &str = "n1";

/// What is said of a node whose configuration describes no cluster.
#[derive(Clone, Debug, Default)]
pub struct MemberOverrides {
    /// `--address HOST:PORT`: where others reach it.
    pub address: Option<String>,
    /// `--zone ZONE`: where it is, if it is about to be founded.
    pub zone: Option<String>,
    /// What its data directory says.
    pub kept: Option<KeptMember>,
    /// Its data directory is not made yet: whoever makes it says where others reach the node, so a
    /// file that listens everywhere is right without.
    pub unmade: bool,
}

/// A member of a cluster by its data directory.
#[derive(Clone, Debug)]
pub struct KeptMember {
    /// Whose directory it is.
    pub node_id: NodeId,
    /// The layout that is kept there, with its history.
    pub layout: Layout,
    /// Where others reach the node, or will.
    pub address: Option<String>,
}

/// Who the node is, where it listens, and its cluster.
pub(super) type Parts = (NodeId, SocketAddr, Layout);

impl MemberOverrides {
    /// The node of a file that describes no cluster.
    pub(super) fn parts(
        self,
        node_id: Option<String>,
        listen: Option<SocketAddr>,
    ) -> Result<Parts, LayoutError> {
        if let Some(kept) = self.kept {
            return kept.parts(node_id, listen, self.address);
        }
        let everywhere = listen.filter(|listen| self.unmade && listen.ip().is_unspecified());
        let later = everywhere.map(|listen| format!("localhost:{}", listen.port()));
        lone_node(node_id, listen, self.address.or(later), self.zone)
    }
}

pub(super) fn problem(field: &str, problem: impl Into<String>) -> LayoutError {
    LayoutError { field: field.to_owned(), problem: problem.into() }
}

/// A node of the cluster that the file describes.
pub(super) fn member_of(
    layout: Layout,
    node_id: Option<String>,
    listen: Option<SocketAddr>,
) -> Result<(NodeId, SocketAddr, Layout), LayoutError> {
    let layout = layout.validated()?;
    let node_id = node_id
        .map(NodeId::new)
        .ok_or_else(|| problem("node_id", "missing: which of the [[node]]s is this one?"))?;
    if layout.member(&node_id).is_none() {
        let ids: Vec<&str> = layout.members.iter().map(|m| m.node_id.as_str()).collect();
        let text = format!("{node_id} is none of the [[node]]s: {}", ids.join(", "));
        return Err(problem("node_id", text));
    }
    let listen =
        listen.ok_or_else(|| problem("listen", "missing: IP:PORT, such as 0.0.0.0:7400"))?;
    Ok((node_id, listen, layout))
}

/// The only node of its cluster. Callers learn its address from the layout, so it must
/// be one that can be dialled.
fn lone_node(
    node_id: Option<String>,
    listen: Option<SocketAddr>,
    address: Option<String>,
    zone: Option<String>,
) -> Result<Parts, LayoutError> {
    if let Some(address) = &address {
        check_address(address).map_err(|text| problem("address", text))?;
    }
    let listen = match (listen, &address) {
        (Some(listen), _) => listen,
        (None, Some(address)) => listen_at(address)?,
        (None, None) => LISTEN_DEFAULT,
    };
    if address.is_none() && (listen.ip().is_unspecified() || listen.port() == 0) {
        let text = format!(
            "{listen} is no address that callers could dial; give one, or name the node's own in \
             [cluster] and [[node]]"
        );
        return Err(problem("listen", text));
    }
    let node_id = NodeId::new(node_id.unwrap_or_else(|| NODE_ID_DEFAULT.to_owned()));
    let address = address.unwrap_or_else(|| listen.to_string());
    let zone = zone.unwrap_or_else(|| ZONE_DEFAULT.to_owned());
    let layout = Layout::first((1, 1, 1), vec![Member::active(node_id.clone(), address, zone, 1)]);
    let named_as_written = |error: LayoutError| match error.field.as_str() {
        "node[0].id" => problem("node_id", error.problem),
        "node[0].address" => problem("listen", error.problem),
        "node[0].zone" => problem("zone", error.problem),
        _ => error,
    };
    Ok((node_id, listen, layout.validated().map_err(named_as_written)?))
}

impl KeptMember {
    /// The node of the directory. One that is alone may have moved; where one of several is, they
    /// have to agree on.
    fn parts(
        self,
        node_id: Option<String>,
        listen: Option<SocketAddr>,
        address: Option<String>,
    ) -> Result<Parts, LayoutError> {
        let (layout, address) = match address {
            Some(address) if self.address.as_ref() != Some(&address) => {
                (self.moved(&address)?, Some(address))
            }
            _ => (self.layout, self.address),
        };
        // Another's directory is refused by name when it is opened.
        let node_id = node_id.map_or(self.node_id, NodeId::new);
        let listen = match (listen, address) {
            (Some(listen), _) => listen,
            (None, Some(address)) => listen_at(&address)?,
            (None, None) => {
                return Err(problem("listen", "missing: IP:PORT, such as 0.0.0.0:7400"));
            }
        };
        Ok((node_id, listen, layout))
    }

    /// The next layout of a node that is alone, at another address.
    fn moved(&self, address: &str) -> Result<Layout, LayoutError> {
        let KeptMember { node_id, layout, .. } = self;
        if layout.members.len() != 1 || layout.member(node_id).is_none() {
            let text = "the node is one of several, which have to agree on where it is: change it \
                        with `gitstratum layout apply`";
            return Err(problem("address", text));
        }
        let mut next = Layout { version: layout.version + 1, ..layout.clone() };
        address.clone_into(&mut next.members[0].address);
        let next = succession(&Arc::new(layout.clone()), &next);
        let next = next.map_err(|refused| match refused {
            LayoutRefused::Wrong(error) => problem("address", error.problem),
            other => problem("address", other.to_string()),
        })?;
        Ok(next.unwrap_or_else(|| layout.clone()))
    }
}

/// Where a node listens that was told only where others reach it.
fn listen_at(address: &str) -> Result<SocketAddr, LayoutError> {
    address.parse().map_err(|_| {
        let port = address.rsplit_once(':').map_or("7400", |(_, port)| port);
        let text = format!(
            "missing: {address} is a name; say where to listen, such as --listen 0.0.0.0:{port}"
        );
        problem("listen", text)
    })
}

/// The data directory that a flag, or the file at `path`, names.
///
/// # Errors
/// [`ConfigError`] where the file cannot be read at all.
pub fn data_directory(
    path: Option<&Path>,
    overrides: &ConfigOverrides,
) -> Result<Option<PathBuf>, ConfigError> {
    #[derive(Deserialize)]
    struct Data {
        data: Option<PathBuf>,
    }
    let (Some(path), None) = (path, &overrides.data) else { return Ok(overrides.data.clone()) };
    let (text, name) = (read(path)?, path.display().to_string());
    let data: Data = ConfigText::parse(&text, &name)?.deserialize()?;
    Ok(data.data)
}
