//! The three that are compared. Each has one peer, and the same time for a request and for
//! a connection; all else is as a program gets it that asks for nothing special.

mod channel;
mod naive;
mod pool;

use std::sync::Arc;

use async_trait::async_trait;
use gitstratum_core::object::Object;
use gitstratum_proto::v1;

use crate::Outcome;

/// What keeps connections to a peer.
#[async_trait]
pub trait Contender: Send + Sync {
    /// What it is called in the table.
    fn name(&self) -> &'static str;

    /// One put, with whatever the contender does for it.
    async fn put(&self, object: Object) -> Outcome<()>;

    /// Connections begun so far.
    fn dials(&self) -> u64;
}

/// All of them, for the node `n1` at `address`.
pub fn all(address: &str) -> Outcome<Vec<Arc<dyn Contender>>> {
    Ok(vec![
        Arc::new(pool::Ours::new(address)),
        Arc::new(channel::Tonic::new(address)?),
        Arc::new(naive::Naive::new(address)),
    ])
}

fn request(object: &Object) -> v1::PutRequest {
    let object = v1::Object {
        id: bytes::Bytes::copy_from_slice(object.id().as_bytes()),
        kind: v1::Kind::Blob.into(),
        data: object.data().clone(),
    };
    v1::PutRequest { object: Some(object) }
}
