//! The `[access]` part of a configuration: whom the door for Git lets in.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Whom a node serves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessConfig {
    /// Whether Git clients need access tokens.
    pub tokens: Tokens,
}

/// Whether clients need access tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tokens {
    /// They do not: whoever reaches the port may read and write everything.
    #[default]
    Off,
    /// They do, but to read what is public.
    Required,
}

impl AccessConfig {
    /// What whoever starts a node should know that serves Git at this address, with TLS or without.
    pub(crate) fn warning(&self, http: SocketAddr, speaks_tls: bool) -> Option<&'static str> {
        if http.ip().to_canonical().is_loopback() {
            return None;
        }
        if self.tokens == Tokens::Required && speaks_tls {
            return None;
        }
        Some(match self.tokens {
            Tokens::Off => {
                "whoever reaches this address may read and write every repository, since no access \
                 tokens are asked for: make some with `gitstratum token create`, then set tokens = \
                 \"required\" under [access]; or keep the address on a network that you trust"
            }
            Tokens::Required => {
                "access tokens come to this address as plain text, readable by everybody on the way: \
                 give it a certificate ([http] certificate and key), put a proxy before it that speaks TLS, \
                 or keep it on a network that you trust"
            }
        })
    }
}
