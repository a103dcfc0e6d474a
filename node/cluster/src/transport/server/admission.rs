//! Authentication: who calls, by certificate or by access token, and whether that is enough.
//!
//! A token is looked up by a [`Grants`]. Who is refused is told why in a line, and each kind of refusal
//! is counted, and told to the log once in a while.
//!
//! Invariant: a secret is in no answer, no line of a log and no metric; and whoever shows a token is
//! held to what that allows, whatever else it shows.

use std::net::IpAddr;
use std::sync::Arc;

use gitstratum_core::metrics::{self, Counter, Labels, Reading, Registry};
use gitstratum_core::seldom::Seldom;
use gitstratum_proto::v1::{Failure, FailureKind};
use prost::Message;
use tonic::{Code, Status};

use super::super::grant::{Caller, Grants, NoGrant, Recency};
use super::super::holder::Holder;
use super::handshakes::TLS_REQUIRED;

/// What one is told who shows nothing.
const CREDENTIALS_NEEDED: &str = "the node asks for an access token or for a client's certificate: \
     commands take --token-file, or --tls-certificate and --tls-key";

/// What access tokens are worth at a port.
#[derive(Clone, Default)]
pub enum Tokens {
    /// They are not looked at.
    #[default]
    Off,
    /// Whoever shows one is held to it, and who shows none is served as without them.
    Accepted(Arc<dyn Grants>),
    /// Whoever shows no certificate needs one.
    Required(Arc<dyn Grants>),
}

/// How a connection began.
#[derive(Clone, Debug)]
pub(super) enum Beginning {
    /// In plain text.
    Plain,
    /// In plain text, where TLS is required: whoever it is, is told so.
    Refused,
    /// By TLS, without a certificate.
    Anonymous,
    /// By TLS, with a certificate of this holder.
    Certified(Holder),
}

impl Tokens {
    /// Who calls on a connection that began so, with this secret or without one; nobody knows, where
    /// nobody needs to.
    pub(super) async fn authenticate(
        &self,
        beginning: &Beginning,
        secret: Result<Option<String>, &'static str>,
        from: IpAddr,
        recency: Recency,
    ) -> Result<Option<Caller>, Denied> {
        if matches!(beginning, Beginning::Refused) {
            return Err(Denied::TlsRequired);
        }
        let (grants, is_required) = match self {
            Tokens::Off => (None, false),
            Tokens::Accepted(grants) => (Some(grants), false),
            Tokens::Required(grants) => (Some(grants), true),
        };
        if let Some(grants) = grants
            && let Some(secret) = secret.map_err(Denied::Unreadable)?
        {
            if let Beginning::Certified(holder @ Holder::Node(_)) = beginning {
                let words = format!("an access token is for clients, and the caller is {holder}");
                return Err(Denied::NotAllowed(words));
            }
            let grant = grants.grant_of(&secret, from, recency).await.map_err(Denied::NoGrant)?;
            return Ok(Some(Caller::Token(Arc::new(grant))));
        }
        match beginning {
            Beginning::Certified(holder) => Ok(Some(Caller::Certified(holder.clone()))),
            Beginning::Plain if !is_required => Ok(None),
            _ => Err(Denied::NoCredentials),
        }
    }
}

/// Why a request is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// It came in plain text.
    TlsRequired,
    /// Its caller's certificate was revoked after the handshake.
    Revoked,
    /// Nobody knows who calls.
    NoCredentials,
    /// What it says of its caller cannot be read.
    Unreadable(&'static str),
    /// Its secret is worth nothing.
    NoGrant(NoGrant),
    /// Its caller may not do this.
    NotAllowed(String),
}

impl Denied {
    /// What it is called in metrics, in their order.
    const KINDS: [&str; 9] = [
        "plaintext",
        "no_credentials",
        "unreadable",
        "unknown_token",
        "expired_token",
        "limited",
        "unavailable",
        "not_allowed",
        "revoked",
    ];

    fn kind(&self) -> usize {
        match self {
            Denied::TlsRequired => 0,
            Denied::NoCredentials => 1,
            Denied::Unreadable(_) => 2,
            Denied::NoGrant(NoGrant::Unknown) => 3,
            Denied::NoGrant(NoGrant::Expired(_)) => 4,
            Denied::NoGrant(NoGrant::Limited(_)) => 5,
            Denied::NoGrant(NoGrant::Unavailable(_)) => 6,
            Denied::NotAllowed(_) => 7,
            Denied::Revoked => 8,
        }
    }

    /// What the caller is told.
    pub(super) fn status(&self) -> Status {
        match self {
            Denied::TlsRequired => Status::unauthenticated(TLS_REQUIRED),
            Denied::Revoked => Status::unauthenticated("the caller's certificate was revoked"),
            Denied::NoCredentials => Status::unauthenticated(CREDENTIALS_NEEDED),
            Denied::Unreadable(reason) => Status::unauthenticated(format!(
                "the metadata `authorization` cannot be read: {reason}; {CREDENTIALS_NEEDED}"
            )),
            Denied::NoGrant(NoGrant::Unknown) => Status::unauthenticated(
                "this access token is not known: it was revoked, or it is mistyped",
            ),
            Denied::NoGrant(NoGrant::Expired(token)) => {
                Status::unauthenticated(format!("{token} has expired"))
            }
            Denied::NoGrant(NoGrant::Limited(after)) => Status::resource_exhausted(format!(
                "too many access tokens that are not known came from this address: come back in \
                 {} s, with one that is",
                after.as_secs()
            )),
            Denied::NoGrant(NoGrant::Unavailable(reason)) => {
                let message = format!("access tokens cannot be looked up: {reason}");
                // Another node may know, and so may this one a moment later.
                let kind = FailureKind::Overloaded.into();
                let failure = Failure { kind, message: message.clone(), layout_version: 0 };
                Status::with_details(Code::Unavailable, message, failure.encode_to_vec().into())
            }
            Denied::NotAllowed(words) => Status::permission_denied(words),
        }
    }
}

/// Requests that were not let in, by why.
#[derive(Debug, Default)]
pub(super) struct Denials([Tally; Denied::KINDS.len()]);

#[derive(Debug, Default)]
struct Tally {
    count: Counter,
    logged: Seldom,
}

impl Denials {
    /// Counts one whose caller is at `address`, and says so now and then. That somebody speaks in plain
    /// text was said when the connection began.
    pub(super) fn note(&self, denied: &Denied, address: IpAddr) {
        let tally = &self.0[denied.kind()];
        tally.count.inc();
        if matches!(denied, Denied::TlsRequired) {
            return;
        }
        let Some(count) = tally.logged.count() else { return };
        let status = denied.status();
        let reason = status.message();
        match denied {
            Denied::NotAllowed(_) => {
                tracing::warn!(count, %address, reason, "requests were refused that are not allowed");
            }
            _ => tracing::warn!(count, %address, reason, "requests were refused: who calls?"),
        }
    }

    /// Registers what `of` gives.
    pub(super) fn register<T: Send + Sync + 'static>(
        registry: &mut Registry,
        from: Arc<T>,
        of: impl Fn(&T) -> &Denials + Send + Sync + 'static,
    ) {
        let help = "Requests that were not let in, by why";
        let denials = [Reading::counter("server_requests_denied", help, |count: &u64| *count)];
        metrics::register_encoded(registry, move |encoder| {
            let tallies = Denied::KINDS.iter().zip(&of(&from).0);
            let counts: Vec<(Labels, u64)> = tallies
                .map(|(kind, tally)| (vec![("reason", (*kind).to_owned())], tally.count.get()))
                .collect();
            metrics::encode(encoder, &denials, &counts)
        });
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use gitstratum_core::placement::NodeId;

    use super::super::super::grant::{Grant, Scope};
    use super::*;

    /// One secret is good.
    struct One;

    #[async_trait]
    impl Grants for One {
        async fn grant_of(&self, secret: &str, _: IpAddr, _: Recency) -> Result<Grant, NoGrant> {
            let (description, prefix) = ("ci".to_owned(), String::new());
            match secret {
                "good" => Ok(Grant { token: 1, description, scope: Scope::Read, prefix }),
                _ => Err(NoGrant::Unknown),
            }
        }
    }

    #[tokio::test]
    async fn who_calls_is_known_by_what_it_shows_and_asked_for_it_where_it_is_required() {
        let client = || Beginning::Certified(Holder::client("alice").unwrap());
        let node = || Beginning::Certified(Holder::node(&NodeId::new("n1")).unwrap());
        let (plain, anonymous) = (|| Beginning::Plain, || Beginning::Anonymous);
        let off = || Tokens::Off;
        let accepted = || Tokens::Accepted(Arc::new(One));
        let required = || Tokens::Required(Arc::new(One));
        // Words of the caller or of the refusal; none where nobody knows who calls.
        for (tokens, beginning, secret, expected) in [
            (off(), plain(), Some("bad"), Ok("")),
            (off(), client(), Some("bad"), Ok("client alice")),
            (off(), anonymous(), Some("good"), Err("asks for an access token")),
            (accepted(), plain(), None, Ok("")),
            (accepted(), plain(), Some("good"), Ok("access token 1")),
            (accepted(), plain(), Some("bad"), Err("is not known")),
            (accepted(), client(), None, Ok("client alice")),
            (accepted(), client(), Some("good"), Ok("access token 1")),
            (accepted(), client(), Some("bad"), Err("is not known")),
            (accepted(), node(), None, Ok("node n1")),
            (accepted(), node(), Some("good"), Err("is for clients")),
            (accepted(), anonymous(), None, Err("asks for an access token")),
            (accepted(), anonymous(), Some("good"), Ok("access token 1")),
            (required(), plain(), None, Err("asks for an access token")),
            (required(), plain(), Some("good"), Ok("access token 1")),
            (required(), client(), None, Ok("client alice")),
            (required(), node(), None, Ok("node n1")),
            (required(), Beginning::Refused, Some("good"), Err("requires TLS")),
        ] {
            let secret = Ok(secret.map(str::to_owned));
            let address = IpAddr::from([10, 0, 0, 1]);
            let said = match tokens.authenticate(&beginning, secret, address, Recency::Recent).await
            {
                Ok(caller) => Ok(caller.map_or_else(String::new, |caller| caller.to_string())),
                Err(denied) => Err(denied.status().message().to_owned()),
            };
            let is_expected = match (&said, expected) {
                (Ok(said), Ok("")) => said.is_empty(),
                (Ok(said), Ok(words)) | (Err(said), Err(words)) => said.contains(words),
                _ => false,
            };
            assert!(is_expected, "{beginning:?}: {said:?}, not {expected:?}");
        }
        let (tokens, from) = (accepted(), IpAddr::from([10, 0, 0, 1]));
        let unreadable =
            tokens.authenticate(&Beginning::Plain, Err("it is odd"), from, Recency::Any).await;
        assert_eq!(unreadable.map(drop), Err(Denied::Unreadable("it is odd")));
    }

    #[test]
    fn callers_are_told_by_codes_what_helps() {
        let unavailable = Denied::NoGrant(NoGrant::Unavailable("no leader".to_owned()));
        for (denied, code) in [
            (Denied::NoCredentials, Code::Unauthenticated),
            (Denied::NoGrant(NoGrant::Unknown), Code::Unauthenticated),
            (Denied::NotAllowed("no".to_owned()), Code::PermissionDenied),
            (unavailable.clone(), Code::Unavailable),
        ] {
            assert_eq!(denied.status().code(), code);
        }
        // Ours keep the reason, too.
        let timeout = std::time::Duration::from_secs(1);
        let error = crate::wire::status::node_error_of(&unavailable.status(), "n1:1", timeout);
        assert!(error.to_string().contains("no leader"), "{error}");
    }
}
