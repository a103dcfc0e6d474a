//! Tests of object parsing: what is read, and what is refused.

use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};

use super::{Commit, Malformed, links};

const SHA1: HashAlgorithm = HashAlgorithm::Sha1;

fn id(digit: char) -> ObjectId {
    digit.to_string().repeat(40).parse().unwrap()
}

fn found(kind: Kind, data: &[u8]) -> Result<Vec<(ObjectId, Kind)>, Malformed> {
    let mut all = Vec::new();
    links(SHA1, kind, data, |id, kind| all.push((id, kind)))?;
    Ok(all)
}

fn entry(mode: &str, name: &str, id: ObjectId) -> Vec<u8> {
    [mode.as_bytes(), b" ", name.as_bytes(), b"\0", id.as_bytes()].concat()
}

#[test]
fn a_commit_says_its_tree_its_parents_and_its_time() {
    let text = format!(
        "tree {}\nparent {}\nparent {}\nauthor A <a@b> 1 +0000\ncommitter C <c> d> 1700000000 +0100\n\nwords\n",
        id('1'),
        id('2'),
        id('3')
    );
    let commit = Commit::parse(SHA1, text.as_bytes()).unwrap();
    let parents = vec![id('2'), id('3')];
    assert_eq!(commit, Commit { tree: id('1'), parents, committed_at: 1_700_000_000 });
    let kinds = [(id('1'), Kind::Tree), (id('2'), Kind::Commit), (id('3'), Kind::Commit)];
    assert_eq!(found(Kind::Commit, text.as_bytes()).unwrap(), kinds);
}

#[test]
fn a_tree_says_its_files_and_trees_and_not_its_submodules() {
    let tree = [
        entry("100644", "a", id('1')),
        entry("40000", "b", id('2')),
        entry("160000", "c", id('3')),
        entry("120000", "d", id('4')),
    ]
    .concat();
    let kinds = [(id('1'), Kind::Blob), (id('2'), Kind::Tree), (id('4'), Kind::Blob)];
    assert_eq!(found(Kind::Tree, &tree).unwrap(), kinds);
}

#[test]
fn a_tag_says_what_it_points_to() {
    let text = format!("object {}\ntype commit\ntag v1\n\nwords", id('7'));
    assert_eq!(found(Kind::Tag, text.as_bytes()).unwrap(), [(id('7'), Kind::Commit)]);
}

#[test]
fn what_leaves_no_link_to_follow_is_refused() {
    let cut = &entry("100644", "a", id('1'))[..20];
    let refused = [
        (Kind::Tree, cut.to_vec()),
        (Kind::Tree, b"1006x4 a\0".to_vec()),
        (Kind::Tree, b"100644 a".to_vec()),
        (Kind::Commit, b"author A <a> 1 +0000\n".to_vec()),
        (Kind::Commit, b"tree zzz\n".to_vec()),
        (Kind::Tag, format!("object {}\ntype thing\n", id('1')).into_bytes()),
    ];
    for (kind, data) in refused {
        assert_eq!(found(kind, &data).unwrap_err().kind, kind, "{}", data.escape_ascii());
    }
}
