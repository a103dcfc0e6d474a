//! A naive pool: one connection, kept until a call fails on it, and no question who is
//! there. A call that is late says nothing of the connection.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use gitstratum_cluster::transport::{Channel, Dialler};
use gitstratum_core::limits;
use gitstratum_core::object::Object;
use gitstratum_host::Net;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tonic::{Code, Status};

use super::{Contender, request};
use crate::Outcome;

pub struct Naive {
    dialler: Dialler,
    address: String,
    /// With the number of the dial that it is of.
    kept: Mutex<Option<(u64, Channel)>>,
    dials: AtomicU64,
}

impl Naive {
    pub fn new(address: &str) -> Self {
        Naive {
            dialler: Dialler::new(Net::new(), "").keepalive(None),
            address: address.to_owned(),
            kept: Mutex::default(),
            dials: AtomicU64::new(0),
        }
    }

    async fn channel(&self) -> Outcome<(u64, Channel)> {
        let mut kept = self.kept.lock().await;
        if let Some(kept) = &*kept {
            return Ok(kept.clone());
        }
        let number = self.dials.fetch_add(1, Ordering::Relaxed);
        let found = self.dialler.resolve(&self.address).await?;
        let stream = self.dialler.connect(&self.address, &found).await?;
        let stream = self.dialler.secure(&self.address, &found, stream, None).await?;
        let channel = self.dialler.handshake(&self.address, stream).await?;
        Ok(kept.insert((number, channel)).clone())
    }
}

/// Whether a call ended with its connection: then it has a source, or is of the kind that
/// tonic makes of a connection that had ended before. No answer of a node is either.
fn broken(status: &Status) -> bool {
    status.source().is_some() || status.code() == Code::Unknown
}

#[async_trait]
impl Contender for Naive {
    fn name(&self) -> &'static str {
        "naive"
    }

    async fn put(&self, object: Object) -> Outcome<()> {
        let called = async {
            let (number, channel) = self.channel().await?;
            let answer = channel.rpc().put(request(&object)).await;
            if answer.as_ref().is_err_and(broken) {
                let mut kept = self.kept.lock().await;
                kept.take_if(|(kept, _)| *kept == number);
            }
            answer?;
            Ok(())
        };
        timeout(limits::REQUEST_TIMEOUT, called).await?
    }

    fn dials(&self) -> u64 {
        self.dials.load(Ordering::Relaxed)
    }
}
