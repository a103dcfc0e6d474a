//! The text against its parser.

use super::*;

fn id(byte: u8) -> ObjectId {
    ObjectId::from_bytes(&[byte; 20]).unwrap()
}

fn sample() -> Manifest {
    Manifest {
        algorithm: HashAlgorithm::Sha1,
        objects: 5,
        missing: 0,
        lists: vec![ObjectList { id: id(1), count: 3 }, ObjectList { id: id(2), count: 2 }],
        head: Head::Ref("refs/heads/main".into()),
        shallow: vec![id(3), id(4)],
        refs: vec![
            Reference { name: "refs/heads/main".into(), target: Target::Id(id(5)) },
            Reference {
                name: "refs/remotes/origin/HEAD".into(),
                target: Target::Symbolic("refs/remotes/origin/main".into()),
            },
            Reference { name: b"refs/tags/\xff".as_bstr().into(), target: Target::Id(id(6)) },
        ],
    }
}

#[test]
fn what_is_written_is_read_back() {
    let empty = Manifest {
        objects: 0,
        lists: vec![],
        head: Head::Id(id(9)),
        shallow: vec![],
        refs: vec![],
        ..sample()
    };
    let lacking = Manifest { missing: 7, ..sample() };
    for manifest in [sample(), empty, lacking] {
        assert_eq!(manifest.check(), Ok(()));
        assert_eq!(Manifest::parse(&manifest.encode()), Ok(manifest));
    }
}

#[test]
fn a_text_cut_anywhere_is_refused() {
    let text = sample().encode();
    for end in 0..text.len() {
        assert!(Manifest::parse(&text[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn no_changed_byte_makes_the_parser_panic_or_accept_two_texts_for_one_manifest() {
    let text = sample().encode();
    for place in 0..text.len() {
        for byte in [0, b' ', b'\n', b'/', b'0', b'9', b'A', b'f', 0xff] {
            let mut changed = text.clone();
            changed[place] = byte;
            if let Ok(manifest) = Manifest::parse(&changed) {
                assert_eq!(manifest.encode(), changed, "byte {place} set to {byte}");
            }
        }
    }
}

fn long() -> String {
    format!("refs/heads/{}", "x".repeat(limits::REF_NAME_BYTES_MAX))
}

#[test]
fn what_could_not_be_read_back_is_refused_before_it_is_stored() {
    let reference = |name: &str| Reference { name: name.into(), target: Target::Id(id(1)) };
    let many = (0..1_000_000).map(|at| reference(&format!("refs/pull/{at:07}/head"))).collect();
    for (refs, words) in [
        (vec![reference(&long())], "bytes, more than"),
        (vec![reference("HEAD")], "outside refs/"),
        (vec![reference("refs/heads/b"), reference("refs/heads/a")], "ascend"),
        (many, "a manifest has at most"),
    ] {
        let error = Manifest { refs, ..sample() }.check().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let one = "0101010101010101010101010101010101010101";
    let before = format!("{TITLE}{FORMAT}\nobject-format sha1\nobjects 0\n");
    for (text, line, words) in [
        ("tree 4\n".to_owned(), 1, "no manifest"),
        (format!("{TITLE}2\nwhat comes later\n"), 1, "has format 2, and this program reads"),
        (format!("{TITLE}{FORMAT}\nobject-format md5\n"), 2, "unknown hash"),
        (format!("{TITLE}{FORMAT}\nobject-format sha1\nobjects -1\n"), 3, "no count"),
        (
            format!("{TITLE}{FORMAT}\nobject-format sha256\nobjects 1\nlist {one} 1\n"),
            4,
            "no sha256 id",
        ),
        (format!("{before}list {one} 0\n"), 4, "cannot have 0"),
        (format!("{before}list {one} 3\nhead ref refs/heads/x\n"), 5, "3 are listed"),
        (format!("{before}missing 0\nhead ref refs/a\n"), 4, "nothing is missing"),
        (format!("{before}head ref refs/a\nsymref refs/b HEAD\n"), 5, "outside refs/"),
        (format!("{before}head ref {}\n", long()), 4, "bytes, more than"),
        (format!("{before}head ref ../x\n"), 4, "no full ref name"),
        (format!("{before}head ref refs/heads/../../config\n"), 4, "no full ref name"),
        (format!("{before}head ref refs/a\nsymref refs/b /etc/passwd\n"), 5, "no full ref name"),
        (format!("{before}head ref refs/a\nref {one} refs/b\nref {one} refs/b\n"), 6, "ascend"),
        (format!("{before}head ref refs/a\nshallow {one} \nend\n"), 5, "end in a space"),
        (format!("{before}head ref refs/a\nend\nend\n"), 6, "nothing may follow"),
    ] {
        let error = Manifest::parse(text.as_bytes()).unwrap_err();
        let ManifestError::Line { line: at, problem } = &error else { panic!("{error}") };
        assert!(*at == line && problem.contains(words), "{text:?}: {error}");
    }
}
