//! Whatever a manifest's text is, reading it neither panics nor takes memory that the text
//! does not justify, and what it accepts is the one text of what it returns.
//!
//! A fuzzer's work, done as a property: texts of valid manifests are cut, spliced, reordered
//! and given numbers, names and bytes that a careless reader trips over. `PROPTEST_CASES`
//! sets how many are tried.

use std::collections::{BTreeMap, BTreeSet};

use gitstratum::transfer::manifest::{
    Head, Manifest, ManifestError, ObjectList, Reference, Target,
};
use gitstratum_core::limits;
use gitstratum_core::object::{HashAlgorithm, ObjectId};
use gitstratum_proptests::algorithms;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::allocations::most_held;

/// Memory that a byte of text justifies: the shortest reference has 22 bytes, the value that
/// it becomes 100 with its names, and a vector that grows holds it three times.
const HELD_PER_BYTE: u64 = 16;
/// Memory that any text justifies: the first few elements of each vector, and an error.
const HELD_ANYWAY: u64 = 2_048;

/// Names of parts of every length that is allowed, and of bytes that are no text.
fn names() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        8 => b'a'..=b'z',
        1 => select(b"0129-_+@%AZ".to_vec()),
        1 => 0x80..=0xff_u8,
    ];
    let begin = select(vec!["refs/", "refs/heads/", "refs/tags/v", "refs/remotes/origin/"]);
    let longest = limits::REF_NAME_BYTES_MAX;
    prop_oneof![
        12 => (begin, vec(byte, 1..20)).prop_map(|(begin, end)| [begin.as_bytes(), &end].concat()),
        1 => (longest - 1..=longest).prop_map(|len| [&b"refs/"[..], &vec![b'n'; len - 5]].concat()),
    ]
}

fn ids(algorithm: HashAlgorithm) -> impl Strategy<Value = ObjectId> {
    let bytes = match algorithm {
        HashAlgorithm::Sha1 => 20,
        HashAlgorithm::Sha256 => 32,
    };
    vec(any::<u8>(), bytes).prop_map(|raw| ObjectId::from_bytes(&raw).expect("so long is an id"))
}

fn lists(algorithm: HashAlgorithm) -> impl Strategy<Value = Vec<ObjectList>> {
    let most = limits::MANIFEST_LIST_IDS_MAX as u64;
    let counts = prop_oneof![Just(1), 1..=most, Just(most)];
    let list = (ids(algorithm), counts).prop_map(|(id, count)| ObjectList { id, count });
    vec(list, 0..6)
}

fn heads(algorithm: HashAlgorithm) -> impl Strategy<Value = Head> {
    prop_oneof![names().prop_map(|name| Head::Ref(name.into())), ids(algorithm).prop_map(Head::Id),]
}

fn targets(algorithm: HashAlgorithm) -> impl Strategy<Value = Target> {
    prop_oneof![
        3 => ids(algorithm).prop_map(Target::Id),
        1 => names().prop_map(|name| Target::Symbolic(name.into())),
    ]
}

/// Manifests of every shape: nothing at all, a part of each, hundreds of references.
fn manifests() -> impl Strategy<Value = Manifest> {
    algorithms().prop_flat_map(|algorithm| {
        let shallow = vec(ids(algorithm), 0..4);
        let many = prop_oneof![8 => 0..6_usize, 1 => Just(300)];
        let refs = many.prop_flat_map(move |many| vec((names(), targets(algorithm)), many));
        let missing = prop_oneof![3 => Just(0), 1 => any::<u64>()];
        (lists(algorithm), heads(algorithm), shallow, refs, missing).prop_map(
            move |(lists, head, shallow, refs, missing)| Manifest {
                algorithm,
                missing,
                objects: lists.iter().map(|list| list.count).sum(),
                lists,
                head,
                shallow: shallow.into_iter().collect::<BTreeSet<_>>().into_iter().collect(),
                refs: refs
                    .into_iter()
                    .collect::<BTreeMap<_, _>>()
                    .into_iter()
                    .map(|(name, target)| Reference { name: name.into(), target })
                    .collect(),
            },
        )
    })
}

/// One thing that is done to a text.
#[derive(Clone, Debug)]
enum Change {
    Flip {
        at: Index,
        bit: u8,
    },
    Cut {
        at: Index,
    },
    /// Bytes put between two others.
    Insert {
        at: Index,
        bytes: Vec<u8>,
    },
    /// A piece of another manifest takes the place of as much of this one.
    Splice {
        at: Index,
        begin: Index,
        len: usize,
    },
    Duplicate {
        line: Index,
    },
    Remove {
        line: Index,
    },
    /// With the line behind it.
    Exchange {
        line: Index,
    },
    /// A line's last word becomes another.
    Word {
        line: Index,
        word: Vec<u8>,
    },
    /// Something before a line's last word, or behind it.
    Respell {
        line: Index,
        before: bool,
        with: &'static str,
    },
    /// Every count becomes this one, so that those of a manifest with one list agree.
    Counts {
        number: u64,
    },
    /// Every line ends as on another system.
    Carriages,
}

/// Numbers, names and ids that a careless reader trips over.
fn words() -> impl Strategy<Value = Vec<u8>> {
    let numbers = [
        "0",
        "1",
        "00",
        "01",
        "+1",
        "-1",
        "1e9",
        "0x10",
        "16384",
        "16385",
        "4294967296",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999999999999999999",
    ];
    let bad = [
        "",
        "refs/",
        "refs//a",
        "refs/heads/..",
        "refs/../config",
        "/etc/passwd",
        "refs/a.lock",
        "refs/heads/@{",
        "end",
        "list",
        "ref",
        "symref",
        "a b",
        "\u{e9}",
        "refs/\u{e9}",
    ];
    let long = limits::REF_NAME_BYTES_MAX;
    prop_oneof![
        3 => select(numbers.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        2 => select(bad.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop_oneof![long - 4..long + 4, Just(200_000)]
            .prop_map(|len| [&b"refs/"[..], &vec![b'n'; len]].concat()),
        1 => vec(any::<u8>(), 0..80),
        1 => "[0-9a-fA-F]{39,41}|[0-9a-f]{63,65}".prop_map(String::into_bytes),
    ]
}

fn changes() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    let bytes = prop_oneof![
        select(vec![&b"\0"[..], b"\n", b"\r", b" ", b"\xff", b"\xc3", b"\t", b"\n\n", b" \n"])
            .prop_map(<[u8]>::to_vec),
        vec(any::<u8>(), 1..20),
    ];
    prop_oneof![
        3 => (at(), 0..8_u8).prop_map(|(at, bit)| Change::Flip { at, bit }),
        1 => at().prop_map(|at| Change::Cut { at }),
        2 => (at(), bytes).prop_map(|(at, bytes)| Change::Insert { at, bytes }),
        2 => (at(), at(), 1..400_usize)
            .prop_map(|(at, begin, len)| Change::Splice { at, begin, len }),
        1 => at().prop_map(|line| Change::Duplicate { line }),
        1 => at().prop_map(|line| Change::Remove { line }),
        2 => at().prop_map(|line| Change::Exchange { line }),
        3 => (at(), any::<bool>(), select(vec!["0", "+", " ", "\r", "/"]))
            .prop_map(|(line, before, with)| Change::Respell { line, before, with }),
        5 => (at(), words()).prop_map(|(line, word)| Change::Word { line, word }),
        1 => prop_oneof![Just(0), 16_384..16_387_u64, Just(u64::MAX), any::<u64>()]
            .prop_map(|number| Change::Counts { number }),
        1 => Just(Change::Carriages),
    ]
}

fn apply(change: &Change, text: &mut Vec<u8>, other_text: &[u8]) {
    if text.is_empty() {
        return;
    }
    let len = text.len();
    match change {
        Change::Flip { at, bit } => text[at.index(len)] ^= 1 << bit,
        Change::Cut { at } => text.truncate(at.index(len)),
        Change::Insert { at, bytes } => {
            let at = at.index(len + 1);
            text.splice(at..at, bytes.iter().copied());
        }
        Change::Splice { at, begin, len: piece } => {
            let (at, begin) = (at.index(len), begin.index(other_text.len()));
            let piece = &other_text[begin..(begin + piece).min(other_text.len())];
            text.splice(at..(at + piece.len()).min(len), piece.iter().copied());
        }
        _ => {
            let mut lines: Vec<Vec<u8>> =
                text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            change_lines(change, &mut lines);
            *text = lines.concat();
        }
    }
}

fn change_lines(change: &Change, lines: &mut Vec<Vec<u8>>) {
    let count = lines.len();
    match change {
        Change::Duplicate { line } => {
            lines.insert(line.index(count), lines[line.index(count)].clone())
        }
        Change::Remove { line } => drop(lines.remove(line.index(count))),
        Change::Exchange { line } => {
            let line = line.index(count);
            lines.swap(line, (line + 1).min(count - 1));
        }
        Change::Word { line, word } => {
            let line = &mut lines[line.index(count)];
            line.truncate(last_word(line));
            line.extend(word);
            line.push(b'\n');
        }
        Change::Respell { line, before, with } => {
            let line = &mut lines[line.index(count)];
            let at = if *before { last_word(line) } else { line.len() - 1 };
            line.splice(at..at, with.bytes());
        }
        Change::Counts { number } => {
            let counts =
                |line: &&mut Vec<u8>| line.starts_with(b"objects ") || line.starts_with(b"list ");
            for line in lines.iter_mut().filter(counts) {
                line.truncate(last_word(line));
                line.extend(format!("{number}\n").bytes());
            }
        }
        Change::Carriages => {
            for line in lines.iter_mut().filter(|line| line.ends_with(b"\n")) {
                line.insert(line.len() - 1, b'\r');
            }
        }
        _ => unreachable!("it is no change of lines"),
    }
}

/// Where a line's last word begins.
fn last_word(line: &[u8]) -> usize {
    line.iter().rposition(|byte| *byte == b' ').map_or(0, |space| space + 1)
}

/// What is wrong with a manifest that was accepted.
fn problem(manifest: &Manifest) -> Option<&'static str> {
    // Any number may be missing.
    let Manifest { algorithm, objects, missing: _, lists, head, shallow, refs } = manifest;
    let ref_ids = refs.iter().filter_map(|reference| match &reference.target {
        Target::Id(id) => Some(id),
        Target::Symbolic(_) => None,
    });
    let head_id = match head {
        Head::Id(id) => Some(id),
        Head::Ref(_) => None,
    };
    let mut ids = lists.iter().map(|list| &list.id).chain(head_id).chain(shallow).chain(ref_ids);
    let counts = 1..=limits::MANIFEST_LIST_IDS_MAX as u64;
    if ids.any(|id| id.algorithm() != *algorithm) {
        return Some("an id is of another algorithm");
    }
    if lists.iter().any(|list| !counts.contains(&list.count)) {
        return Some("a list is empty, or too long");
    }
    if lists.iter().map(|list| list.count).sum::<u64>() != *objects {
        return Some("the lists have another number of objects");
    }
    if !shallow.is_sorted_by(|one, next| one < next) {
        return Some("shallow commits do not ascend");
    }
    if !refs.is_sorted_by(|one, next| one.name < next.name) {
        return Some("references do not ascend");
    }
    let names = refs.iter().flat_map(|reference| match &reference.target {
        Target::Id(_) => vec![&reference.name],
        Target::Symbolic(target) => vec![&reference.name, target],
    });
    let head_name = match head {
        Head::Ref(name) => Some(name),
        Head::Id(_) => None,
    };
    names.chain(head_name).find_map(|name| {
        let outside = !name.starts_with(b"refs/") || name.ends_with(b"/");
        let climbs = name.windows(2).any(|pair| pair == b".." || pair == b"//");
        let control = name.iter().any(|byte| *byte <= b' ' || *byte == 0x7f);
        let long = name.len() > limits::REF_NAME_BYTES_MAX;
        (outside || climbs || control || long).then_some("a name may lead anywhere")
    })
}

/// Reads a text within the memory that it justifies.
fn read(text: &[u8]) -> Result<Result<Manifest, ManifestError>, TestCaseError> {
    let (read, held) = most_held(|| Manifest::parse(text));
    let justified = HELD_ANYWAY + HELD_PER_BYTE * text.len() as u64;
    prop_assert!(held <= justified, "{held} bytes were held to read {} bytes", text.len());
    Ok(read)
}

proptest! {
    #[test]
    fn a_manifest_is_read_back_from_its_text(manifest in manifests()) {
        prop_assert_eq!(read(&manifest.encode())?, Ok(manifest));
    }

    #[test]
    fn the_reader_of_manifests_survives_whatever_is_in_them(
        (manifest, other) in (manifests(), manifests()),
        tries in vec(vec(changes(), 1..4), 1..16),
    ) {
        let other = other.encode();
        for changes in &tries {
            let mut text = manifest.encode();
            changes.iter().for_each(|change| apply(change, &mut text, &other));
            let lines = text.split(|byte| *byte == b'\n').count();
            match read(&text)? {
                Ok(manifest) => {
                    prop_assert_eq!(problem(&manifest), None, "in what was accepted");
                    prop_assert_eq!(manifest.encode(), text, "two texts of one manifest");
                }
                Err(ManifestError::Line { line, .. } | ManifestError::Ended { line, .. }) => {
                    prop_assert!((1..=lines).contains(&line), "line {line} of {lines}");
                }
                Err(error) => prop_assert!(false, "{error}"),
            }
        }
    }

    #[test]
    fn the_reader_of_manifests_survives_what_is_none(text in vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&text)?.is_err());
    }
}

#[test]
fn a_text_that_is_too_long_is_refused_before_it_is_looked_at() {
    let text = vec![b'\n'; limits::MANIFEST_BYTES_MAX + 1];
    let (refused, held) = most_held(|| Manifest::parse(&text));
    assert_eq!((refused, held), (Err(ManifestError::TooLong(text.len() as u64)), 0));
}
