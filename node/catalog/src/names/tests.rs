//! Rules of names, as tables: a name, and how it is refused.

use super::*;

fn repository(name: &str) -> String {
    RepositoryName::parse(name).map_or_else(|why| why.to_string(), |name| name.to_string())
}

#[test]
fn names_of_repositories_are_paths_that_need_no_quoting() {
    for name in ["a", "team/project", "team/sub.group/x_y-z+1@2", ".github", "a/b.gitx", "0"] {
        assert_eq!(repository(name), name);
    }
    for (name, reason) in [
        ("", "it is empty"),
        ("/a", "it has an empty part"),
        ("a//b", "it has an empty part"),
        ("a/", "it has an empty part"),
        ("a/./b", "part \".\" means another place"),
        ("..", "part \"..\" means another place"),
        ("a.git", "part \"a.git\" ends in \".git\""),
        ("a.GIT/b", "part \"a.GIT\" ends in \".git\""),
        (".git", "part \".git\" ends in \".git\""),
        ("a/b.lock", "part \"b.lock\" ends in \".lock\""),
        ("a/-b", "part \"-b\" begins with a dash"),
        ("a b", "' ' is not allowed"),
        ("a\nb", "'\\n' is not allowed"),
        ("ä", "'ä' is not allowed"),
        ("a\\b", "'\\\\' is not allowed"),
        (&"a/".repeat(16).to_string(), "it has 17 parts"),
        (&"a".repeat(101), "part \"aaa"),
        (&"a/".repeat(300), "it has 600 bytes"),
    ] {
        let refused = repository(name);
        assert!(refused.starts_with(reason), "{name:?}: {refused}");
    }
}

#[test]
fn a_prefix_covers_whole_parts() {
    let name = RepositoryName::parse("team/project").unwrap();
    for (prefix, within) in
        [("", true), ("team", true), ("team/project", true), ("tea", false), ("team/p", false)]
    {
        assert_eq!(name.is_within(prefix), within, "{prefix:?}");
    }
}

#[test]
fn names_of_refs_are_those_of_check_ref_format() {
    for name in [
        "HEAD",
        "refs/heads/main",
        "refs/stash",
        "refs/heads/@",
        "refs/heads/ä/ö",
        "refs/heads/a.b",
        "refs/heads/{a}",
        "refs/heads/a.lockx",
        "refs/pull/1/head",
    ] {
        assert_eq!(RefName::parse(name).map(|name| name.to_string()).as_deref(), Ok(name));
    }
    for (name, reason) in [
        ("", RefNameError::OutsideRefs),
        ("head", RefNameError::OutsideRefs),
        ("refs", RefNameError::OutsideRefs),
        ("FETCH_HEAD", RefNameError::OutsideRefs),
        ("refs/", RefNameError::EmptyPart),
        ("refs//a", RefNameError::EmptyPart),
        ("refs/heads/", RefNameError::EmptyPart),
        ("refs/.a", RefNameError::LeadingDot),
        ("refs/heads/a..b", RefNameError::DoubleDot),
        ("refs/heads/a.", RefNameError::TrailingDot),
        ("refs/heads/a.lock", RefNameError::Lock),
        ("refs/a.lock/b", RefNameError::Lock),
        ("refs/heads/a@{1}", RefNameError::AtBrace),
        ("refs/heads/a b", RefNameError::Character { character: ' ' }),
        ("refs/heads/a\x7f", RefNameError::Character { character: '\x7f' }),
        ("refs/heads/*", RefNameError::Character { character: '*' }),
        ("refs/heads/a\\b", RefNameError::Character { character: '\\' }),
        (&format!("refs/{}", "a".repeat(4092)), RefNameError::Long { bytes: 4097 }),
    ] {
        assert_eq!(RefName::parse(name), Err(reason), "{name:?}");
    }
}
