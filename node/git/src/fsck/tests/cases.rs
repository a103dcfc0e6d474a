//! Objects that have something wrong with them, or nearly.

use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};

use crate::pack::fixture::id_of;

const ZEROS: &str = "0000000000000000000000000000000000000000";
const ID: &str = "1111111111111111111111111111111111111111";

fn id() -> ObjectId {
    ID.parse().unwrap()
}

fn entry(mode: &str, name: &[u8], id: ObjectId) -> Vec<u8> {
    [mode.as_bytes(), b" ", name, b"\0", id.as_bytes()].concat()
}

fn tree(entries: &[(&str, &str)]) -> (Kind, Vec<u8>) {
    let id = |mode| if mode == "40000" { ID.replace('1', "5").parse().unwrap() } else { id() };
    let entries = entries.iter().map(|(mode, name)| entry(mode, name.as_bytes(), id(*mode)));
    (Kind::Tree, entries.collect::<Vec<_>>().concat())
}

pub(super) fn sound_tree() -> (Kind, Vec<u8>) {
    tree(&[
        ("100644", ".gitattributes"),
        ("100644", ".gitignore"),
        ("100755", "a.c"),
        ("40000", "a"),
        ("120000", "git~2"),
        ("160000", "module"),
    ])
}

pub(super) fn trees() -> Vec<(Kind, Vec<u8>)> {
    let long = "x".repeat(4097);
    let just = "x".repeat(4096);
    let mut trees = vec![
        sound_tree(),
        tree(&[]),
        tree(&[("100644", "b"), ("100644", "a")]),
        tree(&[("100644", "a"), ("100644", "a")]),
        tree(&[("100644", "a"), ("40000", "a")]),
        tree(&[("100644", "a"), ("100644", "a.b"), ("40000", "a")]),
        tree(&[("100644", "a"), ("100644", "a.b"), ("40000", "a.b"), ("40000", "a")]),
        tree(&[
            ("100644", "a"),
            ("100644", "a-"),
            ("100644", "a-b"),
            ("40000", "a-"),
            ("40000", "a"),
        ]),
        tree(&[("100644", "a"), ("100644", "a.b"), ("40000", "a.c"), ("40000", "a0")]),
        tree(&[("40000", "a"), ("100644", "a.b")]),
        tree(&[("40000", "a"), ("100644", "a0")]),
        tree(&[("40000", "a"), ("100644", "a")]),
        tree(&[("160000", "a"), ("40000", "a")]),
        tree(&[("040000", "a")]),
        tree(&[("0", "a")]),
        tree(&[("100644", "a"), ("0100644", "b")]),
        tree(&[("100664", "a")]),
        tree(&[("100600", "a")]),
        tree(&[("120777", ".gitmodules")]),
        tree(&[("777", "a")]),
        tree(&[("100644", "")]),
        tree(&[("100644", "a/b")]),
        tree(&[("100644", ".")]),
        tree(&[("40000", "..")]),
        tree(&[("40000", ".git")]),
        tree(&[("40000", ".git/hooks")]),
        tree(&[("100644", &long)]),
        tree(&[("100644", &just)]),
        tree(&[("100648", "a")]),
        tree(&[("", "a")]),
        (Kind::Tree, entry("100644", b"a", ZEROS.parse().unwrap())),
        (Kind::Tree, entry("100644", b"a", id())[..20].to_vec()),
        (Kind::Tree, b"100644 a".to_vec()),
        (Kind::Tree, b"nonsense".to_vec()),
    ];
    for mode in ["100644", "120000", "40000"] {
        for name in [".gitmodules", ".gitattributes", ".gitignore", ".mailmap"] {
            // Of those that are no blobs git speaks when it reads them; they are not there.
            if mode != "40000" || name == ".gitignore" || name == ".mailmap" {
                trees.push(tree(&[(mode, name)]));
            }
        }
    }
    trees
}

pub(super) fn names() -> Vec<(Kind, Vec<u8>)> {
    let names: &[&[u8]] = &[
        b".GIT",
        b".Git ",
        b".git.",
        b".git. .",
        b".git::$INDEX",
        b".git\\foo",
        b".gitx",
        b".git x",
        b"git~1",
        b"GIT~1",
        b"git~1 .",
        b"git~2",
        b"git~11",
        b"x.git",
        b"git",
        ".g\u{200c}it".as_bytes(),
        "\u{200d}.git".as_bytes(),
        "\u{feff}.GiT\u{206f}".as_bytes(),
        ".g\u{200b}it".as_bytes(),
        ".git\u{fdd0}".as_bytes(),
        b".git\xff",
        b".g\xffit",
        "\u{e9}.git".as_bytes(),
        "\u{200c}".as_bytes(),
        ".gi\u{130}".as_bytes(),
        b"a\\.git",
        b"a\\.git\\b",
        b"a\\git~1",
        b"a\\.gitmodules",
        b"a\\.gitattributes",
        b"a\\b",
        b".GITMODULES",
        b".gitmodules ",
        b".gitmodules:x",
        b".gitmodules.x",
        b"gitmod~1",
        b"GITMOD~4",
        b"gitmod~5",
        b"gi7eba~1",
        b"gi7eb~12",
        b"gi7e~123",
        b"g~123456",
        b"~1000000",
        b"~0000000",
        b"gi7eba~0",
        b"gi7eba~",
        b"gi7ebaa~",
        b"gi7eba~1 .:x",
        b"gitmod~1x",
        b"GI7EBA~9",
        ".git\u{200c}modules".as_bytes(),
        b"gitatt~1",
        b"gi7d29~1",
        b"GI7D29~1.",
        b"gi7d29~",
        b"gitign~1",
        b"gi250a~1",
        b"mailma~1",
        b"maba30~1",
        b"MABA30~9",
        b"maba3~10",
        b"mailmap",
        ".mail\u{feff}map".as_bytes(),
        ".gitattributes\u{206a}".as_bytes(),
        b".gitignore...",
    ];
    let in_mode =
        |mode: &'static str| names.iter().map(move |name| (Kind::Tree, entry(mode, name, id())));
    // Those that are blobs are not there, and git says so at the end of some other line.
    in_mode("120000").chain(in_mode("100644")).collect()
}

fn commit(lines: &[&str]) -> (Kind, Vec<u8>) {
    (Kind::Commit, format!("{}\n\nwords\n", lines.join("\n")).into_bytes())
}

// One id for each kind, because git remembers what an id was said to be.
const TREE: &str = "tree 2222222222222222222222222222222222222222";
const AUTHOR: &str = "author A U Thor <a@example.com> 1700000000 +0100";
const COMMITTER: &str = "committer C O Mitter <c@example.com> 1700000000 -0030";

pub(super) fn sound_commit() -> (Kind, Vec<u8>) {
    let parent = format!("parent {}", ID.replace('1', "3"));
    commit(&[TREE, &parent, &parent.replace('3', "4"), AUTHOR, COMMITTER, "encoding UTF-8"])
}

/// Identities, each with something of its own.
const IDENTITIES: &[&str] = &[
    "A U Thor <a@b> 1700000000 +0100",
    "A <a@b> 1 +0000",
    "A <> 1 +0000",
    " <a@b> 1 +0000",
    "<a@b> 1 +0000",
    "A<a@b> 1 +0000",
    "A> <a@b> 1 +0000",
    "A a@b 1 +0000",
    "A <a@b 1 +0000",
    "A <a<b> 1 +0000",
    "A <a@b>1 +0000",
    "A <a@b> ",
    "A <a@b>",
    "A <a@b>  1 +0000",
    "A <a@b> \t1 +0000",
    "A <a@b> x +0000",
    "A <a@b> -1 +0000",
    "A <a@b> 01 +0000",
    "A <a@b> 0 +0000",
    "A <a@b> 00 +0000",
    "A <a@b> 0",
    "A <a@b> 1",
    "A <a@b> 1x +0000",
    "A <a@b> 9223372036854775807 +0000",
    "A <a@b> 9223372036854775808 +0000",
    "A <a@b> 99999999999999999999999 +0000",
    "A <a@b> 1 0000",
    "A <a@b> 1 +000",
    "A <a@b> 1 +00000",
    "A <a@b> 1 +0000 ",
    "A <a@b> 1 -00x0",
    "A <a@b> 1  +0000",
    "",
];

pub(super) fn commits() -> Vec<(Kind, Vec<u8>)> {
    let bad_id = "tree 11111";
    let mut commits = vec![
        sound_commit(),
        commit(&[AUTHOR, COMMITTER]),
        commit(&[bad_id, AUTHOR, COMMITTER]),
        commit(&[&TREE.replace("222", "abC"), AUTHOR, COMMITTER]),
        commit(&[&format!("{TREE} "), AUTHOR, COMMITTER]),
        commit(&[&format!("{TREE}1"), AUTHOR, COMMITTER]),
        commit(&[TREE, "parent 12", AUTHOR, COMMITTER]),
        commit(&[TREE, COMMITTER]),
        commit(&[TREE, AUTHOR]),
        commit(&[TREE, AUTHOR, AUTHOR, COMMITTER]),
        commit(&[TREE, AUTHOR, "parent 12", COMMITTER]),
        (Kind::Commit, format!("{TREE}\n{AUTHOR}\n{COMMITTER}\n").into_bytes()),
        (Kind::Commit, format!("{TREE}\n{AUTHOR}\n{COMMITTER}").into_bytes()),
        (Kind::Commit, format!("{TREE}\n{AUTHOR}\n{COMMITTER}\n\nno\0 words").into_bytes()),
        (Kind::Commit, format!("{TREE}\n{AUTHOR}\0\n{COMMITTER}\n\nwords").into_bytes()),
        (Kind::Commit, Vec::new()),
        (Kind::Commit, b"\n".to_vec()),
        (Kind::Commit, b"\n\n".to_vec()),
    ];
    for identity in IDENTITIES {
        commits.push(commit(&[TREE, &format!("author {identity}"), COMMITTER]));
        commits.push(commit(&[TREE, AUTHOR, &format!("committer {identity}")]));
    }
    commits
}

const OBJECT: &str = "object 3333333333333333333333333333333333333333";
const TAGGER: &str = "tagger A U Thor <a@example.com> 1700000000 +0100";

fn tag(lines: &[&str]) -> (Kind, Vec<u8>) {
    (Kind::Tag, commit(lines).1)
}

pub(super) fn sound_tag() -> (Kind, Vec<u8>) {
    tag(&[OBJECT, "type commit", "tag v1.0", TAGGER])
}

pub(super) fn tags() -> Vec<(Kind, Vec<u8>)> {
    let mut tags = vec![
        sound_tag(),
        tag(&["type commit", "tag v1.0", TAGGER]),
        tag(&["object 12", "type commit", "tag v1.0", TAGGER]),
        tag(&[OBJECT, "tag v1.0", TAGGER]),
        tag(&[OBJECT, "type thing", "tag v1.0", TAGGER]),
        tag(&[OBJECT, "type commit", TAGGER]),
        tag(&[OBJECT, "type commit", "tag v1.0"]),
        tag(&[OBJECT, "type commit", "tag v1.0", TAGGER, "extra header"]),
        tag(&[OBJECT, "type commit", "tag v1.0", "tagger A <a@b>"]),
        (Kind::Tag, format!("{OBJECT}\ntype commit\n").into_bytes()),
        (Kind::Tag, format!("{OBJECT}\ntype commit\ntag x\n{TAGGER}\n").into_bytes()),
        (Kind::Tag, format!("{OBJECT}\ntype commit\ntag x\n{TAGGER}").into_bytes()),
    ];
    let names = [
        "",
        ".",
        "a..b",
        "a//b",
        "/a",
        "a/",
        "a/.b",
        "a.lock",
        "a.lock/b",
        "a b",
        "a~1",
        "a^",
        "a:b",
        "a?",
        "a*",
        "a[",
        "a\\b",
        "a@{b",
        "@",
        "a@b",
        "a.",
        "-a",
        "a\tb",
        "a\u{7f}",
        "\u{e9}t\u{e9}",
    ];
    for name in names {
        tags.push(tag(&[OBJECT, "type commit", &format!("tag {name}"), TAGGER]));
    }
    tags
}

pub(super) fn special_blobs() -> Vec<(Kind, Vec<u8>)> {
    let submodule = |lines: &str| format!("[submodule \"a\"]\n{lines}\n");
    let mut modules: Vec<String> = [
        "path = a\n\turl = https://example.com/a.git",
        "path = -a",
        "path = \"-a\"",
        "path",
        "path = a # -",
        "update = !rm",
        "update = none",
        "UPDATE = \"!rm\"",
        "update = \\\n!rm",
        "[submodule \"b\"] update = !rm",
        "nonsense here",
        "key = \"open",
        "key = \\q",
        "key = a\\",
        "1 = 2",
        "key-1 = a",
        "k;ey = a",
        "key=a;b",
        "; comment",
        "key = \"a\" b",
    ]
    .map(submodule)
    .into();
    for url in [
        "-u./payload",
        "../a",
        "./a",
        "./-a",
        "../../a",
        "../:a",
        ".././../:a",
        "..//a",
        "./:a",
        "./%0aa",
        "./%0Aa",
        "..\\\\:a",
        "git://a/%0ahost=b",
        "git://a/b",
        "http://a/%0a",
        "http://a/b",
        "https:///a",
        "https://",
        "http://:80/a",
        "http://a:0/",
        "http://a:70000/",
        "http://a:x/",
        "http://u%@a/",
        "http://u%41@a/%zz",
        "http::https://a/b",
        "http::a/b",
        "https::http://a%0a/",
        "ftp://a",
        "ftps://%0a",
        "ssh://-oProxy",
        "ssh://a/%0a",
        "a@b:c",
        "file:///a%0a",
        "http://a_b/",
        "http://a!b/",
        "http://[::1]/",
        "http://[::1]:80/",
        "http://a?%",
        "http://a#%41",
        "HTTP://a/%0a",
        "http:a",
        "http://a:/",
        "http://a:00080/",
        "http://a b/",
        "http://a/b c",
    ] {
        modules.push(submodule(&format!("url = \"{url}\"")));
    }
    for section in [
        "[submodule \"..\"]",
        "[submodule \"../a\"]",
        "[submodule \"a/..\"]",
        "[submodule \"a\\\\..\"]",
        "[submodule \"a/../b\"]",
        "[submodule \"a..b\"]",
        "[submodule \"\"]",
        "[submodule]",
        "[submodule.a/b]",
        "[SUBMODULE \"..\"]",
        "[submodule...]",
        "[submodule \"a\\\"]",
        "[other \"..\"]",
        "[submodule \"a]",
        "[submodule \"a\" ]",
        "[submodule  \"..\"] path = -a",
        "[submodule.sub \"..\"]",
        "[submodule\t\"..\"]",
        "[sub module]",
        "[submodule",
    ] {
        modules.push(format!("{section}\n\tpath = x\n"));
    }
    modules.push("[submodule \"a\"]\r\n\tpath = -a\r\n".to_owned());
    modules.push(String::new());
    modules.push("path = -a\n".to_owned());
    let attributes = [
        "* text\n".to_owned(),
        "x".repeat(2047),
        "x".repeat(2048),
        format!("{}\na", "x".repeat(3000)),
    ];
    let mut objects = Vec::new();
    for (name, texts) in [(".gitmodules", modules), (".gitattributes", attributes.into())] {
        for text in texts {
            let id = id_of(HashAlgorithm::Sha1, Kind::Blob, text.as_bytes());
            objects.push((Kind::Tree, entry("100644", name.as_bytes(), id)));
            objects.push((Kind::Blob, text.into_bytes()));
        }
    }
    objects
}
