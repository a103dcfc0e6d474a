//! tonic's own channel: connects when it must, sends on what it has, pings nobody and asks
//! nobody who he is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use gitstratum_core::limits;
use gitstratum_core::object::Object;
use gitstratum_proto::v1::node_client::NodeClient;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint, Uri};

use super::{Contender, request};
use crate::Outcome;

pub struct Tonic {
    channel: Channel,
    dials: Arc<AtomicU64>,
}

impl Tonic {
    pub fn new(address: &str) -> Outcome<Self> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?
            .connect_timeout(limits::CONNECT_TIMEOUT)
            .timeout(limits::REQUEST_TIMEOUT);
        let dials = Arc::<AtomicU64>::default();
        let counted = dials.clone();
        // Connects as tonic's own connector does, and counts.
        let connector = tower::service_fn(move |uri: Uri| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                let address = uri.authority().map_or_else(String::new, ToString::to_string);
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok::<_, std::io::Error>(TokioIo::new(stream))
            }
        });
        Ok(Tonic { channel: endpoint.connect_with_connector_lazy(connector), dials })
    }
}

#[async_trait]
impl Contender for Tonic {
    fn name(&self) -> &'static str {
        "tonic channel"
    }

    async fn put(&self, object: Object) -> Outcome<()> {
        NodeClient::new(self.channel.clone()).put(request(&object)).await?;
        Ok(())
    }

    fn dials(&self) -> u64 {
        self.dials.load(Ordering::Relaxed)
    }
}
