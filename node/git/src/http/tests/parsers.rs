//! What is read from paths and headers.

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::super::body::Encoding;
use super::super::credentials;
use super::super::route::{Endpoint, RouteError, route};
use crate::protocol::Service;

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

#[test]
fn credentials_are_those_of_basic_authentication() {
    let of = |value: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_bytes(value).unwrap());
        credentials::of(&headers)
    };
    let ann = Some(("ann".to_owned(), "a:b".to_owned()));
    assert_eq!(of(b"Basic YW5uOmE6Yg=="), ann);
    assert_eq!(of(b"basic  YW5uOmE6Yg=="), ann);
    for wrong in ["Bearer YW5uOmE6Yg==", "Basic", "Basic !", "Basic YW5u", "Basic /w==", ""] {
        assert_eq!(of(wrong.as_bytes()), None, "{wrong}");
    }
    assert_eq!(of(b"Basic \xff"), None);
    assert_eq!(credentials::of(&HeaderMap::new()), None);
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
