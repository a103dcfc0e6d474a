//! Who may see the status page: anybody, or holders of access tokens, as at the port for Git.
//!
//! A token of any scope is good; one with a prefix shows the repositories of that prefix alone. A browser
//! sends it as the password of HTTP Basic, any other program as a bearer's token too.
//!
//! Invariant: where tokens are asked for, nothing about the cluster goes to whoever gives none, and
//! nobody is asked for one on a connection that others could read, unless the operator has said so. A
//! node that cannot reach a majority takes a token that was good when it last heard of it: the page is
//! for the hour in which the cluster does not work.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use gitstratum_catalog::secret::has_secret;
use gitstratum_cluster::transport::{Grant, Grants, NoGrant, Recency};
use gitstratum_core::limits::STATUS_PAGE_ASK_TIMEOUT;
use gitstratum_core::seldom::Seldom;
use gitstratum_git::access::source_of;
use gitstratum_git::http::credentials_of;
use gitstratum_git::service::Credentials;
use http::{HeaderMap, Uri};

/// How somebody came to the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Came {
    /// From where.
    pub(crate) from: SocketAddr,
    /// By TLS.
    pub(crate) by_tls: bool,
}

impl Came {
    /// Nobody between us and them reads what they send.
    fn is_private(self) -> bool {
        self.by_tls || self.from.ip().to_canonical().is_loopback()
    }
}

/// Who is asked for what.
pub(crate) enum Gate {
    /// Nobody for anything.
    Open,
    /// Everybody for an access token.
    Tokens(TokenGate),
    /// Everybody for an access token, of which this node knows none: it has no catalog.
    Shut,
}

/// Lets in holders of access tokens.
pub(crate) struct TokenGate {
    grants: Arc<dyn Grants>,
    takes_plain: bool,
    wrong: Seldom,
}

/// Somebody who may see the page.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Viewer {
    /// Which repositories: the one of this name and those beneath it; all where it is empty.
    pub(crate) prefix: String,
}

/// Why somebody may not, in words for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A token would help.
    Unauthorized(String),
    /// It came where it could be read by others.
    Plain,
    /// A secret stood in the URL, which is logged on its way.
    SecretInUrl,
    /// Too many wrong ones came from there.
    Limited(Duration),
    /// Tokens cannot be looked up.
    Unavailable(String),
}

impl Gate {
    /// Asks for tokens, which `grants` looks up. `takes_plain` also where others could read them.
    pub(crate) fn tokens(grants: Arc<dyn Grants>, takes_plain: bool) -> Self {
        Gate::Tokens(TokenGate { grants, takes_plain, wrong: Seldom::default() })
    }

    /// Who has sent this request.
    ///
    /// # Errors
    /// [`Refused`]. No word of it has a secret.
    pub(crate) async fn admit(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        came: Came,
    ) -> Result<Viewer, Refused> {
        if has_secret(&uri.to_string()) {
            return Err(Refused::SecretInUrl);
        }
        match self {
            Gate::Open => Ok(Viewer::default()),
            Gate::Tokens(tokens) => tokens.admit(headers, came).await,
            Gate::Shut => Err(Refused::Unavailable("this node has no catalog".to_owned())),
        }
    }
}

impl TokenGate {
    async fn admit(&self, headers: &HeaderMap, came: Came) -> Result<Viewer, Refused> {
        if !self.takes_plain && !came.is_private() {
            return Err(Refused::Plain);
        }
        let how = "give its secret as the password, with any user name";
        let secret = match credentials_of(headers) {
            Credentials::Given { secret, .. } if !secret.expose().is_empty() => secret,
            Credentials::Given { .. } | Credentials::Missing => {
                return Err(Refused::Unauthorized(format!(
                    "an access token is needed here: {how}"
                )));
            }
            Credentials::Unreadable(reason) => {
                return Err(Refused::Unauthorized(format!(
                    "the header Authorization cannot be read: {reason}; an access token is needed \
                     here: {how}"
                )));
            }
        };
        let from = source_of(&came.from.to_string());
        match self.grant_of(secret.expose(), from).await {
            Ok(grant) => Ok(Viewer { prefix: grant.prefix }),
            Err(NoGrant::Unknown) => {
                if let Some(count) = self.wrong.count() {
                    tracing::warn!(
                        target: "audit", count, address = %came.from,
                        "access tokens that are not known were given to the status page"
                    );
                }
                Err(Refused::Unauthorized(
                    "this access token is not known: it was revoked, or it is mistyped".to_owned(),
                ))
            }
            Err(NoGrant::Expired(token)) => {
                Err(Refused::Unauthorized(format!("{token} has expired")))
            }
            Err(NoGrant::Limited(again)) => Err(Refused::Limited(again)),
            Err(NoGrant::Unavailable(reason)) => Err(Refused::Unavailable(reason)),
        }
    }

    /// What a secret is worth now; or, where the others cannot be asked, what it was worth when this
    /// node last heard of it.
    async fn grant_of(&self, secret: &str, from: IpAddr) -> Result<Grant, NoGrant> {
        let recent = self.grants.grant_of(secret, from, Recency::Recent);
        let unavailable = match tokio::time::timeout(STATUS_PAGE_ASK_TIMEOUT, recent).await {
            Ok(Err(NoGrant::Unavailable(reason))) => reason,
            Ok(answered) => return answered,
            Err(_) => "the other nodes do not answer in time".to_owned(),
        };
        let known = self.grants.grant_of(secret, from, Recency::Any);
        match tokio::time::timeout(Duration::ZERO, known).await {
            Ok(Err(NoGrant::Unknown)) | Err(_) => Err(NoGrant::Unavailable(unavailable)),
            Ok(answered) => answered,
        }
    }
}

#[cfg(test)]
mod tests;
