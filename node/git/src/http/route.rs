//! Routes: what a path and a query ask for.

use gitstratum_catalog::secret::has_secret;

use crate::protocol::Service;

/// What is asked of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// `info/refs?service=…`: its refs and what can be done with it.
    Advertisement(Service),
    /// `git-upload-pack` or `git-receive-pack`: an exchange.
    Exchange(Service),
}

impl Endpoint {
    /// The only method that it takes.
    pub fn method(self) -> http::Method {
        match self {
            Endpoint::Advertisement(_) => http::Method::GET,
            Endpoint::Exchange(_) => http::Method::POST,
        }
    }

    /// The service that it belongs to.
    pub fn service(self) -> Service {
        match self {
            Endpoint::Advertisement(service) | Endpoint::Exchange(service) => service,
        }
    }

    /// What a trace calls it.
    pub fn traced_as(self) -> &'static str {
        match self {
            Endpoint::Advertisement(Service::UploadPack) => "git refs for a fetch",
            Endpoint::Advertisement(Service::ReceivePack) => "git refs for a push",
            Endpoint::Exchange(Service::UploadPack) => "git fetch",
            Endpoint::Exchange(Service::ReceivePack) => "git push",
        }
    }
}

/// Why there is nothing at a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RouteError {
    /// It is none of ours.
    #[error("there is nothing at this path: a repository's URL is http://HOST/NAME or NAME.git")]
    NotFound,
    /// It cannot be the path of a repository.
    #[error("no repository has this path: {0}")]
    InvalidPath(&'static str),
    /// A service that there is not.
    #[error("unsupported service: '{0}'")]
    UnknownService(String),
    /// A file of a repository, for clients that know no other way.
    #[error("this server speaks smart HTTP only: use git 1.6.6 or later, or another client")]
    Dumb,
    /// A secret where everybody on the way keeps it: in logs, histories and caches.
    #[error(
        "a URL is no place for a secret, since it is logged on its way: revoke it if it was one, and \
         give a token as the password, with any user name, or in the header `Authorization: Bearer`"
    )]
    SecretInUrl,
}

/// Names by which other servers take secrets in a query.
const SECRET_PARAMETERS: [&str; 7] =
    ["access_token", "auth_token", "private_token", "token", "password", "secret", "api_key"];

/// A path as logs may show it.
pub(super) fn shown(path: &str) -> &str {
    match decode(path).is_some_and(|path| has_secret(&path)) {
        true => "(not shown: a secret is in it)",
        false => path,
    }
}

/// Whether somebody put a secret into a URL, or means to.
fn has_secret_in(path: &str, query: Option<&str>) -> bool {
    let is_secret = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default();
        SECRET_PARAMETERS.iter().any(|known| name.eq_ignore_ascii_case(known))
            || decode(pair).is_some_and(|pair| has_secret(&pair))
    };
    decode(path).is_some_and(|path| has_secret(&path))
        || query.is_some_and(|query| query.split('&').any(is_secret))
}

/// The name of the repository, without `.git`, and what is asked of it.
///
/// # Errors
/// [`RouteError`].
pub(super) fn route(path: &str, query: Option<&str>) -> Result<(String, Endpoint), RouteError> {
    if has_secret_in(path, query) {
        return Err(RouteError::SecretInUrl);
    }
    let path = decode(path).ok_or(RouteError::InvalidPath("it is not UTF-8"))?;
    let path = path.strip_prefix('/').unwrap_or(&path);
    let (name, endpoint) = if let Some(name) = path.strip_suffix("/info/refs") {
        let service = query.and_then(service_of).ok_or(RouteError::Dumb);
        let known = service
            .and_then(|named| Service::named(&named).ok_or(RouteError::UnknownService(named)));
        (name, known.map(Endpoint::Advertisement))
    } else if let Some((name, service)) = path.rsplit_once('/')
        && let Some(service) = Service::named(service)
    {
        (name, Ok(Endpoint::Exchange(service)))
    } else if path.ends_with("/HEAD") || path.contains("/objects/") {
        return Err(RouteError::Dumb);
    } else {
        return Err(RouteError::NotFound);
    };
    let name = name.trim_end_matches('/');
    let name = name.strip_suffix(".git").unwrap_or(name);
    check(name)?;
    Ok((name.to_owned(), endpoint?))
}

/// Makes sure that a name leads nowhere else. What names may be beyond that is not decided here.
fn check(name: &str) -> Result<(), RouteError> {
    let invalid = |reason| Err(RouteError::InvalidPath(reason));
    if name.is_empty() {
        return Err(RouteError::NotFound);
    }
    if name.chars().any(char::is_control) {
        return invalid("it has a control character");
    }
    for component in name.split('/') {
        match component {
            "" => return invalid("two slashes follow each other"),
            "." | ".." => return invalid("it has a component '.' or '..'"),
            _ => {}
        }
    }
    Ok(())
}

/// The value of `service` in a query.
fn service_of(query: &str) -> Option<String> {
    let mut pairs = query.split('&');
    let value = pairs.find_map(|pair| pair.strip_prefix("service="))?;
    Some(decode(value).unwrap_or_default())
}

/// Undoes percent encoding; nothing where the result is not UTF-8. A `%` that no two hexadecimal
/// digits follow stands for itself.
fn decode(text: &str) -> Option<String> {
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%').then(|| after.split_at_checked(2)).flatten();
        match escaped.and_then(|(digits, after)| Some((byte(digits)?, after))) {
            Some((byte, after)) => {
                decoded.push(byte);
                rest = after;
            }
            None => {
                decoded.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(decoded).ok()
}

fn byte(digits: &[u8]) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(digits[0])? << 4 | digit(digits[1])?).ok()
}
