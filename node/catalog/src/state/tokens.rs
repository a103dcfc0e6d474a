//! Access tokens by id and by the hash of their secret.

use std::sync::Arc;

use gitstratum_core::limits::{DESCRIPTION_BYTES_MAX, TOKENS_MAX};
use imbl::OrdMap;

use super::{Context, State};
use crate::command::CreateToken;
use crate::entity::{Change, Token};
use crate::error::{CatalogError, within};
use crate::ids::{TokenHash, TokenId};
use crate::names::check_prefix;
use crate::reply::Outcome;

/// A token with what only the door needs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HashedToken {
    pub(super) hash: TokenHash,
    pub(super) token: Token,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tokens {
    by_id: OrdMap<TokenId, Arc<HashedToken>>,
    by_hash: OrdMap<TokenHash, TokenId>,
    /// The last id that was given.
    last: u64,
}

impl Tokens {
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn set_last(&mut self, last: u64) {
        self.last = last;
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (TokenId, &Arc<HashedToken>)> {
        self.by_id.iter().map(|(id, token)| (*id, token))
    }

    pub(super) fn get(&self, id: TokenId) -> Option<&Arc<HashedToken>> {
        self.by_id.get(&id)
    }

    pub(super) fn hashed(&self, hash: &TokenHash) -> Option<TokenId> {
        self.by_hash.get(hash).copied()
    }

    pub(super) fn put(&mut self, id: TokenId, token: HashedToken) {
        self.last = self.last.max(id.0);
        self.by_hash.insert(token.hash, id);
        self.by_id.insert(id, Arc::new(token));
    }

    fn remove(&mut self, id: TokenId) -> bool {
        let Some(token) = self.by_id.remove(&id) else { return false };
        self.by_hash.remove(&token.hash);
        true
    }
}

impl State {
    pub(super) fn create_token(
        &mut self,
        context: &Context,
        create: CreateToken,
    ) -> Result<Outcome, CatalogError> {
        let CreateToken { hash, description, access, prefix, expires_at_ms } = create;
        within("bytes of the description", description.len(), DESCRIPTION_BYTES_MAX)?;
        check_prefix(&prefix)
            .map_err(|reason| CatalogError::RepositoryName { name: prefix.clone(), reason })?;
        let now_ms = context.now_ms;
        if let Some(expires_at_ms) = expires_at_ms.filter(|expires| *expires <= now_ms) {
            return Err(CatalogError::TokenExpired { expires_at_ms, now_ms });
        }
        if let Some(token) = self.tokens.hashed(&hash) {
            return Err(CatalogError::TokenExists { token });
        }
        let count = self.tokens.len() as u64;
        if count >= TOKENS_MAX || self.tokens.last == u64::MAX {
            return Err(CatalogError::over("access tokens", count.saturating_add(1), TOKENS_MAX));
        }
        let id = TokenId(self.tokens.last + 1);
        let token = Token { description, access, prefix, created_at_ms: now_ms, expires_at_ms };
        self.tokens.put(id, HashedToken { hash, token });
        self.events.add(context, Change::TokenCreated { token: id });
        Ok(Outcome::TokenCreated { token: id })
    }

    pub(super) fn revoke_token(
        &mut self,
        context: &Context,
        token: TokenId,
    ) -> Result<Outcome, CatalogError> {
        if !self.tokens.remove(token) {
            return Err(CatalogError::NoToken { token });
        }
        self.events.add(context, Change::TokenRevoked { token });
        Ok(Outcome::Changed)
    }
}
