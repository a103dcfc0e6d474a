//! Access decision: what a request may do, out of what the catalog says of it, and what it is told
//! where it may not.
//!
//! Pure. Invariant: no answer depends on whether a repository exists that its caller may not read.

use std::time::Duration;

use gitstratum_catalog::entity::Access;
use gitstratum_catalog::ids::TokenId;
use gitstratum_catalog::names::RepositoryName;
use gitstratum_catalog::secret::has_secret;
use gitstratum_core::limits::WHO_BYTES_MAX;

use super::{Facts, Holder};
use crate::service::{Credentials, OpenError, Purpose, RepositoryError};

/// Why a request is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// It gave no secret.
    Anonymous,
    /// It gave one where a user's name stands.
    SecretAsName,
    /// What it gave cannot be read.
    Unreadable(&'static str),
    /// No token has this secret.
    Unknown,
    /// The token allows nothing any more.
    Expired(Holder),
    /// It may not know whether there is such a repository.
    NotFound,
    /// It may read, and no more than that: what it has, and what it takes.
    Insufficient(String),
    /// Too many wrong secrets came from there.
    Limited(Duration),
    /// The catalog cannot be asked.
    Unavailable(String),
    /// This node has none.
    NoCatalog,
}

impl Denied {
    pub(super) fn unavailable(error: RepositoryError) -> Self {
        Denied::Unavailable(error.to_string())
    }

    /// What the client is told who asked for this repository.
    pub(super) fn answered(self, repository: &str) -> OpenError {
        let how = "give its secret as the password, with any user name";
        match self {
            Denied::Anonymous => {
                OpenError::Unauthorized(format!("an access token is needed here: {how}"))
            }
            Denied::SecretAsName => OpenError::Unauthorized(format!(
                "the secret of an access token stands where the user name does: {how}"
            )),
            Denied::Unreadable(reason) => OpenError::Unauthorized(format!(
                "the header Authorization cannot be read: {reason}; an access token is needed here: \
                 {how}"
            )),
            Denied::Unknown => OpenError::Unauthorized(
                "this access token is not known: it was revoked, or it is mistyped".to_owned(),
            ),
            Denied::Expired(holder) => {
                OpenError::Unauthorized(format!("{} has expired", holder.named()))
            }
            Denied::NotFound => OpenError::NotFound { name: repository.to_owned() },
            Denied::Insufficient(reason) => OpenError::Forbidden(reason),
            Denied::Limited(retry_after) => OpenError::Limited {
                reason: "too many access tokens that are not known came from this address: come \
                         back later, with one that is"
                    .to_owned(),
                retry_after,
            },
            Denied::Unavailable(reason) => {
                OpenError::Unavailable(format!("access tokens cannot be looked up: {reason}"))
            }
            Denied::NoCatalog => OpenError::Unavailable(
                "access tokens cannot be looked up: this node has no catalog yet".to_owned(),
            ),
        }
    }
}

impl Holder {
    /// The token, as messages call it.
    fn named(&self) -> String {
        format!("access token {} ({:?})", self.id, self.token.description)
    }

    /// The token, as reflogs call it: within what they take.
    pub(super) fn identity(&self) -> String {
        token_identity(self.id, &self.token.description)
    }
}

/// The token of this number and name, as reflogs and events call it: within what they take.
pub fn token_identity(id: TokenId, description: &str) -> String {
    let number = format!(" (token {id})");
    let words = description.chars().filter(|c| !c.is_control());
    let mut identity = String::new();
    for character in words {
        if identity.len() + character.len_utf8() + number.len() > WHO_BYTES_MAX {
            break;
        }
        identity.push(character);
    }
    identity + &number
}

fn word(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "write",
        Access::Admin => "admin",
    }
}

/// Who asks, where that has to be somebody and may; nobody, where anybody may.
///
/// # Errors
/// [`Denied`].
pub(super) fn decide(
    name: &str,
    purpose: Purpose,
    credentials: &Credentials,
    facts: Facts,
    now_ms: u64,
) -> Result<Option<Holder>, Denied> {
    let Facts { holder, is_public, .. } = facts;
    let (user, secret) = match credentials {
        // What it says of itself is not needed here.
        Credentials::Missing | Credentials::Unreadable(_)
            if is_public && purpose == Purpose::Fetch =>
        {
            return Ok(None);
        }
        Credentials::Missing => return Err(Denied::Anonymous),
        Credentials::Unreadable(reason) => return Err(Denied::Unreadable(reason)),
        Credentials::Given { user, secret } => (user, secret.expose()),
    };
    let Some(holder) = holder else {
        return Err(match secret {
            "" if has_secret(user) => Denied::SecretAsName,
            "" => Denied::Anonymous,
            _ => Denied::Unknown,
        });
    };
    let token = &holder.token;
    if token.expires_at_ms.is_some_and(|expires| now_ms >= expires) {
        return Err(Denied::Expired(holder));
    }
    // What can be no name is in no group, and in all of them.
    let is_within = match RepositoryName::parse(name) {
        Ok(name) => name.is_within(&token.prefix),
        Err(_) => token.prefix.is_empty(),
    };
    if !is_within && !is_public {
        return Err(Denied::NotFound);
    }
    let needed = match purpose {
        Purpose::Fetch => return Ok(Some(holder)),
        Purpose::Push => Access::Write,
    };
    if !is_within {
        return Err(Denied::Insufficient(format!(
            "{} is for {:?}, and a push to {name:?} takes one that is for that",
            holder.named(),
            token.prefix
        )));
    }
    if token.access < needed {
        return Err(Denied::Insufficient(format!(
            "{} has the scope {}, and a push takes {}",
            holder.named(),
            word(token.access),
            word(needed)
        )));
    }
    Ok(Some(holder))
}
