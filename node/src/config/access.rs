//! The `[access]` part of a configuration: whom the door for Git lets in, and what access tokens are
//! worth at the port of nodes and commands.

use std::net::SocketAddr;

use gitstratum_host::tls::ClientCertificates;
use serde::{Deserialize, Serialize};

use super::TlsConfig;

/// Whom a node serves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessConfig {
    /// Whether Git clients need access tokens.
    pub tokens: Tokens,
    /// Whether commands need them, where they show no certificate.
    pub command_tokens: CommandTokens,
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

/// What access tokens are worth where nodes and commands come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommandTokens {
    /// Nothing: they are not looked at.
    #[default]
    Off,
    /// Whoever shows one is held to what it allows; who shows none is served as without them.
    Accepted,
    /// Whoever shows no certificate needs one.
    Required,
}

impl AccessConfig {
    /// The first field that is wrong, and why.
    pub(super) fn check(
        &self,
        keeps_catalog: bool,
        tls: &TlsConfig,
    ) -> Result<(), (&'static str, String)> {
        let problem = match self.command_tokens {
            CommandTokens::Off => return Ok(()),
            _ if !keeps_catalog => "takes the catalog, which keeps the tokens: see catalog.enabled",
            CommandTokens::Required if tls.files().is_none() => {
                "\"required\" takes [tls]: nodes show by certificates who they are, and would be \
                 refused without"
            }
            CommandTokens::Accepted | CommandTokens::Required => return Ok(()),
        };
        Err(("access.command_tokens", problem.to_owned()))
    }

    /// Whether those who come to the port of nodes and commands have to show certificates.
    pub(crate) fn client_certificates(&self) -> ClientCertificates {
        match self.command_tokens {
            CommandTokens::Off => ClientCertificates::Required,
            CommandTokens::Accepted | CommandTokens::Required => ClientCertificates::Optional,
        }
    }

    /// Whether somebody is asked for an access token anywhere, so that the status page asks for one too.
    pub(crate) fn asks_for_tokens(&self) -> bool {
        self.tokens == Tokens::Required || self.command_tokens == CommandTokens::Required
    }

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
