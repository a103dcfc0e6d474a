//! Impostors.
//!
//! Who else may answer at an address that a node had.

use std::net::{Ipv4Addr, SocketAddr};

use gitstratum::config::{
    AccessConfig, CatalogConfig, Config, HttpConfig, LogConfig, MonitorConfig, PoolConfig,
    RepairConfig, StoreConfig, TlsConfig, TracesConfig,
};
use gitstratum::server;
use gitstratum_cluster::transport::server::ServerOptions;
use gitstratum_core::placement::{Layout, NodeId};
use gitstratum_host::simulated::{DiskProfile, Machine};
use gitstratum_host::{Host, net};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Cluster;
use super::cluster::PORT;
use super::configs::layout_of_one;
use crate::scenario::Speech;
use crate::trace::Event;
use crate::workload::stream;

/// What something that is no node says to whoever connects.
const BANNER: &[u8] = b"220 mail.example.org ESMTP\r\n";
/// What it hears is thrown away in pieces of so many bytes.
const HEARD_BYTES: usize = 4096;

/// A machine that is none of the cluster's.
pub(super) struct Stranger {
    pub(super) machine: Machine,
    /// Whether it stores what it is sent.
    pub(super) stores: bool,
}

impl Cluster {
    /// Puts a stranger at an address that no machine has; `had` is the node that had it.
    pub(super) fn add_stranger(&self, address: Ipv4Addr, speech: Speech, had: &str) {
        let name = format!("stranger{}", self.changes().strangers.len() + 1);
        let machine =
            Machine::new(&self.network, &name, address, DiskProfile::instant(), self.seed);
        let (speaks, stores) = match speech {
            Speech::Node => ("node", true),
            Speech::Namesake => ("namesake", true),
            Speech::Banner => ("banner", false),
            Speech::Silence => ("silence", false),
        };
        let event = Event::Stranger { address: address.to_string(), speaks: speaks.to_owned() };
        self.recorder.record(&name, event);
        let rng = stream(self.seed, &format!("stranger/{name}"));
        let (own, version) = match speech {
            Speech::Namesake => (had.to_owned(), self.layout_version() + 1),
            _ => (name.clone(), 1),
        };
        let layout = Layout { version, ..layout_of_one(&own, address) };
        let layout = layout.of_cluster(&self.strangers).expect("it names no cluster yet");
        machine.start(move |host| async move {
            match speech {
                Speech::Node | Speech::Namesake => {
                    let config = Config {
                        node_id: NodeId::new(own),
                        listen: anywhere(),
                        store: StoreConfig { reserve_bytes: 0, ..StoreConfig::default() },
                        pool: PoolConfig::default(),
                        repair: RepairConfig::default(),
                        catalog: CatalogConfig { enabled: false, ..CatalogConfig::default() },
                        http: HttpConfig::default(),
                        monitor: MonitorConfig::default(),
                        access: AccessConfig::default(),
                        tls: TlsConfig::default(),
                        log: LogConfig::default(),
                        traces: TracesConfig::default(),
                        server: ServerOptions::default(),
                        layout,
                        alone: false,
                    };
                    let forever = std::future::pending();
                    // It takes no part in the run: that it could not go on is no matter.
                    let _ = server::serve(config, host, rng, |_| {}, forever).await;
                }
                Speech::Banner => say_to_all(host, BANNER).await,
                Speech::Silence => say_to_all(host, b"").await,
            }
        });
        self.changes().strangers.push(Stranger { machine, stores });
    }

    /// Where strangers are that may have stored something.
    pub(super) fn storing_strangers(&self) -> Vec<(String, String)> {
        let changes = self.changes();
        let storing = changes.strangers.iter().filter(|stranger| stranger.stores);
        let place = |stranger: &Stranger| {
            let Stranger { machine, .. } = stranger;
            (machine.name().to_owned(), format!("{}:{PORT}", machine.address()))
        };
        storing.map(place).collect()
    }
}

fn anywhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT))
}

/// Greets whoever connects, and listens until they have gone.
async fn say_to_all(host: Host, greeting: &'static [u8]) {
    let Ok(mut listener) = host.net.listen(anywhere()).await else { return };
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(say_to(stream, greeting));
    }
}

async fn say_to(mut stream: net::Stream, greeting: &'static [u8]) {
    let mut heard = [0; HEARD_BYTES];
    if stream.write_all(greeting).await.is_err() {
        return;
    }
    while let Ok(1..) = stream.read(&mut heard).await {}
}
