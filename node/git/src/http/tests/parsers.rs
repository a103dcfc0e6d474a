//! What is read from paths and headers.

use gitstratum_catalog::secret::Secret;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::super::body::Encoding;
use super::super::credentials;
use super::super::route::{Endpoint, RouteError, route, shown};
use crate::protocol::Service;
use crate::service::Credentials;

#[test]
fn a_repository_has_one_name_however_it_is_written() {
    let upload = Endpoint::Exchange(Service::UploadPack);
    let advertise = Endpoint::Advertisement(Service::ReceivePack);
    let query = Some("service=git-receive-pack");
    let cases = [
        ("/a/git-upload-pack", None, "a", upload),
        ("/a.git/git-upload-pack", None, "a", upload),
        ("/a.git//git-upload-pack", None, "a", upload),
        ("/team/a.git/info/refs", query, "team/a", advertise),
        ("/team/a///info/refs", query, "team/a", advertise),
        ("/t%C3%A9am/a%20b%2egit/info/refs", query, "téam/a b", advertise),
        ("/a%2Fb/info/refs", Some("x=1&service=git-receive%2dpack&y"), "a/b", advertise),
        ("/50%/info/refs", query, "50%", advertise),
        ("/a.git.git/git-upload-pack", None, "a.git", upload),
    ];
    for (path, query, name, endpoint) in cases {
        assert_eq!(route(path, query), Ok((name.to_owned(), endpoint)), "{path}");
    }
}

#[test]
fn paths_that_lead_nowhere_or_elsewhere_are_refused() {
    let query = Some("service=git-upload-pack");
    for path in ["/", "/a", "/git-upload-pack", "/info/refs", "/.git/info/refs", "/a/b.git"] {
        assert_eq!(route(path, query), Err(RouteError::NotFound), "{path}");
    }
    for path in [
        "/../a/info/refs",
        "/a/%2e%2e/b/info/refs",
        "/a//b/info/refs",
        "/a%00/info/refs",
        "/a/./info/refs",
        "/%ff/info/refs",
        "//a/info/refs",
        "/a%0a/info/refs",
    ] {
        let refused = route(path, query);
        assert!(matches!(refused, Err(RouteError::InvalidPath(_))), "{path}: {refused:?}");
    }
    for path in ["/a/info/refs", "/a/HEAD", "/a/objects/info/packs", "/a/objects/ab/cdef"] {
        assert_eq!(route(path, None), Err(RouteError::Dumb), "{path}");
    }
    let unknown = Err(RouteError::UnknownService("git-dance".into()));
    assert_eq!(route("/a/info/refs", Some("service=git-dance")), unknown);
}

fn given(user: &str, secret: &str) -> Credentials {
    Credentials::Given { user: user.to_owned(), secret: Secret::given(secret) }
}

#[test]
fn credentials_are_a_password_or_a_bearers_token() {
    let of = |value: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_bytes(value).unwrap());
        credentials::of(&headers)
    };
    assert_eq!(of(b"Basic YW5uOmE6Yg=="), given("ann", "a:b"));
    assert_eq!(of(b"basic  YW5uOmE6Yg=="), given("ann", "a:b"));
    assert_eq!(of(b"Bearer gst_1"), given("", "gst_1"));
    assert_eq!(of(b"BEARER  gst_1 "), given("", "gst_1"));
    for (wrong, reason) in [
        (&b"Basic"[..], "nothing else"),
        (b"", "nothing else"),
        (b"Negotiate YW5u", "neither Basic nor Bearer"),
        (b"Basic !", "Base64"),
        (b"Basic YW5u", "no colon"),
        (b"Basic /w==", "UTF-8"),
        // A user name with a line of its own.
        (b"Basic YW5uClg6IHk6cHc=", "control characters"),
        (b"Basic \xff", "ASCII"),
    ] {
        let found = of(wrong);
        let Credentials::Unreadable(said) = found else { panic!("{wrong:?}: {found:?}") };
        assert!(said.contains(reason), "{wrong:?}: {said}");
    }
    assert_eq!(credentials::of(&HeaderMap::new()), Credentials::Missing);
    let mut two = HeaderMap::new();
    for value in ["Basic YW5uOmE6Yg==", "Bearer x"] {
        two.append("authorization", HeaderValue::from_static(value));
    }
    assert_eq!(credentials::of(&two), Credentials::Unreadable("there are two of them"));
}

#[test]
fn a_secret_in_a_url_is_refused_and_not_shown() {
    let secret = Secret::of([0xa5; 32]).expose().to_owned();
    let service = "service=git-upload-pack";
    for (path, query) in [
        ("/a/info/refs".to_owned(), format!("{service}&token=x")),
        ("/a/info/refs".to_owned(), format!("Private_Token=x&{service}")),
        ("/a/info/refs".to_owned(), format!("{service}&x={secret}")),
        ("/a/info/refs".to_owned(), format!("{service}&x={}", secret.replace('_', "%5f"))),
        // As git makes a URL of one that has a query.
        ("/a".to_owned(), format!("token=x/info/refs&{service}")),
        (format!("/{secret}/a/info/refs"), service.to_owned()),
    ] {
        assert_eq!(route(&path, Some(&query)), Err(RouteError::SecretInUrl), "{path}?{query}");
    }
    assert_eq!(shown("/team/a"), "/team/a");
    assert!(!shown(&format!("/{}/a", secret.replace("gst", "%67st"))).contains(&secret[10..]));
    // Other words are no secrets.
    let query = format!("{service}&tokens=1&x=token");
    assert!(route("/gst_tools/token/info/refs", Some(&query)).is_ok());
}

#[test]
fn bodies_are_plain_or_gzipped() {
    assert_eq!(Encoding::of(None), Some(Encoding::Identity));
    for gzip in ["gzip", "x-gzip", " GZip"] {
        assert_eq!(Encoding::of(Some(gzip)), Some(Encoding::Gzip));
    }
    assert_eq!(Encoding::of(Some("br")), None);
}

proptest! {
    #[test]
    fn no_path_leads_out_of_the_root(path in "(/|%2f|\\.|%2e|%|a|\u{e4}|%00|\\.git){0,12}") {
        for end in ["/info/refs", "/git-upload-pack", "", "/HEAD"] {
            let path = format!("{path}{end}");
            if let Ok((name, _)) = route(&path, Some("service=git-upload-pack")) {
                prop_assert!(!name.is_empty() && !name.contains('\0'));
                let parts = name.split('/');
                prop_assert!(parts.into_iter().all(|part| !["", ".", ".."].contains(&part)));
            }
        }
    }
}
