//! What goes with requests and answers as metadata: the layout version with all of them, and
//! with those of repair that they are.
//!
//! It costs a header and saves a question: whoever is behind hears of it from the first
//! that is not, whichever way the request goes.

use std::task::{Context, Poll};

use gitstratum_proto::v1::node_client::NodeClient;
use http::{HeaderMap, HeaderName, HeaderValue};
use hyper::body::Incoming;
use tonic::body::Body;

use crate::limits;
use crate::placement::CurrentLayout;
use crate::pool::{Channel, Lease};

/// The version that the sender goes by, in decimal.
const LAYOUT: HeaderName = HeaderName::from_static("gitstratum-layout");

/// That a request is part of repair: nobody waits for it.
const BACKGROUND: HeaderName = HeaderName::from_static("gitstratum-background");

/// Whether a request is part of repair.
pub fn is_background(headers: &HeaderMap) -> bool {
    headers.contains_key(BACKGROUND)
}

/// The version that a message came with. A text that is no number says nothing.
pub fn version_of(headers: &HeaderMap) -> Option<u64> {
    headers.get(LAYOUT)?.to_str().ok()?.parse().ok()
}

/// States the version in force.
pub fn stamp(headers: &mut HeaderMap, layout: &CurrentLayout) {
    headers.insert(LAYOUT, HeaderValue::from(layout.version()));
}

/// Takes note of the version that a message came with.
pub fn hear(headers: &HeaderMap, layout: &CurrentLayout) {
    if let Some(version) = version_of(headers) {
        layout.heard_of(version);
    }
}

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
        stamp(request.headers_mut(), &self.layout);
        if self.background {
            request.headers_mut().insert(BACKGROUND, HeaderValue::from_static("1"));
        }
        let layout = self.layout.clone();
        let answered = self.channel.call(request);
        Box::pin(async move {
            let response = answered.await?;
            hear(response.headers(), &layout);
            Ok(response)
        })
    }
}
