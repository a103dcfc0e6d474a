//! Request metadata interceptor.
//!
//! A connection whose requests state the layout that the caller goes by, and which request they
//! are part of.

use std::task::{Context, Poll};

use gitstratum_core::limits;
use gitstratum_core::placement::CurrentLayout;
use gitstratum_proto::v1::node_client::NodeClient;
use hyper::body::Incoming;
use tonic::body::Body;

use crate::transport::{Channel, Lease};
use crate::wire::stamp;

/// tonic's generated client, whose requests state the caller's layout version and whose
/// answers are listened to.
pub type Rpc = NodeClient<Stamped>;

/// A client over a lease's connection, whose requests are part of repair or not.
pub fn rpc(lease: &Lease, layout: &CurrentLayout, background: bool) -> Rpc {
    let channel = lease.connection().channel().clone();
    let stamped = Stamped { channel, layout: layout.clone(), background };
    NodeClient::with_origin(stamped, http::Uri::from_static("http://gitstratum"))
        .max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
        .max_encoding_message_size(limits::MESSAGE_BYTES_MAX)
}

/// A channel that stamps and listens.
#[derive(Clone)]
pub struct Stamped {
    channel: Channel,
    layout: CurrentLayout,
    background: bool,
}

impl tower_service::Service<http::Request<Body>> for Stamped {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        stamp::stamp(request.headers_mut(), &self.layout);
        if self.background {
            stamp::mark_background(request.headers_mut());
        }
        stamp::state_context(request.headers_mut());
        let layout = self.layout.clone();
        let answered = self.channel.call(request);
        Box::pin(async move {
            let response = answered.await?;
            stamp::hear(response.headers(), &layout);
            Ok(response)
        })
    }
}
