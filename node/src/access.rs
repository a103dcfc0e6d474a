//! Access tokens at the port of nodes and commands: secrets, looked up in the catalog as this node has it.
//!
//! What a node has may be old, so it is brought up to date by one question to the others, which all
//! requests share, when it is older than [`TOKENS_KNOWN_FOR_MAX`]. A secret that is not known then may
//! have been made a moment ago: it is looked up once more after another such question, which its
//! address pays for.
//!
//! Invariant: what lets a request in was in force at most that long before it came, but for the question
//! who the node is.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gitstratum_catalog::entity::Access;
use gitstratum_catalog::ids::TokenHash;
use gitstratum_catalog::secret::Secret;
use gitstratum_cluster::transport::server::Tokens;
use gitstratum_cluster::transport::{Grant, Grants, NoGrant, Recency, Scope};
use gitstratum_core::limits::{CATALOG_REQUEST_TIMEOUT, TOKENS_KNOWN_FOR_MAX};
use gitstratum_git::access::{Directory, Facts, Limiter, facts_of};
use gitstratum_git::service::RepositoryError;
use gitstratum_host::unix_time_ms;
use tokio::time::Instant;

use crate::catalog::Participant;
use crate::config::CommandTokens;

/// What access tokens are worth at the port of a node that takes part in the catalog, or does not.
pub(crate) fn tokens(asked: CommandTokens, participant: Option<&Arc<Participant>>) -> Tokens {
    let grants = || grants(participant.expect("the configuration says so with a catalog alone"));
    match asked {
        CommandTokens::Off => Tokens::Off,
        CommandTokens::Accepted => Tokens::Accepted(grants()),
        CommandTokens::Required => Tokens::Required(grants()),
    }
}

/// What a node with this part in the catalog knows of access tokens.
pub(crate) fn grants(participant: &Arc<Participant>) -> Arc<dyn Grants> {
    Arc::new(CatalogGrants::new(participant.clone()))
}

#[async_trait]
impl Directory for Participant {
    fn look(&self, secret: Option<&TokenHash>, repository: &str) -> Option<Facts> {
        self.with_local(|state| facts_of(state, secret, repository))
    }

    async fn catch_up(&self) -> Result<(), RepositoryError> {
        let read = self.read(CATALOG_REQUEST_TIMEOUT, |_| ()).await;
        read.map_err(|failed| RepositoryError::Unavailable(failed.to_string()))
    }
}

/// Looks secrets up in a node's catalog.
struct CatalogGrants {
    directory: Arc<dyn Directory>,
    limiter: Limiter,
    caught_up: Mutex<CaughtUp>,
    /// Held by whoever asks the others.
    asking: tokio::sync::Mutex<()>,
}

/// How recent what this node has is.
#[derive(Default)]
struct CaughtUp {
    /// It has all that was acknowledged before.
    with: Option<Instant>,
    /// The last question that came to nothing: when it began, and why.
    failed: Option<(Instant, String)>,
}

impl CatalogGrants {
    fn new(directory: Arc<dyn Directory>) -> Self {
        CatalogGrants {
            directory,
            limiter: Limiter::default(),
            caught_up: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    fn caught_up(&self) -> MutexGuard<'_, CaughtUp> {
        self.caught_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until this node has all that was acknowledged so long before this was called.
    async fn catch_up(&self, before: Duration) -> Result<(), NoGrant> {
        let called = Instant::now();
        let is_recent = |known: &CaughtUp| known.with.is_some_and(|with| with + before >= called);
        if is_recent(&self.caught_up()) {
            return Ok(());
        }
        let _asking = self.asking.lock().await;
        {
            let known = self.caught_up();
            if is_recent(&known) {
                return Ok(());
            }
            // Who has waited for somebody who asked in vain does not ask in vain, too.
            if let Some((_, reason)) = known.failed.as_ref().filter(|(began, _)| *began >= called) {
                return Err(NoGrant::Unavailable(reason.clone()));
            }
        }
        let began = Instant::now();
        match self.directory.catch_up().await {
            Ok(()) => {
                self.caught_up().with = Some(began);
                Ok(())
            }
            Err(error) => {
                let reason = error.to_string();
                self.caught_up().failed = Some((began, reason.clone()));
                Err(NoGrant::Unavailable(reason))
            }
        }
    }

    /// What this node knows of the token with this hash.
    fn look(&self, hash: &TokenHash) -> Result<Grant, NoGrant> {
        let facts = self.directory.look(Some(hash), "");
        let Some(Facts { holder, clock_ms, .. }) = facts else {
            return Err(NoGrant::Unavailable("this node has no catalog yet".to_owned()));
        };
        let holder = holder.ok_or(NoGrant::Unknown)?;
        let grant = Grant {
            token: holder.id.0,
            description: holder.token.description,
            scope: match holder.token.access {
                Access::Read => Scope::Read,
                Access::Write => Scope::Write,
                Access::Admin => Scope::Admin,
            },
            prefix: holder.token.prefix,
        };
        // A clock that is behind is helped by the catalog's, which nothing turns back.
        let now_ms = unix_time_ms().max(clock_ms);
        match holder.token.expires_at_ms.is_some_and(|expires| now_ms >= expires) {
            true => Err(NoGrant::Expired(grant.to_string())),
            false => Ok(grant),
        }
    }
}

#[async_trait]
impl Grants for CatalogGrants {
    async fn grant_of(
        &self,
        secret: &str,
        from: IpAddr,
        recency: Recency,
    ) -> Result<Grant, NoGrant> {
        let hash = Secret::given(secret).hash();
        if recency == Recency::Any
            && let Ok(grant) = self.look(&hash)
        {
            return Ok(grant);
        }
        self.catch_up(TOKENS_KNOWN_FOR_MAX).await?;
        let found = self.look(&hash);
        if found != Err(NoGrant::Unknown) {
            return found;
        }
        let paid = self.limiter.pay_for(from).map_err(NoGrant::Limited)?;
        self.catch_up(Duration::ZERO).await?;
        let found = self.look(&hash);
        if found != Err(NoGrant::Unknown) {
            self.limiter.pay_back(paid);
        }
        found
    }
}

#[cfg(test)]
mod tests;
