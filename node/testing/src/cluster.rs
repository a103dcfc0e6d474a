//! Scripted cluster.
//!
//! Scripted replicas under one layout.

use std::collections::BTreeMap;
use std::sync::Arc;

use gitstratum_core::object::ObjectId;
use gitstratum_core::placement::{Layout, Member, NodeId, Placement};
use gitstratum_core::replica::{Readers, Writers};

use crate::ScriptedReplica;

/// A scripted replica for each member of a layout. Cheap to clone; clones share the replicas.
#[derive(Clone)]
pub struct ScriptedCluster {
    layout: Layout,
    replicas: Arc<BTreeMap<NodeId, ScriptedReplica>>,
}

impl ScriptedCluster {
    /// Members `n1` up to `n<members>` in one zone; `quorums` are N, W and R.
    ///
    /// # Panics
    /// When that is no valid layout.
    pub fn new(members: usize, quorums: (usize, usize, usize)) -> Self {
        let names = (1..=members).map(|number| format!("n{number}"));
        let member = |name: String| {
            let address = format!("{name}:7000");
            Member::active(NodeId::new(name), address, "z".to_owned(), 1)
        };
        let members: Vec<_> = names.map(member).collect();
        let replica = |member: &Member| {
            let node_id = member.node_id.clone();
            (node_id.clone(), ScriptedReplica::new(node_id))
        };
        let replicas = Arc::new(members.iter().map(replica).collect());
        let layout = Layout::first(quorums, members).validated();
        ScriptedCluster { layout: layout.expect("a valid layout"), replicas }
    }

    /// The layout.
    pub fn layout(&self) -> Layout {
        self.layout.clone()
    }

    /// All members in the order in which they follow an object's place on the ring: its replicas
    /// come first.
    pub fn ring_order(&self, id: &ObjectId) -> Vec<ScriptedReplica> {
        let replicas = self.layout.members.len();
        let (write_quorum, read_quorum) = (replicas, replicas);
        let all = Layout { replicas, write_quorum, read_quorum, ..self.layout.clone() };
        let order = Placement::new(all.into()).replicas(id);
        order.iter().map(|node_id| self.replica(node_id)).collect()
    }

    /// The replica of a member.
    ///
    /// # Panics
    /// When there is no such member.
    pub fn replica(&self, node_id: &NodeId) -> ScriptedReplica {
        self.replicas[node_id].clone()
    }

    /// How a writer comes to them.
    pub fn writers(&self) -> Writers {
        let cluster = self.clone();
        Arc::new(move |member: &Member| Arc::new(cluster.replica(&member.node_id)))
    }

    /// How a reader comes to them.
    pub fn readers(&self) -> Readers {
        let cluster = self.clone();
        Arc::new(move |member: &Member| Arc::new(cluster.replica(&member.node_id)))
    }
}
