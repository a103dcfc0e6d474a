//! Tests of reading: objects are what git says that they are, and damage is noticed.

use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind};
use proptest::prelude::*;

use super::{Assembly, chain};
use crate::pack::PackError;
use crate::pack::entry::EntryKind;
use crate::pack::fixture::{PackBuilder, delta};
use crate::pack::index::tests::{Feed, Outcome, history, index, objects};
use crate::pack::meta::{MetaBuilder, PackMeta};

const MAX: u64 = 1 << 20;

fn assembled(
    meta: &PackMeta,
    body: &[u8],
    position: u32,
    max: u64,
) -> Result<Option<(Kind, Bytes)>, PackError> {
    let mut assembly = Assembly::new(meta.algorithm(), max);
    for position in chain(meta, position) {
        let object = meta.object(position);
        let begin = object.offset as usize;
        assembly.add(object.offset, &body[begin..begin + object.packed_len as usize])?;
    }
    Ok(assembly.finish())
}

#[test]
fn objects_are_read_from_a_stored_pack_as_git_has_them() {
    for algorithm in [HashAlgorithm::Sha1, HashAlgorithm::Sha256] {
        let repository = history(algorithm, 15);
        let all = objects(&repository);
        let (mut read, mut longest) = (0, 0);
        for (options, revisions) in
            [(&["--all", "--delta-base-offset"][..], &[][..]), (&["--thin"], &["HEAD", "^HEAD~3"])]
        {
            let pack = repository.pack(options, revisions);
            let Outcome { indexed, body } = index(algorithm, &pack, &all, Feed::default()).unwrap();
            let meta = MetaBuilder::of_indexed(&indexed, |_| None).encode().unwrap();
            let meta = PackMeta::decode(meta).unwrap();
            for position in 0..meta.len() {
                let object = assembled(&meta, &body, position, MAX).unwrap().unwrap();
                assert_eq!(object, all[&meta.id(position)]);
                assert_eq!(object.1.len() as u64, meta.object(position).size);
                longest = longest.max(chain(&meta, position).len());
                read += 1;
            }
        }
        assert!(read > 80 && longest > 5);
    }
}

#[test]
fn what_is_at_hand_need_not_be_read_again() {
    let algorithm = HashAlgorithm::Sha1;
    let mut builder = PackBuilder::new(algorithm);
    let (base, _) = builder.object(Kind::Blob, b"a base");
    let at = builder.entry(EntryKind::OfsDelta { base }, &delta(6, &[(0, 2)], b"delta"));
    let entry = &builder.body[at as usize..];
    let base = Bytes::from_static(b"a base");
    let mut assembly = Assembly::from_base(algorithm, MAX, Kind::Blob, base);
    assembly.add(at, entry).unwrap();
    assert_eq!(assembly.finish(), Some((Kind::Blob, Bytes::from_static(b"a delta"))));
    let mut none = Assembly::new(algorithm, MAX);
    assert_eq!(none.add(at, entry), Err(PackError::BodyChanged { offset: at }));
    let mut small = Assembly::new(algorithm, 5);
    assert!(matches!(small.add(0, &builder.body), Err(PackError::ObjectTooLarge { .. })));
}

proptest! {
    #[test]
    fn damage_is_refused_or_changes_nothing(at: prop::sample::Index, bit in 0u8..8) {
        let mut builder = PackBuilder::new(HashAlgorithm::Sha1);
        let data = b"some text that repeats, some text that repeats".to_vec();
        builder.object(Kind::Blob, &data);
        let mut damaged = builder.body.clone();
        let at = at.index(damaged.len());
        damaged[at] ^= 1 << bit;
        let mut assembly = Assembly::new(HashAlgorithm::Sha1, MAX);
        if assembly.add(0, &damaged).is_ok() {
            // Only the kind, and what zlib says of how hard it tried, are in no checksum of zlib's.
            prop_assert_eq!(assembly.finish().unwrap().1, data);
        }
        let mut assembly = Assembly::new(HashAlgorithm::Sha1, MAX);
        prop_assert!(assembly.add(0, &builder.body[..at]).is_err());
        let longer = [&builder.body[..], b"x"].concat();
        prop_assert!(assembly.add(0, &longer).is_err());
    }
}
