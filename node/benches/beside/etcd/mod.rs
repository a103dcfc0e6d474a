//! Three members of etcd, and callers that compare and swap one key each, with one connection to each
//! member for all callers.

mod messages;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use http::uri::PathAndQuery;
use prost::Message;
use tokio::time::{Instant, sleep};
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use crate::Outcome;
use crate::contender::{Caller, Contender, Refs, SERVERS, object};
use crate::load::next_caller;
use crate::process::{Servers, free_addresses};
use messages::{
    Compare, EQUAL, MOD_REVISION, PutRequest, PutResponse, RangeRequest, RangeResponse, RequestOp,
    StatusRequest, StatusResponse, TxnRequest, TxnResponse,
};

/// A leader has to be there by then.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

/// A cluster of three members.
pub struct Etcd {
    servers: Servers,
    endpoints: Vec<Endpoint>,
    channels: Vec<Channel>,
}

impl Etcd {
    /// Starts them with their data below `dir`, and with etcd's own defaults.
    pub async fn start(program: &Path, dir: &Path) -> Outcome<Self> {
        let mut servers = Servers::new(program, dir)?;
        let addresses = free_addresses(2 * SERVERS)?;
        let (clients, peers) = addresses.split_at(SERVERS);
        let members = peers.iter().enumerate().map(|(n, peer)| format!("m{n}=http://{peer}"));
        let members = members.collect::<Vec<_>>().join(",");
        for (n, (client, peer)) in clients.iter().zip(peers).enumerate() {
            let data = dir.join(format!("m{n}"));
            servers.start(vec![
                format!("--name=m{n}"),
                format!("--data-dir={}", data.display()),
                format!("--listen-client-urls=http://{client}"),
                format!("--advertise-client-urls=http://{client}"),
                format!("--listen-peer-urls=http://{peer}"),
                format!("--initial-advertise-peer-urls=http://{peer}"),
                format!("--initial-cluster={members}"),
                "--initial-cluster-state=new".to_owned(),
            ])?;
        }
        let mut endpoints = Vec::new();
        for client in clients {
            let endpoint = Endpoint::from_shared(format!("http://{client}"))?;
            endpoints.push(endpoint.tcp_nodelay(true));
        }
        let channels = endpoints.iter().map(Endpoint::connect_lazy).collect();
        let etcd = Etcd { servers, endpoints, channels };
        etcd.leader().await?;
        Ok(etcd)
    }

    /// Its processes.
    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// A connection of its own to this member.
    pub fn channel(&self, server: usize) -> Channel {
        self.endpoints[server].connect_lazy()
    }
}

/// Sets a key, on the disks of a majority when this returns.
pub async fn put(channel: &Channel, key: Vec<u8>, value: Vec<u8>) -> Outcome<()> {
    let request = PutRequest { key, value };
    call::<_, PutResponse>(channel, "/etcdserverpb.KV/Put", request).await.map(drop)
}

/// Calls a method of etcd's.
async fn call<Q, A>(channel: &Channel, method: &'static str, request: Q) -> Outcome<A>
where
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await?;
    let request = tonic::Request::new(request);
    let codec = ProstCodec::<Q, A>::default();
    let answered = grpc.unary(request, PathAndQuery::from_static(method), codec).await;
    Ok(answered.map_err(|status| format!("{method}: {status}"))?.into_inner())
}

#[async_trait]
impl Contender for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn servers(&self) -> &Servers {
        &self.servers
    }

    async fn leader(&self) -> Outcome<usize> {
        let until = Instant::now() + PATIENCE;
        loop {
            for (place, channel) in self.channels.iter().enumerate() {
                let asked = call(channel, "/etcdserverpb.Maintenance/Status", StatusRequest {});
                // One that does not answer does not lead.
                let Ok::<StatusResponse, _>(status) = asked.await else { continue };
                let member = status.header.map(|header| header.member_id);
                if status.leader != 0 && member == Some(status.leader) {
                    return Ok(place);
                }
            }
            if Instant::now() > until {
                return Err("no member of etcd leads: see its logs".into());
            }
            sleep(PAUSE).await;
        }
    }

    async fn callers(&self, name: &str, count: usize, refs: Refs) -> Outcome<Vec<Box<dyn Caller>>> {
        let mut callers: Vec<Box<dyn Caller>> = Vec::new();
        for place in 0..count {
            let key = match refs {
                Refs::Apart => format!("bench/{name}-{place}/refs/heads/caller-{place}"),
                Refs::Together => format!("bench/{name}/refs/heads/caller-{place}"),
            };
            let mut caller = KeyCaller {
                channels: self.channels.clone(),
                server: place % SERVERS,
                key: key.into_bytes(),
                caller: next_caller(),
                updates: 0,
                revision: 0,
                current: Vec::new(),
            };
            // The first one expects that there is no such key.
            caller.update().await?;
            callers.push(Box::new(caller));
        }
        Ok(callers)
    }

    fn kill(&mut self, server: usize) -> Outcome<()> {
        self.servers.kill(server)
    }

    fn start_again(&mut self, server: usize) -> Outcome<()> {
        self.servers.start_again(server)
    }
}

/// A caller with its key.
struct KeyCaller {
    channels: Vec<Channel>,
    server: usize,
    key: Vec<u8>,
    caller: u64,
    updates: u64,
    /// The key's revision, 0 before there is one.
    revision: i64,
    current: Vec<u8>,
}

#[async_trait]
impl Caller for KeyCaller {
    fn turn_to(&mut self, server: usize) {
        self.server = server;
    }

    async fn update(&mut self) -> Outcome<()> {
        self.updates += 1;
        // An object's id as text: what a ref is kept as where etcd keeps refs.
        let next = hex::encode(object(self.caller, self.updates)).into_bytes();
        let compare = Compare {
            result: EQUAL,
            target: MOD_REVISION,
            key: self.key.clone(),
            mod_revision: Some(self.revision),
        };
        let put = PutRequest { key: self.key.clone(), value: next.clone() };
        let request = TxnRequest {
            compare: vec![compare],
            success: vec![RequestOp { request_put: Some(put) }],
            failure: Vec::new(),
        };
        let channel = &self.channels[self.server];
        let done: TxnResponse = call(channel, "/etcdserverpb.KV/Txn", request).await?;
        if !done.succeeded {
            return Err("a key was not what it was expected to be".into());
        }
        self.revision = done.header.ok_or("a transaction without a revision")?.revision;
        self.current = next;
        Ok(())
    }

    async fn read(&mut self) -> Outcome<()> {
        let request = RangeRequest { key: self.key.clone(), serializable: false };
        let channel = &self.channels[self.server];
        let found: RangeResponse = call(channel, "/etcdserverpb.KV/Range", request).await?;
        match found.kvs.first() {
            Some(found) if found.value == self.current => Ok(()),
            other => Err(format!("a key is not what it was made: {other:?}").into()),
        }
    }
}
