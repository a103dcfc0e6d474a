//! Grants: what an access token allows at the port of the nodes, and who a caller is by one or by a
//! certificate.
//!
//! How tokens are kept, and how their secrets are looked up, is left to whoever has the catalog.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::holder::Holder;

/// How much a token allows; each allows what those before it do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// To read.
    Read,
    /// To store objects, and to change refs.
    Write,
    /// To change who the cluster is, who may what, and what its nodes do.
    Admin,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scope::Read => "read",
            Scope::Write => "write",
            Scope::Admin => "admin",
        })
    }
}

/// A token that was found good a moment ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its number, by which everybody knows it.
    pub token: u64,
    /// What its owner calls it.
    pub description: String,
    /// How much it allows.
    pub scope: Scope,
    /// In which repositories: the one of this name and those beneath it. Everywhere, and objects that
    /// belong to no repository too, where it is empty.
    pub prefix: String,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "access token {} ({:?})", self.token, self.description)
    }
}

/// Why a secret is worth nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoGrant {
    /// No token has it.
    Unknown,
    /// This token had it, which has expired.
    Expired(String),
    /// Too many that no token has came from there: after so long, one more is looked at.
    Limited(Duration),
    /// Tokens cannot be looked up.
    Unavailable(String),
}

/// How recent what a token is looked up in has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recency {
    /// However old: for who the node is, which callers ask first and wait for least.
    Any,
    /// As recent as a revocation is to be in force.
    Recent,
}

/// Who looks secrets up.
#[async_trait]
pub trait Grants: Send + Sync {
    /// What the token with this secret allows now; it came from this address.
    ///
    /// # Errors
    /// [`NoGrant`]. No word of it has the secret.
    async fn grant_of(
        &self,
        secret: &str,
        from: IpAddr,
        recency: Recency,
    ) -> Result<Grant, NoGrant>;
}

/// Who calls, where that is known: among a request's extensions.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Whoever a certificate is of.
    Certified(Holder),
    /// Whoever has the secret of a token.
    Token(Arc<Grant>),
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Caller::Certified(holder) => holder.fmt(f),
            Caller::Token(grant) => grant.fmt(f),
        }
    }
}
