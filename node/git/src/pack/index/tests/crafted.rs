//! Packs made by hand: what git would not send, and what nobody should.

use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};

use super::{Feed, IndexLimits, Indexer, Objects, Outcome, index, resolve};
use crate::fsck::{MessageId, Policy};
use crate::pack::PackError;
use crate::pack::delta::DeltaError;
use crate::pack::entry::EntryKind;
use crate::pack::fixture::{PackBuilder, deflated, delta, id_of, sealed};

const SHA1: HashAlgorithm = HashAlgorithm::Sha1;
const WHOLE_BLOB: EntryKind = EntryKind::Whole(Kind::Blob);

fn blob_id(data: &[u8]) -> ObjectId {
    id_of(SHA1, Kind::Blob, data)
}

fn indexed(pack: &[u8]) -> Result<Outcome, PackError> {
    index(SHA1, pack, &Objects::new(), Feed::default())
}

fn refused(pack: &[u8]) -> PackError {
    let errors: Vec<PackError> = [1, 1 << 20]
        .into_iter()
        .map(|part| {
            let feed = Feed { part, ..Feed::default() };
            index(SHA1, pack, &Objects::new(), feed).err().expect("it is refused")
        })
        .collect();
    assert_eq!(errors[0], errors[1], "however it is cut");
    errors.into_iter().next().unwrap()
}

fn limited(limits: IndexLimits) -> Feed {
    Feed { limits, ..Feed::default() }
}

/// A tree of these files.
fn tree(entries: &[(&str, &str, ObjectId)]) -> Vec<u8> {
    let mut data = Vec::new();
    for (mode, name, id) in entries {
        data.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        data.extend_from_slice(id.as_bytes());
    }
    data
}

fn commit(tree: ObjectId) -> Vec<u8> {
    format!("tree {tree}\nauthor A <a> 1 +0000\ncommitter A <a> 1 +0000\n\nwords\n").into_bytes()
}

#[test]
fn a_pack_of_nothing_is_a_pack() {
    let Outcome { indexed, body } = indexed(&PackBuilder::new(SHA1).pack()).unwrap();
    assert!(indexed.objects.is_empty() && body.is_empty());
}

#[test]
fn chains_of_deltas_are_as_long_as_they_like() {
    const LINKS: usize = 20_000;
    for forward in [true, false] {
        let mut builder = PackBuilder::new(SHA1);
        let text = |link: usize| format!("{link:08}").into_bytes();
        let delta_of = |link: usize| delta(8, &[], &text(link));
        if forward {
            let mut base = builder.object(Kind::Blob, &text(0)).0;
            for link in 1..LINKS {
                base = builder.entry(EntryKind::OfsDelta { base }, &delta_of(link));
            }
        } else {
            // Each before the one that it builds on, so that none can be resolved as it comes.
            for link in (1..LINKS).rev() {
                let base = blob_id(&text(link - 1));
                builder.entry(EntryKind::RefDelta { base }, &delta_of(link));
            }
            builder.object(Kind::Blob, &text(0));
        }
        let no_cache = IndexLimits { cache_bytes: 0, ..IndexLimits::default() };
        for limits in [IndexLimits::default(), no_cache] {
            let found = index(SHA1, &builder.pack(), &Objects::new(), limited(limits)).unwrap();
            let objects = found.indexed.objects;
            assert_eq!(objects.len(), LINKS);
            for (at, object) in objects.iter().enumerate() {
                let link = if forward { at } else { LINKS - 1 - at };
                assert_eq!(object.id, blob_id(&text(link)));
                let base = if forward { at.wrapping_sub(1) } else { at + 1 };
                assert_eq!(object.base, (link > 0).then_some(base as u32));
            }
            // Whatever is lost from the cache, nothing is made anew in a chain without branches.
            assert!(found.indexed.inflated_bytes < 100 * LINKS as u64);
        }
    }
}

#[test]
fn deltas_that_need_each_other_are_missing_bases() {
    let (one, other) = (b"one of them".to_vec(), b"the other".to_vec());
    let mut builder = PackBuilder::new(SHA1);
    let kind = |base: &[u8]| EntryKind::RefDelta { base: blob_id(base) };
    builder.entry(kind(&other), &delta(other.len(), &[], &one));
    builder.entry(kind(&one), &delta(one.len(), &[], &other));
    let pack = builder.pack();
    let PackError::MissingBases { ids, count: 2, deltas: 2 } = refused(&pack) else {
        panic!("two bases are missing");
    };
    assert_eq!(ids, [blob_id(&other), blob_id(&one)]);
    // With one of them in the repository the other can be made, and that one again: it is there
    // twice then, and following bases ends.
    let data = Bytes::from(other.clone());
    let repository = Objects::from([(blob_id(&other), (Kind::Blob, data))]);
    let Outcome { indexed, .. } = index(SHA1, &pack, &repository, Feed::default()).unwrap();
    assert_eq!(indexed.duplicates, 1);
    let found: Vec<_> =
        indexed.objects.iter().map(|object| (object.id, object.base, object.appended)).collect();
    assert_eq!(found, [(blob_id(&one), Some(1), false), (blob_id(&other), None, true)]);
}

#[test]
fn an_object_that_comes_twice_is_indexed_once() {
    let (data, second) = (b"data ".repeat(20), b"more".to_vec());
    let mut builder = PackBuilder::new(SHA1);
    let (_, id) = builder.object(Kind::Blob, &data);
    let (again, _) = builder.object(Kind::Blob, &data);
    let on_again = delta(data.len(), &[(0, 10)], &second);
    builder.entry(EntryKind::OfsDelta { base: again }, &on_again);
    builder.entry(EntryKind::RefDelta { base: id }, &delta(data.len(), &[(0, 10)], b"x"));
    let (tree_id, tree) = {
        let data = tree(&[("100644", "a", id)]);
        (builder.object(Kind::Tree, &data).1, data)
    };
    builder.object(Kind::Tree, &tree);
    builder.object(Kind::Commit, &commit(tree_id));
    builder.object(Kind::Commit, &commit(tree_id));
    let Outcome { indexed, body } = indexed(&builder.pack()).unwrap();
    assert_eq!((indexed.objects.len(), indexed.duplicates), (5, 3));
    assert_eq!(indexed.objects[1].base, Some(0));
    assert_eq!(indexed.objects[1].entry, EntryKind::OfsDelta { base: again });
    assert_eq!(indexed.objects[2].base, Some(0));
    assert_eq!(indexed.commits().map(|commit| commit.position).collect::<Vec<_>>(), [4]);
    // The entry that is left out belongs to none.
    let covered: u64 = indexed.objects.iter().map(|object| object.packed_len).sum();
    assert!(covered < body.len() as u64 && indexed.missing.is_empty());
}

#[test]
fn sizes_and_places_that_are_not_true_are_refused() {
    let base = b"0123456789";
    let packed = deflated(base);
    let with_base = |kind: fn(u64) -> EntryKind, delta: &[u8]| {
        let mut builder = PackBuilder::new(SHA1);
        let (offset, _) = builder.object(Kind::Blob, base);
        let at = builder.entry(kind(offset), delta);
        (builder.pack(), at)
    };
    let mut builder = PackBuilder::new(SHA1);
    builder.raw(WHOLE_BLOB, 9, &packed);
    assert_eq!(
        refused(&builder.pack()),
        PackError::EntrySize { offset: 0, claimed: 9, actual: 10 }
    );
    for (claimed, limits) in [(11, IndexLimits::default()), (1 << 39, IndexLimits::default())] {
        let mut builder = PackBuilder::new(SHA1);
        builder.raw(WHOLE_BLOB, claimed, &packed);
        let error = index(SHA1, &builder.pack(), &Objects::new(), limited(limits)).err().unwrap();
        assert_eq!(error, PackError::EntrySize { offset: 0, claimed, actual: 10 });
    }
    let ofs = |base| EntryKind::OfsDelta { base };
    let (pack, at) = with_base(ofs, &delta(9, &[(0, 5)], b"x"));
    let source = DeltaError::BaseSize { claimed: 9, actual: 10 };
    assert_eq!(refused(&pack), PackError::Delta { offset: at, source });
    let (pack, at) = with_base(ofs, &delta(10, &[(6, 5)], b"x"));
    assert_eq!(refused(&pack), PackError::Delta { offset: at, source: DeltaError::CopyPastEnd });
    let (pack, at) =
        with_base(|base| EntryKind::OfsDelta { base: base + 1 }, &delta(10, &[], b"x"));
    assert_eq!(refused(&pack), PackError::BaseOffset { offset: at, distance: at - 1 });
    let mut builder = PackBuilder::new(SHA1);
    builder.object(Kind::Blob, base);
    builder.body.extend_from_slice(&[0x64, 0x7f]);
    builder.objects += 1;
    assert!(matches!(refused(&builder.pack()), PackError::BaseOffset { distance: 127, .. }));
}

#[test]
fn counts_that_are_not_true_are_refused() {
    let mut builder = PackBuilder::new(SHA1);
    builder.object(Kind::Blob, b"one");
    builder.object(Kind::Blob, b"two");
    assert!(matches!(refused(&sealed(SHA1, 3, &builder.body)), PackError::Ended(_)));
    assert!(matches!(refused(&sealed(SHA1, 1, &builder.body)), PackError::TrailingBytes { .. }));
    assert!(matches!(refused(&sealed(SHA1, 0, &builder.body)), PackError::TrailingBytes { .. }));
    let most = sealed(SHA1, u32::MAX, &builder.body);
    assert!(matches!(refused(&most), PackError::TooManyObjects { .. }));
}

#[test]
fn zlib_data_that_asks_for_a_dictionary_or_is_none_is_refused() {
    for packed in [&b"\x78\xbb\0\0\0\0"[..], b"\x78\x9c\xff\xff\xff\xff", b"nonsense", &[0; 64]] {
        let mut builder = PackBuilder::new(SHA1);
        builder.raw(WHOLE_BLOB, 10, packed);
        assert!(matches!(refused(&builder.pack()), PackError::Inflate { offset: 0 }));
    }
}

#[test]
fn bombs_go_off_at_the_limits() {
    let limits = IndexLimits {
        delta_bytes: 1 << 20,
        structured_bytes: 100 << 10,
        inflated_bytes: 64 << 20,
        blob_held_bytes: 4 << 10,
        ..IndexLimits::default()
    };
    let zeros = vec![0; 32 << 20];
    let run = |builder: &PackBuilder| {
        index(SHA1, &builder.pack(), &Objects::new(), limited(limits)).map(|found| found.indexed)
    };
    // A large blob streams through, up to what all may come to.
    let mut builder = PackBuilder::new(SHA1);
    builder.object(Kind::Blob, &zeros);
    assert_eq!(run(&builder).unwrap().objects[0].id, blob_id(&zeros));
    builder.object(Kind::Blob, &zeros[1..]);
    builder.object(Kind::Blob, &zeros[2..]);
    assert_eq!(run(&builder).err(), Some(PackError::TooMuchWork { max: 64 << 20 }));
    // As a base it would have to be held.
    let mut builder = PackBuilder::new(SHA1);
    let (base, _) = builder.object(Kind::Blob, &zeros);
    builder.entry(EntryKind::OfsDelta { base }, &delta(zeros.len(), &[(0, 10)], b""));
    assert!(matches!(run(&builder).err(), Some(PackError::ObjectTooLarge { offset: 0, .. })));
    // Trees are refused by what they say.
    let mut builder = PackBuilder::new(SHA1);
    builder.raw(EntryKind::Whole(Kind::Tree), 100 << 20, &deflated(b""));
    assert!(matches!(run(&builder).err(), Some(PackError::ObjectTooLarge { .. })));
    // Deltas of some bytes that double what they build on.
    for kind in [Kind::Blob, Kind::Tree] {
        let mut builder = PackBuilder::new(SHA1);
        let data = match kind {
            Kind::Tree => tree(&[("100644", &"n".repeat(32_000), blob_id(b"x"))]),
            _ => vec![7; 32_768],
        };
        let (mut base, _) = builder.object(kind, &data);
        let mut len = data.len();
        for _ in 0..7 {
            let copies: Vec<_> =
                (0..len).step_by(32_768).map(|at| (at, 32_768.min(len - at))).collect();
            let twice = [&copies[..], &copies].concat();
            base = builder.entry(EntryKind::OfsDelta { base }, &delta(len, &twice, b""));
            len *= 2;
        }
        let error = run(&builder).err();
        assert!(
            matches!(error, Some(PackError::ObjectTooLarge { .. } | PackError::Fsck(_))),
            "{error:?}"
        );
    }
    // And many that come to a large object each.
    let mut builder = PackBuilder::new(SHA1);
    let data = vec![7; 1 << 20];
    let (base, _) = builder.object(Kind::Blob, &data);
    let copies: Vec<_> = (0..15).map(|at| (at << 16, 1 << 16)).collect();
    for number in 0..1000u32 {
        let delta = delta(data.len(), &copies, &number.to_le_bytes());
        builder.entry(EntryKind::OfsDelta { base }, &delta);
    }
    assert_eq!(run(&builder).err(), Some(PackError::TooMuchWork { max: 64 << 20 }));
    // A little data in a lot of nothing: empty blocks of zlib.
    let mut builder = PackBuilder::new(SHA1);
    let mut packed = deflated(b"");
    packed.splice(2..2, [0, 0, 0, 0xff, 0xff].repeat(1 << 20));
    builder.raw(WHOLE_BLOB, 0, &packed);
    assert_eq!(run(&builder).unwrap().objects[0].size, 0);
}

#[test]
fn an_object_is_what_others_say_that_it_is() {
    let blob = (Kind::Blob, b"a blob".to_vec());
    let commit_of_blob = (Kind::Commit, commit(blob_id(b"a blob")));
    for order in [[&blob, &commit_of_blob], [&commit_of_blob, &blob]] {
        let mut builder = PackBuilder::new(SHA1);
        for (kind, data) in order {
            builder.object(*kind, data);
        }
        let error = refused(&builder.pack());
        assert!(matches!(error, PackError::WrongKind { id, .. } if id == blob_id(b"a blob")));
    }
    let mut builder = PackBuilder::new(SHA1);
    let id = blob_id(b"not there");
    builder.object(Kind::Tree, &tree(&[("100644", "a", id), ("40000", "b", id)]));
    assert!(matches!(refused(&builder.pack()), PackError::WrongKind { .. }));
}

#[test]
fn trees_ten_thousand_deep_are_nothing_special() {
    let mut builder = PackBuilder::new(SHA1);
    let mut inner = blob_id(b"x");
    let mut mode = "100644";
    for _ in 0..10_000 {
        inner = builder.object(Kind::Tree, &tree(&[(mode, "d", inner)])).1;
        mode = "40000";
    }
    let Outcome { indexed, .. } = indexed(&builder.pack()).unwrap();
    assert_eq!(indexed.objects.len(), 10_000);
    assert_eq!(indexed.missing, [(blob_id(b"x"), Kind::Blob)].into());
}

#[test]
fn fsck_errors_refuse_a_pack_and_warnings_let_it_pass() {
    let file = blob_id(b"x");
    let mut builder = PackBuilder::new(SHA1);
    builder.object(Kind::Tree, &tree(&[("40000", ".git", file)]));
    let PackError::Fsck(finding) = refused(&builder.pack()) else { panic!("fsck refuses it") };
    assert_eq!(finding.message, MessageId::HasDotgit);
    let mut builder = PackBuilder::new(SHA1);
    for name in 0..150 {
        builder.object(Kind::Tree, &tree(&[("040000", &format!("{name}"), file)]));
    }
    let Outcome { indexed, .. } = indexed(&builder.pack()).unwrap();
    assert_eq!((indexed.warnings.len(), indexed.warnings_count), (100, 150));
    assert_eq!(indexed.warnings[0].message, MessageId::ZeroPaddedFilemode);
}

#[test]
fn gitmodules_are_checked_wherever_they_stand() {
    let bad = b"[submodule \"a\"]\n\turl = -u./payload\n".to_vec();
    let id = blob_id(&bad);
    let names = tree(&[("100644", ".gitmodules", id)]);
    let tree_first = |builder: &mut PackBuilder| {
        builder.object(Kind::Tree, &names);
    };
    let unrelated = blob_id(b"unrelated");
    let packs: [&dyn Fn(&mut PackBuilder); 4] = [
        &|builder| {
            tree_first(builder);
            builder.object(Kind::Blob, &bad);
        },
        &|builder| {
            builder.object(Kind::Blob, &bad);
            tree_first(builder);
        },
        &|builder| {
            let delta = delta(9, &[], &bad);
            builder.entry(EntryKind::RefDelta { base: unrelated }, &delta);
            tree_first(builder);
            builder.object(Kind::Blob, b"unrelated");
        },
        &|builder| {
            let (base, _) = builder.object(Kind::Blob, b"unrelated");
            builder.entry(EntryKind::OfsDelta { base }, &delta(9, &[], &bad));
            tree_first(builder);
        },
    ];
    for fill in packs {
        let mut builder = PackBuilder::new(SHA1);
        fill(&mut builder);
        for limits in [
            IndexLimits::default(),
            IndexLimits { cache_bytes: 0, blob_held_bytes: 4, ..IndexLimits::default() },
        ] {
            let error = index(SHA1, &builder.pack(), &Objects::new(), limited(limits)).err();
            let Some(PackError::Fsck(finding)) = error else { panic!("{error:?}") };
            assert_eq!((finding.object, finding.message), (id, MessageId::GitmodulesUrl));
        }
        let small =
            IndexLimits { structured_bytes: 33, blob_held_bytes: 4, ..IndexLimits::default() };
        let error = index(SHA1, &builder.pack(), &Objects::new(), limited(small)).err();
        assert!(error.is_some(), "too large to be looked at is no reason to let it pass");
    }
    let mut builder = PackBuilder::new(SHA1);
    tree_first(&mut builder);
    let Outcome { indexed, .. } = indexed(&builder.pack()).unwrap();
    assert!(indexed.unchecked[&id].modules && !indexed.unchecked[&id].attributes);
}

#[test]
fn a_body_that_is_not_the_one_that_was_fed_is_noticed() {
    let mut builder = PackBuilder::new(SHA1);
    let base = blob_id(b"the base");
    builder.entry(EntryKind::RefDelta { base }, &delta(8, &[(0, 3)], b"some other text"));
    builder.object(Kind::Blob, b"the base");
    for at in 0..builder.body.len() {
        let policy = Policy::default();
        let no_cache = IndexLimits { cache_bytes: 0, ..IndexLimits::default() };
        let mut indexer = Indexer::new(SHA1, 2, policy, no_cache).unwrap();
        indexer.feed(&builder.body).unwrap();
        indexer.finish_input().unwrap();
        let mut changed = builder.body.clone();
        changed[at] ^= 1;
        let outcome = resolve(&mut indexer, &mut changed, &Objects::new(), usize::MAX);
        // The last object stays in the cache, however small that is.
        let base_entry = at as u64 >= indexer.entries[1].offset;
        assert_eq!(
            outcome,
            if base_entry { Ok(()) } else { Err(PackError::BodyChanged { offset: 0 }) }
        );
    }
}

#[test]
fn a_base_that_is_not_what_was_asked_for_is_refused() {
    let mut builder = PackBuilder::new(SHA1);
    let base = blob_id(b"the base");
    builder.entry(EntryKind::RefDelta { base }, &delta(8, &[(0, 3)], b"some other text"));
    let wrong = Objects::from([(base, (Kind::Tree, Bytes::from_static(b"the base")))]);
    let error = index(SHA1, &builder.pack(), &wrong, Feed::default()).err().unwrap();
    assert!(matches!(error, PackError::WrongBase { wanted, .. } if wanted == base));
}

#[test]
fn what_a_base_of_the_repository_names_is_not_the_clients_to_send() {
    let lost = blob_id(b"nowhere");
    let old = tree(&[("100644", "a", lost)]);
    let base = id_of(SHA1, Kind::Tree, &old);
    let new_blob = blob_id(b"new");
    let mut builder = PackBuilder::new(SHA1);
    let new = tree(&[("100644", "a", new_blob)]);
    let on_base = delta(old.len(), &[], &new);
    builder.entry(EntryKind::RefDelta { base }, &on_base);
    // And it is not sent merely because it is in the body now.
    builder.object(Kind::Commit, &commit(base));
    let repository = Objects::from([(base, (Kind::Tree, Bytes::from(old)))]);
    let Outcome { indexed, .. } =
        index(SHA1, &builder.pack(), &repository, Feed::default()).unwrap();
    assert_eq!(indexed.missing, [(new_blob, Kind::Blob), (base, Kind::Tree)].into());
}
