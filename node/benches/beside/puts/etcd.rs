//! Keys of three members of etcd, each put once.

use async_trait::async_trait;
use tonic::transport::Channel;

use super::{Callers, Connections, Keeper, Payloads};
use crate::Outcome;
use crate::contender::SERVERS;
use crate::etcd::{Etcd, put};
use crate::load::Again;
use crate::process::Servers;

/// What stands for an object's id.
const KEY_BYTES: usize = 20;

#[async_trait]
impl Keeper for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn servers(&self) -> &Servers {
        Etcd::servers(self)
    }

    async fn callers(&self, count: usize, connections: Connections) -> Outcome<Callers> {
        let shared: Vec<Channel> = (0..SERVERS).map(|server| self.channel(server)).collect();
        let caller = |place: usize| {
            let server = place % SERVERS;
            let channel = match connections {
                Connections::Own => self.channel(server),
                Connections::Shared => shared[server].clone(),
            };
            Box::new(Putting { channel, payloads: Payloads::new() }) as Box<dyn Again>
        };
        Ok(Some((0..count).map(caller).collect()))
    }
}

struct Putting {
    channel: Channel,
    payloads: Payloads,
}

#[async_trait]
impl Again for Putting {
    async fn once(&mut self) -> Outcome<()> {
        let data = self.payloads.next();
        put(&self.channel, hex::encode(&data[..KEY_BYTES]).into_bytes(), data).await
    }
}
