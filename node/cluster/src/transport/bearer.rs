//! Bearer token: the secret of an access token, as requests carry it.
//!
//! Invariant: it is sent where nobody on the way can read it, by TLS or to this machine itself; and
//! nothing formats it.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

/// What the value of the header begins with.
const SCHEME: &str = "Bearer ";

/// A secret that goes with every request of a client.
#[derive(Clone, Debug)]
pub struct Bearer(HeaderValue);

impl Bearer {
    /// Of this secret.
    ///
    /// # Errors
    /// What is wrong with it, without a word of it.
    pub fn new(secret: &str) -> Result<Self, &'static str> {
        if secret.is_empty() {
            return Err("it is empty");
        }
        // What is printed in one line, and nothing that could begin another header.
        if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(
                "an access token has letters, digits and signs of ASCII alone, and no spaces",
            );
        }
        let value = HeaderValue::try_from(format!("{SCHEME}{secret}"));
        let mut value = value.map_err(|_| "it is no value of a header")?;
        value.set_sensitive(true);
        Ok(Bearer(value))
    }

    /// Puts it among the headers of a request.
    pub(super) fn put(&self, headers: &mut HeaderMap) {
        headers.insert(AUTHORIZATION, self.0.clone());
    }
}

/// Takes the secret out of the headers of a request, so that nobody further in sees it.
///
/// # Errors
/// Why there is none, though there should be.
pub(super) fn take_secret(headers: &mut HeaderMap) -> Result<Option<String>, &'static str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let secret = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.to_str().map_err(|_| "it is not ASCII").and_then(read),
        // Which of them counts, whoever is between us and the client may see otherwise.
        (Some(_), Some(_)) => Err("there are two of them"),
    };
    headers.remove(AUTHORIZATION);
    secret.map(Some)
}

fn read(value: &str) -> Result<String, &'static str> {
    let (scheme, secret) =
        value.trim().split_once(' ').ok_or("it has a scheme and nothing else")?;
    match scheme.eq_ignore_ascii_case(SCHEME.trim()) {
        true => Ok(secret.trim().to_owned()),
        false => Err("its scheme is not Bearer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "gst_0123456789abcdef";

    #[test]
    fn what_a_client_puts_into_a_request_is_what_the_node_takes_out_of_it() {
        let bearer = Bearer::new(SECRET).unwrap();
        assert!(!format!("{bearer:?}").contains("gst_"), "{bearer:?}");
        let mut headers = HeaderMap::new();
        bearer.put(&mut headers);
        assert_eq!(take_secret(&mut headers), Ok(Some(SECRET.to_owned())));
        assert_eq!(take_secret(&mut headers), Ok(None), "it is there no more");
        for wrong in ["", "two words", "line\nX-Other: y", "é"] {
            let problem = Bearer::new(wrong).unwrap_err();
            assert!(wrong.is_empty() || !problem.contains(wrong), "{problem}");
        }
    }

    #[test]
    fn what_is_no_bearer_token_is_not_taken_for_one() {
        for (values, problem) in [
            (&["Bearer"][..], "a scheme and nothing else"),
            (&["Basic YW5uOmE="], "not Bearer"),
            (&["Bearer a", "Bearer a"], "two of them"),
            (&["Bearer \u{e9}"], "not ASCII"),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            let refused = take_secret(&mut headers).unwrap_err();
            assert!(refused.contains(problem) && headers.is_empty(), "{refused}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("bearer   gst_1 "));
        assert_eq!(take_secret(&mut headers), Ok(Some("gst_1".to_owned())));
    }
}
