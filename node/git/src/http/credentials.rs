//! HTTP authentication: the credentials of a request, by the schemes Basic and Bearer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gitstratum_catalog::secret::Secret;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::service::Credentials;

/// What a client is asked for when credentials would help. Bearer is taken too, and not asked for:
/// whoever can send it does so unasked, and git's credential helpers answer this.
pub const CHALLENGE: &str = r#"Basic realm="GitStratum", charset="UTF-8""#;

/// Those of a request.
pub fn of(headers: &HeaderMap) -> Credentials {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Credentials::Missing,
        (Some(value), None) => value,
        // Which of them counts, whoever is between us and the client may see otherwise.
        (Some(_), Some(_)) => return Credentials::Unreadable("there are two of them"),
    };
    match value.to_str().map_err(|_| "it is not ASCII").and_then(read) {
        Ok((user, secret)) => Credentials::Given { user, secret: Secret::given(secret) },
        Err(reason) => Credentials::Unreadable(reason),
    }
}

/// The user name and the secret.
fn read(value: &str) -> Result<(String, String), &'static str> {
    let (scheme, rest) = value.trim().split_once(' ').ok_or("it has a scheme and nothing else")?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok((String::new(), rest.to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err("its scheme is neither Basic nor Bearer");
    }
    let decoded = STANDARD.decode(rest).map_err(|_| "it is not Base64")?;
    let decoded = String::from_utf8(decoded).map_err(|_| "it is not UTF-8")?;
    let (user, password) = decoded.split_once(':').ok_or("no colon ends its user name")?;
    // The name may come to stand in reflogs and events.
    if user.chars().any(char::is_control) {
        return Err("its user name has control characters");
    }
    Ok((user.to_owned(), password.to_owned()))
}
