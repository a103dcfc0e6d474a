//! Real TLS: rustls.

mod acceptor;
mod connector;
mod files;
mod identity;
mod problem;
mod revoked;
mod stream;

pub use acceptor::Acceptor;
pub use connector::Connector;
pub use files::dns_names;
pub use identity::{Identity, Mutual, Trust};
pub use revoked::fingerprint;
pub use stream::TlsStream;

/// What the first byte of a client says that speaks TLS.
const HANDSHAKE_RECORD: u8 = 0x16;
/// And of a server that has nothing to say but why not.
const ALERT_RECORD: u8 = 0x15;
