//! Verification of held objects.
//!
//! Whether a replica that says that it holds an object can give it.
//!
//! "I have it" is said by an index, and what rotted is in the index still. Here each replica
//! is read by itself, past the quorum reader, so that nothing is repaired by the question.

use std::sync::Arc;
use std::time::Duration;

use gitstratum_cluster::client::Client;
use gitstratum_cluster::quorum::decorate::Retried;
use gitstratum_cluster::rpc::RemoteNode;
use gitstratum_cluster::transport::{Connections, Dialler, Pool, PoolOptions};
use gitstratum_core::object::{ObjectHead, ObjectId};
use gitstratum_core::placement::{CurrentLayout, NodeId};
use gitstratum_core::replica::{Found, NodeReader};
use gitstratum_host::Net;
use rand_chacha::ChaCha12Rng;

/// How each replica is read.
pub(super) struct Soundness {
    connections: Arc<dyn Connections>,
    layout: CurrentLayout,
    timeout: Duration,
}

impl Soundness {
    /// From here, by the layout that a client goes by.
    pub(super) fn new(net: Net, client: &Client, rng: ChaCha12Rng, timeout: Duration) -> Self {
        let layout = CurrentLayout::new(client.layout());
        let pool = Pool::new(Dialler::new(net, ""), &layout, rng, PoolOptions::default());
        Soundness { connections: Arc::new(pool), layout, timeout }
    }

    /// Those of the holders that give the object, whole and with the bytes that its id
    /// stands for.
    pub(super) async fn of(&self, id: ObjectId, holders: Vec<String>) -> Vec<String> {
        let mut sound = Vec::with_capacity(holders.len());
        for holder in holders {
            if self.gives(&holder, id).await {
                sound.push(holder);
            }
        }
        sound
    }

    async fn gives(&self, holder: &str, id: ObjectId) -> bool {
        let (connections, layout) = (self.connections.clone(), self.layout.clone());
        let node = Retried::new(RemoteNode::new(NodeId::new(holder), connections, layout));
        let found = node.get([id].into(), self.timeout).await;
        match found.ok().and_then(|mut found| found.pop()?.ok()) {
            Some(Found::Object(object)) => object.verify().is_ok(),
            Some(Found::Large(ObjectHead { size_bytes, .. })) => {
                read_through(&node, id).await == Some(size_bytes)
            }
            Some(Found::Absent) | None => false,
        }
    }
}

/// The bytes of a large object that a node gives to the end; the node verifies them.
async fn read_through(node: &impl NodeReader, id: ObjectId) -> Option<u64> {
    let mut reader = node.get_large(id).await.ok()??;
    let mut bytes = 0;
    while let Some(part) = reader.next().await.ok()? {
        bytes += part.len() as u64;
    }
    Some(bytes)
}
