//! Our pool, as the node's own code uses it.

use std::sync::Arc;

use async_trait::async_trait;
use gitstratum_cluster::quorum::decorate::Retried;
use gitstratum_cluster::rpc::RemoteNode;
use gitstratum_cluster::transport::{Connections, Dialler, Pool, PoolOptions};
use gitstratum_core::limits;
use gitstratum_core::object::Object;
use gitstratum_core::placement::{CurrentLayout, Layout, Member, NodeId};
use gitstratum_core::replica::{NodeError, NodeWriter};
use gitstratum_host::Net;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use super::Contender;
use crate::Outcome;

pub struct Ours {
    pool: Arc<Pool>,
    peer: Retried<RemoteNode>,
}

impl Ours {
    pub fn new(address: &str) -> Self {
        let node_id = NodeId::new("n1");
        let member = Member::active(node_id.clone(), address.to_owned(), "default".to_owned(), 1);
        let layout = CurrentLayout::new(Layout::first((1, 1, 1), vec![member]));
        let rng = ChaCha12Rng::seed_from_u64(2);
        let dialler = Dialler::new(Net::new(), "");
        let pool = Arc::new(Pool::new(dialler, &layout, rng, PoolOptions::default()));
        let peer = Retried::new(RemoteNode::new(node_id, pool.clone(), layout));
        Ours { pool, peer }
    }
}

#[async_trait]
impl Contender for Ours {
    fn name(&self) -> &'static str {
        "ours"
    }

    async fn put(&self, object: Object) -> Outcome<()> {
        let stored = self.peer.put(vec![object].into(), limits::REQUEST_TIMEOUT).await?;
        let stored = stored.into_iter().try_for_each(|stored| stored.map(drop));
        Ok(stored.map_err(NodeError::from)?)
    }

    fn dials(&self) -> u64 {
        self.pool.numbers().counts().dials
    }
}
