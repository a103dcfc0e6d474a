//! Which ids there are, and which layouts found the same cluster.

use super::super::*;
use super::{member, three};

fn derived(change: impl FnOnce(&mut Layout)) -> ClusterId {
    let mut layout = three();
    change(&mut layout);
    ClusterId::derived(&layout.validated().unwrap())
}

#[test]
fn machines_that_are_founded_with_one_document_derive_one_id_for_ever() {
    // Computed by another program; a later version of the program must derive the same.
    assert_eq!(derived(|_| ()).as_str(), "ae067d2f80104bc9600d8ff493e63c6e");
    assert_eq!(derived(|layout| layout.members.rotate_left(1)), derived(|_| ()));
}

#[test]
fn an_id_is_derived_from_members_and_numbers_and_from_nothing_else() {
    let changes: [fn(&mut Layout); 9] = [
        |layout| layout.version = 2,
        |layout| (layout.replicas, layout.write_quorum, layout.read_quorum) = (2, 2, 2),
        |layout| layout.write_quorum = 3,
        |layout| layout.read_quorum = 3,
        |layout| layout.members[0].address = "elsewhere.example:7400".to_owned(),
        |layout| layout.members[0].zone = "z".to_owned(),
        |layout| layout.members[0].weight = 2,
        |layout| layout.members.push(member("n4", "a", 1)),
        |layout| {
            layout.members.push(member("n4", "a", 1));
            layout.members[3].state = MemberState::Draining;
        },
    ];
    let mut ids: Vec<_> = changes.into_iter().map(derived).chain([derived(|_| ())]).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 10, "{ids:?}");

    let id = ClusterId::parse("prod").unwrap();
    let named = three().of_cluster(&id).unwrap().validated().unwrap();
    assert_eq!(ClusterId::derived(&named), derived(|_| ()));
}

#[test]
fn an_id_stands_in_log_lines_and_scripts_as_it_is() {
    for (text, problem) in [
        ("", "must not be empty"),
        ("a b", "' ' is not allowed"),
        ("a\n", "'\\n' is not allowed"),
        ("\u{1b}[2J", "is not allowed"),
    ] {
        let refused = ClusterId::parse(text).unwrap_err();
        assert!(refused.contains(problem), "{text:?}: {refused}");
    }
    assert!(ClusterId::parse(&"x".repeat(256)).unwrap_err().contains("over the limit of 255"));
    assert_eq!(ClusterId::parse("prod-eu.1").unwrap().to_string(), "prod-eu.1");
}
