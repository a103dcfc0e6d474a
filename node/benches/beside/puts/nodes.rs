//! Objects of three nodes, N = 3, W = 2, by the client that the command line uses.

use async_trait::async_trait;
use gitstratum_cluster::client::Client;
use gitstratum_core::object::{HashAlgorithm, Kind, Object};

use super::{Callers, Connections, Keeper, Payloads};
use crate::Outcome;
use crate::load::Again;
use crate::nodes::Nodes;
use crate::process::Servers;

#[async_trait]
impl Keeper for Nodes {
    fn name(&self) -> &'static str {
        "nodes"
    }

    fn servers(&self) -> &Servers {
        Nodes::servers(self)
    }

    async fn callers(&self, count: usize, connections: Connections) -> Outcome<Callers> {
        let shared = self.client().await?;
        let mut callers: Vec<Box<dyn Again>> = Vec::new();
        for _ in 0..count {
            let client = match connections {
                Connections::Own => self.client().await?,
                Connections::Shared => shared.clone(),
            };
            callers.push(Box::new(Putting { client, payloads: Payloads::new() }));
        }
        Ok(Some(callers))
    }
}

struct Putting {
    client: Client,
    payloads: Payloads,
}

#[async_trait]
impl Again for Putting {
    async fn once(&mut self) -> Outcome<()> {
        let object = Object::hash(HashAlgorithm::Sha1, Kind::Blob, self.payloads.next().into())?;
        self.client.put(object).await?;
        Ok(())
    }
}
