//! Chunks in the cluster: a quorum client for puts and gets, this node's own replica first.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use gitstratum_cluster::client::{Around, Client, ClientOptions, GetError, Got};
use gitstratum_cluster::local::LocalNode;
use gitstratum_cluster::wire::status::chain;
use gitstratum_core::object::{Object, ObjectId};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{Found, NodeReader, NodeWriter};
use gitstratum_git::chunk::ChunkStore;
use gitstratum_git::repository::whole::ChunkCheck;
use gitstratum_git::service::RepositoryError;

/// Chunks by quorum.
pub(super) struct ClusterChunks(pub(super) Client);

/// Around the replicas of a node's client: its own is asked in this process.
pub(super) fn own_replica_here(local: LocalNode) -> Around {
    let own = NodeWriter::node_id(&local).clone();
    let (writer, reader) = (Arc::new(local.clone()), Arc::new(local));
    let writes = |own: NodeId, here: Arc<LocalNode>| {
        move |remote: Arc<dyn NodeWriter>| -> Arc<dyn NodeWriter> {
            if *remote.node_id() == own { here.clone() } else { remote }
        }
    };
    Around {
        writer: Box::new(writes(own.clone(), writer.clone())),
        repaired: Box::new(writes(own.clone(), writer)),
        reader: Box::new(move |remote: Arc<dyn NodeReader>| -> Arc<dyn NodeReader> {
            if *remote.node_id() == own { reader.clone() } else { remote }
        }),
    }
}

/// What such a client goes by.
pub(super) fn options(local: &LocalNode) -> ClientOptions {
    ClientOptions { own: Some(NodeWriter::node_id(local).clone()), ..ClientOptions::default() }
}

#[async_trait]
impl ChunkCheck for ClusterChunks {
    async fn check(&self, chunks: &[ObjectId]) -> Vec<String> {
        let asked = chunks.iter().map(|id| async move { (id, self.0.get_from_each(*id).await) });
        let mut wrong = Vec::new();
        for (id, answers) in join_all(asked).await {
            for (node, found) in answers {
                match found {
                    Ok(Found::Object(_)) => {}
                    Ok(Found::Absent) => wrong.push(format!("chunk {id} is not on {node}")),
                    Ok(Found::Large(head)) => {
                        let bytes = head.size_bytes;
                        wrong.push(format!("chunk {id} on {node} has {bytes} bytes: too many"));
                    }
                    Err(error) => {
                        let error = chain(&error);
                        wrong.push(format!("chunk {id} cannot be had from {node}: {error}"));
                    }
                }
            }
        }
        wrong
    }
}

#[async_trait]
impl ChunkStore for ClusterChunks {
    async fn put(&self, chunk: Object) -> Result<(), RepositoryError> {
        let put = self.0.put(chunk).await;
        put.map(drop).map_err(|error| RepositoryError::Unavailable(error.to_string()))
    }

    async fn get(&self, id: ObjectId) -> Result<Bytes, RepositoryError> {
        match self.0.get(id).await {
            Ok(Got::Object(chunk)) => Ok(chunk.data().clone()),
            Ok(Got::Large(head)) => Err(RepositoryError::Damaged(format!(
                "chunk {id} has {} bytes, and no chunk is so large",
                head.size_bytes
            ))),
            Err(error @ GetError::NotFound { .. }) => {
                Err(RepositoryError::Damaged(format!("a chunk of the pack is lost: {error}")))
            }
            Err(error) => Err(RepositoryError::Unavailable(error.to_string())),
        }
    }
}
