//! Access control: who may read and who may write, by the access tokens of the catalog.
//!
//! A [`Guard`] stands before repositories. It looks a secret up by its hash in the catalog as this
//! node has it, without asking the others, and decides what its holder may do. What may not be read
//! looks like what does not exist. Pushes are told to the log, under the target `audit`.
//!
//! The catalog of a node may lag behind what the others agreed on, so two things are asked of it
//! anew. A secret that is not known here may have been made a moment ago: the node catches up
//! before it refuses it. And a token that is known may have been revoked: opening a repository waits
//! for all that was acknowledged before, and afterwards its holder is looked at again.
//!
//! Invariant: a request that begins after a revocation was acknowledged is not let in by that token.

mod audit;
mod decision;
mod limiter;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use gitstratum_catalog::State;
use gitstratum_catalog::entity::Token;
use gitstratum_catalog::ids::{TokenHash, TokenId};
use gitstratum_core::metrics::{Counter, Registry};
use gitstratum_core::seldom::Seldom;
use gitstratum_host::unix_time_ms;

use crate::service::{
    Caller, Credentials, OpenError, Purpose, Repositories, Repository, RepositoryError,
};
use audit::Audited;
pub use decision::token_identity;
use decision::{Denied, decide};
pub use limiter::{Limiter, Paid, source_of};

/// A token that was found by its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number, by which everybody knows it.
    pub id: TokenId,
    /// What it allows.
    pub token: Token,
}

/// What the catalog says of a request.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The token of the secret, if there is one.
    pub holder: Option<Holder>,
    /// Whether the repository is there, and may be read without a token.
    pub is_public: bool,
    /// The catalog's clock, in unix milliseconds.
    pub clock_ms: u64,
}

/// What a state of the catalog says.
pub fn facts_of(state: &State, secret: Option<&TokenHash>, repository: &str) -> Facts {
    let found = secret.and_then(|secret| state.token_with_hash(secret));
    let repository = state.repository_named(repository);
    Facts {
        holder: found.map(|(id, token)| Holder { id, token: token.clone() }),
        is_public: repository.is_some_and(|(_, repository)| repository.public),
        clock_ms: state.clock_ms(),
    }
}

/// The catalog, as access control looks at it.
#[async_trait]
pub trait Directory: Send + Sync {
    /// What this node has of it now; nothing where it has none.
    fn look(&self, secret: Option<&TokenHash>, repository: &str) -> Option<Facts>;

    /// Waits until this node has all that was acknowledged before.
    ///
    /// # Errors
    /// [`RepositoryError::Unavailable`].
    async fn catch_up(&self) -> Result<(), RepositoryError>;
}

/// Whom repositories are opened for.
pub enum Policy {
    /// Anybody: credentials are not looked at.
    Anybody,
    /// Holders of tokens, and anybody who reads what is public.
    Tokens(Arc<dyn Directory>),
}

/// Repositories that are opened for those who may use them. What it guards answers a question of
/// a repository's name with all that was acknowledged before.
pub struct Guard {
    repositories: Arc<dyn Repositories>,
    policy: Policy,
    limiter: Limiter,
    /// Secrets that no token has.
    wrong: Counter,
    /// Requests that were refused because too many wrong secrets came from there.
    limited: Counter,
    /// Of which the log tells once in a while.
    told: Seldom,
}

impl Guard {
    /// Guards these.
    pub fn new(repositories: Arc<dyn Repositories>, policy: Policy) -> Self {
        Guard {
            repositories,
            policy,
            limiter: Limiter::default(),
            wrong: Counter::default(),
            limited: Counter::default(),
            told: Seldom::default(),
        }
    }
}

/// What is asked for, and by whom.
struct Asked<'a> {
    name: &'a str,
    purpose: Purpose,
    credentials: &'a Credentials,
    secret: Option<TokenHash>,
}

impl Asked<'_> {
    /// Decides by what this node has of the catalog.
    async fn decide(&self, directory: &dyn Directory) -> Result<Option<Holder>, Denied> {
        let look = || directory.look(self.secret.as_ref(), self.name);
        let facts = match look() {
            Some(facts) => facts,
            // It may be about to have one.
            None => {
                directory.catch_up().await.map_err(Denied::unavailable)?;
                look().ok_or(Denied::NoCatalog)?
            }
        };
        // A clock that is behind is helped by the catalog's, which nothing turns back.
        let now_ms = unix_time_ms().max(facts.clock_ms);
        decide(self.name, self.purpose, self.credentials, facts, now_ms)
    }
}

impl Guard {
    /// Who asks, if that has to be somebody.
    async fn admit(
        &self,
        directory: &dyn Directory,
        asked: &Asked<'_>,
        address: &str,
    ) -> Result<Option<Holder>, Denied> {
        let admitted = asked.decide(directory).await;
        if !matches!(admitted, Err(Denied::Unknown)) {
            return admitted;
        }
        let paid = self.limiter.pay(address).map_err(|retry_after| {
            self.limited.inc();
            Denied::Limited(retry_after)
        })?;
        // Made a moment ago, through another node?
        directory.catch_up().await.map_err(Denied::unavailable)?;
        let admitted = asked.decide(directory).await;
        match &admitted {
            Err(Denied::Unknown) => {
                self.wrong.inc();
                if let Some(count) = self.told.count() {
                    tracing::warn!(
                        target: "audit", count, address, "access tokens that are not known were given"
                    );
                }
            }
            _ => self.limiter.pay_back(paid),
        }
        admitted
    }

    async fn open_for_holders(
        &self,
        directory: &dyn Directory,
        asked: &Asked<'_>,
        caller: &Caller,
    ) -> Result<(Arc<dyn Repository>, Option<Holder>), OpenError> {
        let denied = |denied: Denied| denied.answered(asked.name);
        let holder = self.admit(directory, asked, &caller.address).await.map_err(denied)?;
        let known = Caller { identity: holder.as_ref().map(Holder::identity), ..caller.clone() };
        let opened = self.repositories.open(asked.name, asked.purpose, &known).await?;
        // That has waited for what was agreed on before: a token may be gone, a repository private.
        let holder = asked.decide(directory).await.map_err(denied)?;
        Ok((opened, holder))
    }
}

#[async_trait]
impl Repositories for Guard {
    async fn open(
        &self,
        name: &str,
        purpose: Purpose,
        caller: &Caller,
    ) -> Result<Arc<dyn Repository>, OpenError> {
        let (opened, holder) = match &self.policy {
            Policy::Anybody => (self.repositories.open(name, purpose, caller).await?, None),
            Policy::Tokens(directory) => {
                let secret = match &caller.credentials {
                    Credentials::Given { secret, .. } => Some(secret.hash()),
                    Credentials::Missing | Credentials::Unreadable(_) => None,
                };
                let asked = Asked { name, purpose, credentials: &caller.credentials, secret };
                self.open_for_holders(&**directory, &asked, caller).await?
            }
        };
        Ok(match purpose {
            Purpose::Fetch => opened,
            Purpose::Push => Arc::new(Audited::new(opened, name, holder, &caller.address)),
        })
    }

    fn register(&self, registry: &mut Registry) {
        self.repositories.register(registry);
        let help = "Secrets of Git clients that no access token has";
        registry.register("git_tokens_wrong", help, self.wrong.clone());
        let help = "Requests of Git clients from where too many wrong secrets came";
        registry.register("git_tokens_limited", help, self.limited.clone());
    }
}
