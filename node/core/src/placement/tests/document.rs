//! The layout as a document: what is read, what is written, what is refused.

use super::super::*;

const DOCUMENT: &str = "\
[cluster]
version = 3
replicas = 2
write_quorum = 2
read_quorum = 1
settled = 2

[[node]]
id = \"n1\"
address = \"a:1\"

[[node]]
id = \"n2\"
address = \"b:1\"
state = \"active\"

[[node]]
id = \"n3\"
address = \"c:1\"
state = \"draining\"
";

#[test]
fn a_layout_document_means_what_it_says_and_is_written_as_it_is_read() {
    let layout = layout_from_toml(DOCUMENT, "layout.toml").unwrap();
    assert_eq!((layout.version, layout.settled, layout.members.len()), (3, 2, 3));
    assert_eq!(layout.members[2].state, MemberState::Draining);
    assert_eq!(layout.cluster, None);
    let before = Layout { version: 2, settled: 0, ..layout.clone() };
    let with_history = Layout { previous: vec![before.into()], ..layout };
    assert_eq!(layout_from_toml(&layout_to_toml(&with_history), "again").unwrap(), with_history);
    let named = with_history.of_cluster(&ClusterId::parse("prod").unwrap()).unwrap();
    assert!(layout_to_toml(&named).contains("[cluster]\nid = \"prod\"\nversion = 3"));
    assert_eq!(layout_from_toml(&layout_to_toml(&named), "again").unwrap(), named);
}

#[test]
fn a_document_may_keep_the_history_that_it_says_is_settled() {
    let layout = layout_from_toml(DOCUMENT, "layout.toml").unwrap();
    let before = |version| Layout { version, settled: 0, ..layout.clone() }.into();
    let shown = Layout { settled: 0, previous: vec![before(1), before(2)], ..layout.clone() };
    let settled = layout_to_toml(&shown).replacen("version = 3", "version = 4\nsettled = 2", 1);
    let read = layout_from_toml(&settled, "edited").unwrap();
    let versions: Vec<_> = read.previous.iter().map(|previous| previous.version).collect();
    assert_eq!((read.version, read.settled, versions), (4, 2, vec![2]));
}

#[test]
fn a_wrong_layout_document_is_refused_with_its_line_and_field() {
    let refused = |from: &str, to: &str, expected: &str| {
        assert!(DOCUMENT.contains(from), "{from:?}");
        let error = layout_from_toml(&DOCUMENT.replacen(from, to, 1), "layout.toml").unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    refused(
        "\"draining\"",
        "\"gone\"",
        "layout.toml:20: node[2].state: \"gone\" is none of \"active\", \"draining\", \"removed\"",
    );
    refused(
        "settled = 2",
        "settled = 4",
        "layout.toml:6: cluster.settled: 4 is after cluster.version (3)",
    );
    refused(
        "\"active\"",
        "\"removed\"",
        "layout.toml:3: cluster.replicas: 2 exceeds the 1 active [[node]]s",
    );
    refused(
        "version = 3",
        "id = \"a b\"\nversion = 3",
        "layout.toml:2: cluster.id: ' ' is not allowed; letters, digits, '-', '_' and '.' are",
    );
    refused(
        "[cluster]",
        "format = 2\nwhat_comes = \"later\"\n[cluster]",
        "layout.toml:1: format: the layout has format 2, and this program reads formats up to 1: start \
         the version of gitstratum that wrote it, or a newer one; nothing was changed",
    );
}
