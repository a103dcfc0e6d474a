//! What the status page is made of: each node's own word, asked for at once and within a deadline, and
//! what this node knows of those that gave none.
//!
//! Invariant: it is there when `limits::STATUS_PAGE_ASK_TIMEOUT` is over, whatever peers and disks do. A
//! node that hangs is told as one that did not answer, this one too.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use gitstratum_cluster::repair::PeerTable;
use gitstratum_cluster::rpc::RemoteNode;
use gitstratum_cluster::service::NodeService;
use gitstratum_cluster::transport::Connections;
use gitstratum_cluster::wire::metrics::metrics_of;
use gitstratum_consensus::GroupStatus;
use gitstratum_core::limits::STATUS_PAGE_ASK_TIMEOUT;
use gitstratum_core::metrics::Samples;
use gitstratum_core::placement::{CurrentLayout, Layout, Member, MemberState, NodeId};
use gitstratum_host::unix_time_ms;
use gitstratum_proto::v1::StatusResponse;

use super::super::history::{History, Hour};
use crate::catalog::Participant;

/// Where it all comes from.
pub(crate) struct Sources {
    /// Who this is.
    pub(crate) node: NodeId,
    /// What it says of itself.
    pub(crate) service: Arc<NodeService>,
    /// Who the others are, and how they are reached.
    pub(crate) layout: CurrentLayout,
    pub(crate) connections: Arc<dyn Connections>,
    /// When they answered last.
    pub(crate) peers: Arc<PeerTable>,
    /// None where the configuration says that it takes no part in the catalog.
    pub(crate) participant: Option<Arc<Participant>>,
    pub(crate) history: Arc<History>,
}

/// How the cluster is, as one node sees it.
#[derive(Clone, Debug)]
pub(super) struct Overview {
    /// Which node.
    pub(super) node: NodeId,
    /// When, in unix milliseconds.
    pub(super) at_ms: u64,
    /// The layout in force here.
    pub(super) layout: Arc<Layout>,
    /// Each member of it, those that left excepted.
    pub(super) nodes: Vec<NodeReport>,
    /// What this node knows of the catalog's group; nothing where the configuration switches it off.
    pub(super) catalog: Option<CatalogReport>,
    /// What happened at this node lately.
    pub(super) hour: Hour,
}

/// A member, and what it says of itself.
#[derive(Clone, Debug)]
pub(super) struct NodeReport {
    pub(super) member: Member,
    pub(super) said: Result<Said, Silence>,
}

/// What a node said.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) status: StatusResponse,
    pub(super) metrics: Samples,
}

/// That a node did not answer.
#[derive(Clone, Debug)]
pub(super) struct Silence {
    /// Why, in words.
    pub(super) reason: String,
    /// How long ago this node heard of it last; nothing where it has not since it started.
    pub(super) heard_ago: Option<Duration>,
}

/// What a node knows of the catalog's group.
#[derive(Clone, Debug)]
pub(super) struct CatalogReport {
    /// Why names cannot be asked for here, if they cannot.
    pub(super) trouble: Option<String>,
    /// The node that leads, where one is known that was heard of lately.
    pub(super) leader: Option<String>,
    pub(super) term: u64,
    /// Nodes that vote.
    pub(super) voters: Vec<String>,
}

impl From<StatusResponse> for Said {
    fn from(status: StatusResponse) -> Self {
        Said { metrics: metrics_of(&status), status }
    }
}

impl CatalogReport {
    fn of(participant: &Participant) -> Self {
        Self::known(participant.unready(), participant.status())
    }

    fn known(trouble: Option<String>, group: Option<GroupStatus>) -> Self {
        let Some(GroupStatus { leader, term, voters, nodes, .. }) = group else {
            return CatalogReport { trouble, leader: None, term: 0, voters: Vec::new() };
        };
        let name = |id| nodes.get(id).cloned().unwrap_or_else(|| format!("member {id}"));
        let voters = voters.last().into_iter().flatten().map(name).collect();
        let leader = leader.filter(|_| trouble.is_none()).map(|leader| leader.node);
        CatalogReport { trouble, leader, term, voters }
    }
}

impl Overview {
    /// What those nodes said that answered.
    pub(super) fn said(&self) -> impl Iterator<Item = (&Member, &Said)> {
        self.nodes.iter().filter_map(|node| Some((&node.member, node.said.as_ref().ok()?)))
    }

    /// Those that did not, and why.
    pub(super) fn silent(&self) -> impl Iterator<Item = (&Member, &Silence)> {
        self.nodes.iter().filter_map(|node| Some((&node.member, node.said.as_ref().err()?)))
    }
}

impl Sources {
    /// Asks all nodes at once.
    pub(super) async fn gather(&self) -> Overview {
        let layout = self.layout.get();
        let members = layout.members.iter().filter(|it| it.state != MemberState::Removed);
        let asked = members.map(|member| async {
            NodeReport { member: member.clone(), said: self.ask(&member.node_id).await }
        });
        let nodes = join_all(asked).await;
        Overview {
            node: self.node.clone(),
            at_ms: unix_time_ms(),
            nodes,
            catalog: self.participant.as_deref().map(CatalogReport::of),
            hour: self.history.last_hour(),
            layout,
        }
    }

    async fn ask(&self, node: &NodeId) -> Result<Said, Silence> {
        let within = STATUS_PAGE_ASK_TIMEOUT;
        if *node == self.node {
            let described = tokio::time::timeout(within, self.service.describe()).await;
            let hangs = |_| Silence {
                reason: "this node does not come to say how it is: its disk may hang".to_owned(),
                heard_ago: None,
            };
            return described.map(Said::from).map_err(hangs);
        }
        let peer = RemoteNode::new(node.clone(), self.connections.clone(), self.layout.clone());
        let answer = peer.status(within).await;
        answer.map(Said::from).map_err(|error| Silence {
            reason: error.to_string(),
            heard_ago: self.peers.heard_ago(node),
        })
    }
}
