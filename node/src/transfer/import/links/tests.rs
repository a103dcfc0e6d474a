//! Links of objects that git made, and of objects that it cannot read.

use super::*;

fn id(byte: u8) -> ObjectId {
    ObjectId::from_bytes(&[byte; 20]).unwrap()
}

/// Links of an object that comes in parts of so many bytes.
fn read(kind: Kind, data: &[u8], part_bytes: usize) -> Result<Vec<Link>, &'static str> {
    let mut links = Links::new(kind, HashAlgorithm::Sha1, false);
    let mut found = Vec::new();
    for part in data.chunks(part_bytes) {
        links.feed(part, &mut |link| found.push(link))?;
    }
    links.finish()?;
    Ok(found)
}

fn tree(entries: &[(&str, &str, u8)]) -> Vec<u8> {
    let entry = |(mode, name, byte): &(&str, &str, u8)| {
        [mode.as_bytes(), b" ", name.as_bytes(), b"\0", &[*byte; 20]].concat()
    };
    entries.iter().flat_map(entry).collect()
}

#[test]
fn links_are_the_same_however_the_data_is_cut() {
    let link = |byte, kind| Link { id: id(byte), kind };
    let entries = tree(&[
        ("100644", "file", 1),
        ("040000", "zero-padded", 2),
        ("120000", "link", 3),
        ("160000", "submodule", 4),
        ("40000", "name with \n and spaces", b'\n'),
        ("100664", "old mode", 0),
    ]);
    let commit = format!(
        "tree {}\nparent {}\nparent {}\nauthor A <a> 1 +0000\n\nparent {}\n",
        id(1),
        id(2),
        id(3),
        id(4)
    );
    let tag = format!("object {}\ntype tree\ntag v1\n\nobject {}\n", id(1), id(2));
    let cases: [(Kind, &[u8], Vec<Link>); 5] = [
        (
            Kind::Tree,
            &entries,
            vec![
                link(1, Kind::Blob),
                link(2, Kind::Tree),
                link(3, Kind::Blob),
                link(b'\n', Kind::Tree),
                link(0, Kind::Blob),
            ],
        ),
        (Kind::Tree, b"", vec![]),
        (
            Kind::Commit,
            commit.as_bytes(),
            vec![link(1, Kind::Tree), link(2, Kind::Commit), link(3, Kind::Commit)],
        ),
        (Kind::Tag, tag.as_bytes(), vec![link(1, Kind::Tree)]),
        (Kind::Blob, commit.as_bytes(), vec![]),
    ];
    for (kind, data, expected) in cases {
        for part_bytes in 1..=data.len().max(1) {
            assert_eq!(read(kind, data, part_bytes).as_ref(), Ok(&expected), "{kind} {part_bytes}");
        }
    }
}

#[test]
fn a_shallow_commit_has_a_tree_and_no_parents() {
    let data = format!("tree {}\nparent {}\n\n", id(1), id(2));
    let mut links = Links::new(Kind::Commit, HashAlgorithm::Sha1, true);
    let mut found = Vec::new();
    links.feed(data.as_bytes(), &mut |link| found.push(link)).unwrap();
    links.finish().unwrap();
    assert_eq!(found, [Link { id: id(1), kind: Kind::Tree }]);
}

#[test]
fn what_git_cannot_read_is_said() {
    let hex = id(1).to_string();
    let short = &tree(&[("100644", "file", 1)])[..27];
    let cases: [(Kind, Vec<u8>); 13] = [
        (Kind::Tree, b"no tree".to_vec()),
        (Kind::Tree, short.to_vec()),
        (Kind::Tree, tree(&[("", "file", 1)])),
        (Kind::Tree, tree(&[("100644", "", 1)])),
        (Kind::Tree, tree(&[("100648", "file", 1)])),
        (Kind::Tree, [&b"100644\0"[..], &[1; 20]].concat()),
        (Kind::Commit, Vec::new()),
        (Kind::Commit, format!("parent {hex}\n").into_bytes()),
        (Kind::Commit, format!("tree {hex}\nparent {}\n", &hex[1..]).into_bytes()),
        (Kind::Commit, format!("tree {hex}{hex}\n").into_bytes()),
        (Kind::Tag, b"object\n".to_vec()),
        (Kind::Tag, format!("object {hex}\n").into_bytes()),
        (Kind::Tag, format!("object {hex}\ntype twig\n").into_bytes()),
    ];
    for (kind, data) in cases {
        for part_bytes in [1, 7, data.len().max(1)] {
            let read = read(kind, &data, part_bytes);
            assert!(read.is_err(), "{kind} {:?}: {read:?}", data.as_bstr());
        }
    }
}

#[test]
fn an_entry_without_an_end_is_not_held() {
    let mut links = Links::new(Kind::Tree, HashAlgorithm::Sha1, false);
    let part = vec![b'7'; 1 << 18];
    let fed = (0..8).try_for_each(|_| links.feed(&part, &mut |_| {}));
    assert_eq!(fed, Err("an entry does not end"));
}
