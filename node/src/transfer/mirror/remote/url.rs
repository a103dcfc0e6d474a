//! URL of a remote repository.
//!
//! Invariant: what it shows, in whichever form, has no user name and no password.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::uri::InvalidUri;
use http::{HeaderValue, Uri};

/// Where a remote repository is. Its paths have no slash at the end.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteUrl {
    is_secure: bool,
    host: String,
    port: Option<u16>,
    path: String,
    /// What authenticates, for this host and port alone.
    authorization: Option<HeaderValue>,
}

/// Why something is no URL of a remote repository. It repeats none of it, since that may have a
/// password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is no URL, or of another scheme.
    #[error("the URL of a remote begins with https:// or http://, and its host follows")]
    Scheme,
    /// The rest of it makes no sense.
    #[error("the URL of the remote cannot be read ({0}); special characters are written as %XX")]
    Syntax(String),
    /// It has a query.
    #[error("the URL of a remote repository has no \"?\"")]
    Query,
    /// The user name or password is not UTF-8.
    #[error("the user name or password in the URL of the remote is not written as %XX of UTF-8")]
    Credentials,
}

impl RemoteUrl {
    /// Reads `https://[USER[:PASSWORD]@]HOST[:PORT]/PATH`.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let is_secure = match text.split_once("://") {
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => true,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => false,
            _ => return Err(UrlError::Scheme),
        };
        let uri: Uri =
            text.parse().map_err(|error: InvalidUri| UrlError::Syntax(error.to_string()))?;
        if uri.query().is_some() {
            return Err(UrlError::Query);
        }
        let authority = uri.authority().ok_or(UrlError::Scheme)?;
        let authorization = match authority.as_str().rsplit_once('@') {
            Some((credentials, _)) => {
                let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
                let [user, password] = [user, password].map(percent_decoded);
                Some(basic(&user?, &password?))
            }
            None => None,
        };
        Ok(RemoteUrl {
            is_secure,
            host: authority.host().to_owned(),
            port: authority.port_u16(),
            path: uri.path().trim_end_matches('/').to_owned(),
            authorization,
        })
    }

    /// The same, authenticated by this where the URL itself has no password.
    #[must_use]
    pub fn with_token(mut self, user: &str, token: &str) -> Self {
        self.authorization.get_or_insert_with(|| basic(user, token));
        self
    }

    /// Whether the connection is to be TLS.
    pub(super) fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// The host, without the brackets of an IPv6 address.
    pub(super) fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// What to resolve and dial.
    pub(super) fn host_and_port(&self) -> String {
        format!("{}:{}", self.host, self.port_number())
    }

    fn port_number(&self) -> u16 {
        self.port.unwrap_or(if self.is_secure { 443 } else { 80 })
    }

    /// For the `Host` header.
    pub(super) fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// The path of something below the repository.
    pub(super) fn below(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// The repository that a redirect of what is `asked` below this one leads to; nothing where it
    /// leads to no repository, or from TLS to plain text. Credentials go to the same host and port
    /// alone.
    pub(super) fn redirected(&self, location: &str, asked: &str) -> Option<Self> {
        let location = match location.strip_prefix('/') {
            Some(rest) if !rest.starts_with('/') => {
                let scheme = if self.is_secure { "https" } else { "http" };
                format!("{scheme}://{}{location}", self.authority())
            }
            _ => location.to_owned(),
        };
        let mut to = RemoteUrl::parse(location.strip_suffix(asked)?).ok()?;
        if self.is_secure && !to.is_secure {
            return None;
        }
        if (to.host(), to.port_number()) == (self.host(), self.port_number()) {
            to.authorization = to.authorization.or_else(|| self.authorization.clone());
        }
        Some(to)
    }
}

fn basic(user: &str, password: &str) -> HeaderValue {
    let encoded = STANDARD.encode(format!("{user}:{password}"));
    let mut value = HeaderValue::try_from(format!("Basic {encoded}"))
        .expect("base64 has no character that a header cannot have");
    value.set_sensitive(true);
    value
}

fn percent_decoded(text: &str) -> Result<String, UrlError> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, more)) = rest.split_first() {
        rest = more;
        let byte = match first {
            b'%' => {
                let (digits, more) = rest.split_at_checked(2).ok_or(UrlError::Credentials)?;
                rest = more;
                let mut byte = [0];
                hex::decode_to_slice(digits, &mut byte).map_err(|_| UrlError::Credentials)?;
                byte[0]
            }
            plain => plain,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|_| UrlError::Credentials)
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(url: &RemoteUrl) -> Option<String> {
        let encoded = url.authorization()?.to_str().unwrap().strip_prefix("Basic ")?.to_owned();
        Some(String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap())
    }

    #[test]
    fn credentials_are_read_and_never_shown() {
        let url = RemoteUrl::parse("https://ann:p%40ss%3A@git.example.org:8443/a/b.git/").unwrap();
        assert_eq!(header(&url).unwrap(), "ann:p@ss:");
        for shown in [format!("{url}"), format!("{url:?}"), format!("{:?}", url.authorization())] {
            assert!(!shown.contains("ann") && !shown.contains("ss"), "{shown}");
        }
        assert_eq!(url.to_string(), "https://git.example.org:8443/a/b.git");
        assert_eq!(url.host_and_port(), "git.example.org:8443");
        let plain = RemoteUrl::parse("http://[::1]/x").unwrap();
        assert_eq!((plain.host(), plain.host_and_port().as_str()), ("::1", "[::1]:80"));
        assert_eq!(header(&plain.with_token("git", "secret")).unwrap(), "git:secret");
        assert_eq!(header(&url.with_token("git", "other")).unwrap(), "ann:p@ss:");
    }

    #[test]
    fn what_is_no_url_is_refused_without_repeating_it() {
        for text in ["git@host:path", "ssh://u:hidden@h/p", "file:///x", "/path", "host/path", ""] {
            assert_eq!(RemoteUrl::parse(text).unwrap_err(), UrlError::Scheme, "{text}");
        }
        assert_eq!(RemoteUrl::parse("https://h/p?x=y").unwrap_err(), UrlError::Query);
        for text in ["https://a:%zz@h/p", "https://a:%f@h/p", "https://a:%ff@h/p"] {
            assert_eq!(RemoteUrl::parse(text).unwrap_err(), UrlError::Credentials, "{text}");
        }
        let error = RemoteUrl::parse("https://a:hid den@h/p").unwrap_err().to_string();
        assert!(!error.contains("hid"), "{error}");
    }

    #[test]
    fn redirects_keep_credentials_on_the_host_alone_and_never_leave_tls() {
        let (url, asked) =
            (RemoteUrl::parse("https://a:b@h/old").unwrap(), "/info/refs?service=git-upload-pack");
        let to = |location: &str| url.redirected(&format!("{location}{asked}"), asked);
        let same = to("https://h:443/new.git").unwrap();
        assert_eq!(
            (same.to_string().as_str(), header(&same)),
            ("https://h:443/new.git", header(&url))
        );
        assert_eq!(to("/new").unwrap().to_string(), "https://h/new");
        let other = to("https://other/new").unwrap();
        assert_eq!((other.to_string().as_str(), header(&other)), ("https://other/new", None));
        assert_eq!(to("http://h/new"), None);
        assert_eq!(url.redirected("https://h/login", asked), None);
    }
}
