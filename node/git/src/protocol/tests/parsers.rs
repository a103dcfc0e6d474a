//! What is read from lines.

use gitstratum_core::object::HashAlgorithm;
use proptest::prelude::*;

use super::super::Version;
use super::super::capability::Capabilities;
use super::super::receive_pack::commands::Commands;
use super::super::upload_pack::stateless::Needs;
use super::super::upload_pack::wishes::Wishes;
use super::super::{command, filter, ls_refs, upload_pack};
use crate::fixture::{Scripted, id};
use crate::service::{Filter, INFINITE_DEPTH};

const SHA1: HashAlgorithm = HashAlgorithm::Sha1;

#[test]
fn the_greatest_known_version_that_a_client_names_is_spoken() {
    let cases = [
        (None, Version::V0),
        (Some(""), Version::V0),
        (Some("version=1"), Version::V1),
        (Some("version=2"), Version::V2),
        (Some("version=1:version=2"), Version::V2),
        (Some("version=2:version=1:key=value"), Version::V2),
        (Some("other: version=1"), Version::V1),
        (Some("version=3"), Version::V0),
        (Some("version=02"), Version::V0),
    ];
    for (header, version) in cases {
        assert_eq!(Version::requested(header), version, "{header:?}");
    }
}

#[test]
fn capabilities_are_words_with_or_without_a_value() {
    let read = Capabilities::parse(b" atomic agent=git/2 object-format=sha256 a=b=c\n");
    assert!(read.has("atomic") && !read.has("agent") && !read.has("atom"));
    assert_eq!((read.value("agent"), read.value("a")), (Some("git/2"), Some("b=c")));
    assert_eq!(read.value("atomic"), None);
    assert!(read.check_object_format(HashAlgorithm::Sha256).is_ok());
    let error = read.check_object_format(SHA1).unwrap_err();
    assert_eq!(error.to_string(), "mismatched object format: server sha1; client sha256");
    assert!(Capabilities::default().check_object_format(HashAlgorithm::Sha256).is_ok());
}

#[test]
fn filters_are_read_as_git_writes_them() {
    let cases = [
        ("blob:none", Filter::BlobNone),
        ("blob:limit=0", Filter::BlobLimit(0)),
        ("blob:limit=1k", Filter::BlobLimit(1 << 10)),
        ("blob:limit=3G", Filter::BlobLimit(3 << 30)),
        ("tree:0", Filter::TreeDepth(0)),
    ];
    for (text, expected) in cases {
        assert_eq!(filter::parse(text).unwrap(), expected);
    }
    let refused = |text| filter::parse(text).unwrap_err().to_string();
    assert!(refused("object:type=blob").contains("is not supported"));
    for wrong in ["", "blob", "blob:limit=", "blob:limit=k", "blob:limit=99999999999g", "tree:-1"] {
        assert_eq!(refused(wrong), format!("invalid filter-spec '{wrong}'"));
    }
}

#[test]
fn what_a_fetch_cannot_ask_for_is_refused_in_gits_words() {
    let mut wishes = Wishes::default();
    let mut said = |line: &str| match wishes.take(SHA1, line.as_bytes()) {
        Ok(is_known) => is_known.to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(said(&format!("want {}", id(1))), "true");
    assert_eq!(
        said("want abc"),
        "git upload-pack: protocol error, expected to get object ID, not 'want abc'"
    );
    assert_eq!(said(&format!("shallow {}", "0".repeat(64))).find("invalid shallow"), Some(0));
    assert_eq!(said("deepen 0"), "Invalid deepen: deepen 0");
    assert_eq!(said("deepen -1"), "Invalid deepen: deepen -1");
    assert_eq!(said("deepen 99999999999"), "true");
    assert_eq!(said("deepen-since x"), "Invalid deepen-since: deepen-since x");
    assert_eq!(said("filter tree:1"), "true");
    assert_eq!(said("filter tree:1"), "multiple filter-specs cannot be combined");
    assert_eq!(said("unheard of"), "false");
    assert_eq!(said("done"), "false");
    assert_eq!((wishes.wants, wishes.depth), (vec![id(1)], Some(INFINITE_DEPTH)));
}

#[test]
fn refs_that_are_excluded_may_have_short_names() {
    let refs = Scripted::default().refs;
    let resolve = |name: &str| {
        let wishes = Wishes { not: vec![name.into()], ..Wishes::default() };
        wishes.resolve_not(&refs).map_err(|error| error.to_string())
    };
    for name in ["refs/heads/topic", "heads/topic", "topic"] {
        assert_eq!(resolve(name), Ok(vec![id(2).to_string()]));
    }
    assert_eq!(resolve("v1"), Ok(vec![id(3).to_string()]));
    assert_eq!(resolve("HEAD"), Ok(vec![id(1).to_string()]));
    assert_eq!(resolve("none"), Err("git upload-pack: ambiguous deepen-not: none".into()));
}

#[test]
fn the_first_wanted_object_brings_the_capabilities() {
    let mut needs = Needs::default();
    needs.take(SHA1, format!("want {} side-band ofs-delta", id(1)).as_bytes()).unwrap();
    needs.take(SHA1, format!("want {}", id(2)).as_bytes()).unwrap();
    assert!(needs.capabilities.has("ofs-delta"));
    assert_eq!(needs.wishes.wants, [id(1), id(2)]);
    let later = format!("want {} side-band", id(3));
    assert!(needs.take(SHA1, later.as_bytes()).is_err());
    let too_long = format!("want {}00 side-band", id(1));
    assert!(Needs::default().take(SHA1, too_long.as_bytes()).is_err());
}

#[test]
fn commands_of_a_push_are_old_new_and_name() {
    let (one, two, none) = (id(1), id(2), "0".repeat(40));
    let mut commands = Commands::new(SHA1);
    commands.take(format!("shallow {two}").as_bytes()).unwrap();
    commands.take(format!("{none} {one} refs/heads/a b\0 atomic quiet").as_bytes()).unwrap();
    commands.take(format!("{one} {none} refs/heads/c").as_bytes()).unwrap();
    assert!(commands.capabilities.has("atomic"));
    assert_eq!(commands.client_shallow, [two]);
    let read: Vec<_> = commands.list.iter().map(|c| (c.old, c.new, &c.name[..])).collect();
    let expected =
        [(None, Some(one), &b"refs/heads/a b"[..]), (Some(one), None, &b"refs/heads/c"[..])];
    assert_eq!(read, expected);
    let long = format!("{none} {one} {}", "r".repeat(65_000));
    for wrong in ["", "x", &format!("{one} {two}"), &format!("{one} {two} "), &long] {
        let said = Commands::new(SHA1).take(wrong.as_bytes()).unwrap_err().to_string();
        assert!(said.starts_with("protocol error: expected old/new/ref, got '"), "{said}");
    }
    let said = Commands::new(SHA1).take(b"push-cert\0 atomic").unwrap_err().to_string();
    assert!(said.contains("push certificates are not supported"), "{said}");
}

proptest! {
    #[test]
    fn prefixes_list_what_begins_with_one_of_them(
        prefixes in proptest::collection::vec("[ab/]{0,4}", 0..6),
        name in "[ab/]{0,6}",
    ) {
        let mut arguments = ls_refs::Arguments::default();
        for prefix in &prefixes {
            arguments.take(format!("ref-prefix {prefix}").as_bytes()).unwrap();
        }
        arguments.minimize();
        let expected = prefixes.is_empty() || prefixes.iter().any(|prefix| name.starts_with(prefix));
        prop_assert_eq!(arguments.covers(&name), expected);
    }

    #[test]
    fn any_line_is_read_or_refused(
        line in proptest::collection::vec(any::<u8>(), 0..120),
        word in "want |have |shallow |deepen |deepen-since |deepen-not |filter |command=|[0-9a-f]{40} ",
    ) {
        for line in [line.clone(), [word.as_bytes(), &line].concat()] {
            let _ = Wishes::default().take(SHA1, &line);
            let _ = Needs::default().take(SHA1, &line);
            let _ = Commands::new(SHA1).take(&line);
            let _ = upload_pack::command::Arguments::default().take(SHA1, &line);
            let _ = ls_refs::Arguments::default().take(&line);
            let _ = command::Head::default().take(&line);
        }
    }
}
