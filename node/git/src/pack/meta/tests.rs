//! Tests of the pack index: it says what the indexer found, and nothing else passes for one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};
use proptest::prelude::*;

use super::{Link, MetaBuilder, MetaError, MetaObject, PackMeta, StoredForm};
use crate::pack::entry::EntryKind;
use crate::pack::fixture::{PackBuilder, delta, id_of};
use crate::pack::index::tests::{Feed, Objects, Outcome, history, index, objects};

const SHA1: HashAlgorithm = HashAlgorithm::Sha1;

fn encoded(found: &Outcome) -> Bytes {
    let mut builder = MetaBuilder::of_indexed(&found.indexed, |_| Some(100));
    builder.chunks(1 << 20, vec![[7; 32], [9; 32]]);
    builder.encode().unwrap()
}

/// Compares an index with what it was made of.
fn check(found: &Outcome, meta: &PackMeta) {
    let indexed = &found.indexed;
    assert_eq!(meta.algorithm(), indexed.algorithm);
    assert_eq!(
        (meta.len() as usize, meta.is_empty()),
        (indexed.objects.len(), indexed.objects.is_empty())
    );
    assert_eq!(meta.body_bytes(), found.body.len() as u64);
    assert_eq!(meta.chunk_bytes(), 1 << 20);
    assert_eq!(meta.chunk_ids().collect::<Vec<_>>(), [[7; 32], [9; 32]]);
    let covered: u64 = indexed.objects.iter().map(|object| object.packed_len).sum();
    assert_eq!(meta.garbage_bytes(), meta.body_bytes() - covered);
    for (position, (object, stored)) in indexed.objects.iter().zip(meta.objects()).enumerate() {
        let position = position as u32;
        let form = match object.entry {
            EntryKind::Whole(_) => StoredForm::Whole,
            EntryKind::OfsDelta { .. } => StoredForm::OfsDelta,
            EntryKind::RefDelta { .. } => StoredForm::RefDelta,
        };
        let expected = MetaObject {
            id: object.id,
            kind: object.kind,
            size: object.size,
            offset: object.offset,
            packed_len: object.packed_len,
            crc32: object.crc32,
            form,
            base: object.base,
            appended: object.appended,
        };
        assert_eq!(stored, expected);
        assert_eq!(meta.find(&object.id), Some(position));
        assert_eq!(meta.at_offset(object.offset), Some(position));
        assert_eq!(meta.at_offset(object.offset + 1), None);
        assert_eq!(meta.commit(position).is_some(), object.kind == Kind::Commit);
        assert_eq!(meta.tag(position).is_some(), object.kind == Kind::Tag);
    }
    let sorted: Vec<ObjectId> = meta.by_id().map(|position| meta.id(position)).collect();
    assert!(sorted.is_sorted());
    for commit in indexed.commits() {
        let stored = meta.commit(commit.position).unwrap();
        assert_eq!(stored.id(), indexed.objects[commit.position as usize].id);
        assert_eq!(meta.id_of(stored.tree()), commit.tree);
        let parents: Vec<ObjectId> = stored.parents().map(|parent| meta.id_of(parent)).collect();
        assert_eq!(parents, commit.parents);
        assert_eq!(stored.committed_at(), commit.committed_at);
    }
    assert_eq!(meta.commits().len(), indexed.commits().len());
    for tag in indexed.tags() {
        let (target, kind) = meta.tag(tag.position).unwrap();
        assert_eq!((meta.id_of(target), kind), (tag.target, tag.target_kind));
    }
    for absent in [&b"absent"[..], b"also"] {
        assert_eq!(meta.find(&id_of(indexed.algorithm, Kind::Blob, absent)), None);
    }
}

#[test]
fn an_index_says_what_was_found() {
    for algorithm in [HashAlgorithm::Sha1, HashAlgorithm::Sha256] {
        let repository = history(algorithm, 12);
        let all = objects(&repository);
        for (options, revisions) in [
            (&["--all"][..], &[][..]),
            (&["--all", "--delta-base-offset"], &[]),
            (&["--thin"], &["HEAD", "^HEAD~3"]),
        ] {
            let pack = repository.pack(options, revisions);
            let found = index(algorithm, &pack, &all, Feed::default()).unwrap();
            let bytes = encoded(&found);
            check(&found, &PackMeta::decode(bytes.clone()).unwrap());
            let other = match algorithm {
                HashAlgorithm::Sha1 => HashAlgorithm::Sha256,
                HashAlgorithm::Sha256 => HashAlgorithm::Sha1,
            };
            let meta = PackMeta::decode(bytes).unwrap();
            assert_eq!(meta.find(&id_of(other, Kind::Blob, b"x")), None);
        }
    }
}

/// A commit as text.
fn commit(number: u64, parents: &[ObjectId]) -> Vec<u8> {
    let tree = id_of(SHA1, Kind::Tree, b"");
    let parents: String = parents.iter().map(|parent| format!("parent {parent}\n")).collect();
    format!("tree {tree}\n{parents}author A <a> 1 +0000\ncommitter A <a> {number} +0000\n\n")
        .into_bytes()
}

#[test]
fn generation_numbers_follow_the_longest_way() {
    let outside = id_of(SHA1, Kind::Commit, b"outside");
    let unknown = id_of(SHA1, Kind::Commit, b"unknown");
    let mut builder = PackBuilder::new(SHA1);
    let mut expected = BTreeMap::new();
    let mut add = |parents: &[ObjectId], generation: u32| {
        let id = builder.object(Kind::Commit, &commit(expected.len() as u64 + 1, parents)).1;
        expected.insert(id, generation);
        id
    };
    let root = add(&[], 1);
    let one = add(&[root], 2);
    let two = add(&[one], 3);
    let merge = add(&[root, two], 4);
    let on_outside = add(&[outside], 41);
    let both = add(&[merge, on_outside, root], 42);
    let lost = add(&[both, unknown], 0);
    add(&[lost, root], 0);
    add(&[root], 2);
    let mut chain = both;
    for link in 0..50_000 {
        chain = add(&[chain], 43 + link);
    }
    let mut orders = vec![builder.body.clone()];
    // The other way round, as git writes them: children first.
    let entries = index(SHA1, &builder.pack(), &Objects::new(), Feed::default()).unwrap();
    let reversed = entries
        .indexed
        .objects
        .iter()
        .rev()
        .map(|object| &entries.body[object.offset as usize..][..object.packed_len as usize]);
    orders.push(reversed.collect::<Vec<_>>().concat());
    for body in orders {
        let pack = crate::pack::fixture::sealed(SHA1, builder.objects, &body);
        let found = index(SHA1, &pack, &Objects::new(), Feed::default()).unwrap();
        let known = |id: &ObjectId| (*id == outside).then_some(40);
        let meta = MetaBuilder::of_indexed(&found.indexed, known).encode().unwrap();
        let meta = PackMeta::decode(meta).unwrap();
        for commit in meta.commits() {
            assert_eq!(commit.generation(), expected[&commit.id()]);
        }
        let links: BTreeSet<bool> = meta
            .commits()
            .flat_map(|commit| commit.parents())
            .map(|link| matches!(link, Link::Outside(_)))
            .collect();
        assert_eq!(links.len(), 2);
    }
}

/// A pack with something of everything: duplicates, deltas, a tag, what is outside.
static SMALL: LazyLock<(Outcome, Bytes)> = LazyLock::new(|| {
    let mut builder = PackBuilder::new(SHA1);
    let base = id_of(SHA1, Kind::Blob, b"a base");
    builder.entry(EntryKind::RefDelta { base }, &delta(6, &[], b"a base"));
    builder.object(Kind::Blob, b"a base");
    let (again, _) = builder.object(Kind::Blob, b"a base");
    builder.entry(EntryKind::OfsDelta { base: again }, &delta(6, &[(0, 2)], b"other"));
    builder.entry(EntryKind::RefDelta { base }, &delta(6, &[(0, 2)], b"another"));
    let (_, root) = builder.object(Kind::Commit, &commit(1, &[]));
    let outside = id_of(SHA1, Kind::Commit, b"outside");
    builder.object(Kind::Commit, &commit(2, &[root, outside]));
    let tag = format!("object {root}\ntype commit\ntag v1\ntagger A <a> 1 +0000\n\nwords\n");
    builder.object(Kind::Tag, tag.as_bytes());
    builder.object(Kind::Blob, b"a base");
    let found = index(SHA1, &builder.pack(), &Objects::new(), Feed::default()).unwrap();
    assert_eq!(found.indexed.duplicates, 3);
    let bytes = encoded(&found);
    (found, bytes)
});

#[test]
fn garbage_is_where_no_object_is() {
    let (found, bytes) = &*SMALL;
    let meta = PackMeta::decode(bytes.clone()).unwrap();
    check(found, &meta);
    assert!(meta.garbage_bytes() > 0);
    let empty = MetaBuilder::new(SHA1, 0).encode().unwrap();
    let empty = PackMeta::decode(empty).unwrap();
    assert!(empty.is_empty() && empty.find(&id_of(SHA1, Kind::Blob, b"x")).is_none());
    let all_garbage = PackMeta::decode(MetaBuilder::new(SHA1, 9).encode().unwrap()).unwrap();
    assert_eq!(all_garbage.garbage_bytes(), 9);
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let bytes = &SMALL.1;
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1 << bit;
            assert!(PackMeta::decode(damaged.into()).is_err(), "bit {bit} of byte {at}");
        }
        assert!(PackMeta::decode(bytes.slice(..at)).is_err(), "cut at {at}");
    }
    let longer = [&bytes[..], b"\0"].concat();
    assert_eq!(PackMeta::decode(longer.into()).unwrap_err(), MetaError::Checksum);
    let mut newer = bytes.to_vec();
    newer[4] = 2;
    assert_eq!(PackMeta::decode(newer.into()).unwrap_err(), MetaError::Format(2));
}

fn with_checksum(mut content: Vec<u8>) -> Bytes {
    let checksum = crc32c::crc32c(&content);
    content.extend_from_slice(&checksum.to_le_bytes());
    content.into()
}

/// Asks for everything that can be asked for.
fn read_all(meta: &PackMeta) {
    for object in meta.objects() {
        assert_eq!(meta.find(&object.id).map(|position| meta.id(position)), Some(object.id));
        let (mut base, mut steps) = (object.base, 0);
        while let Some(position) = base {
            base = meta.base(position);
            steps += 1;
            assert!(steps <= meta.len());
        }
        assert!(object.offset + object.packed_len <= meta.body_bytes());
    }
    for commit in meta.commits() {
        meta.id_of(commit.tree());
        commit.parents().for_each(|parent| drop(meta.id_of(parent).to_string()));
    }
    for position in 0..meta.len() {
        if let Some((target, _)) = meta.tag(position) {
            meta.id_of(target);
        }
    }
    assert!(meta.garbage_bytes() <= meta.body_bytes());
    meta.chunk_ids().for_each(drop);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn an_index_with_a_right_checksum_is_sound_or_refused(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let bytes = &SMALL.1;
        let mut content = bytes[..bytes.len() - 4].to_vec();
        for (at, value) in damage {
            let at = at.index(content.len());
            content[at] = value;
        }
        if let Some(cut) = cut {
            content.truncate(cut.index(content.len()));
        }
        if let Ok(meta) = PackMeta::decode(with_checksum(content)) {
            read_all(&meta);
        }
    }
}

/// Each of these passes for a pack index but for one thing.
#[test]
fn what_contradicts_itself_is_refused() {
    let blob = |data: &[u8], offset| MetaObject {
        id: id_of(SHA1, Kind::Blob, data),
        kind: Kind::Blob,
        size: 5,
        offset,
        packed_len: 10,
        crc32: 0,
        form: StoredForm::Whole,
        base: None,
        appended: false,
    };
    let on = |base, object| MetaObject { form: StoredForm::RefDelta, base: Some(base), ..object };
    let built = |objects: &[MetaObject], body_bytes| {
        let mut builder = MetaBuilder::new(SHA1, body_bytes);
        objects.iter().for_each(|object| builder.object(*object));
        builder.encode().and_then(PackMeta::decode)
    };
    let sound = [blob(b"a", 0), on(0, blob(b"b", 10)), on(1, blob(b"c", 25))];
    assert_eq!(built(&sound, 40).unwrap().garbage_bytes(), 10);
    let tree = MetaObject { kind: Kind::Tree, ..blob(b"t", 10) };
    let commit = MetaObject { kind: Kind::Commit, ..blob(b"t", 10) };
    let cases: [(&str, Vec<MetaObject>, u64); 9] = [
        ("an id twice", vec![blob(b"a", 0), blob(b"a", 10)], 20),
        ("entries that overlap", vec![blob(b"a", 0), blob(b"b", 9)], 19),
        ("a body that is too short", vec![blob(b"a", 0)], 9),
        ("a circle", vec![on(1, blob(b"a", 0)), on(0, blob(b"b", 10))], 20),
        ("a delta on itself", vec![on(0, blob(b"a", 0))], 10),
        ("a base that is none", vec![on(7, blob(b"a", 0))], 10),
        ("a base of another kind", vec![on(1, blob(b"a", 0)), tree], 20),
        ("a commit without a row", vec![blob(b"a", 0), commit], 20),
        ("a size that is too large", vec![MetaObject { size: 1 << 40, ..blob(b"a", 0) }], 10),
    ];
    for (what, objects, body_bytes) in cases {
        let refused = built(&objects, body_bytes).unwrap_err();
        assert!(
            matches!(refused, MetaError::Invalid(_) | MetaError::TooLarge(_)),
            "{what}: {refused}"
        );
    }
    let mut low = MetaBuilder::new(SHA1, 20);
    let id = id_of(SHA1, Kind::Blob, b"t");
    low.object(MetaObject { kind: Kind::Commit, ..blob(b"a", 0) });
    low.object(commit);
    low.commit(0, id_of(SHA1, Kind::Tree, b""), &[id], 1, 2);
    low.commit(1, id_of(SHA1, Kind::Tree, b""), &[], 1, 2);
    let refused = PackMeta::decode(low.encode().unwrap()).unwrap_err();
    assert_eq!(refused, MetaError::Invalid("a generation number below that of a parent"));
}
