//! Packs that are damaged anywhere, with checksums that are right: what is left of them is read or
//! refused, in the same way however they are cut into parts.

use std::sync::LazyLock;

use gitstratum_core::object::HashAlgorithm;
use proptest::prelude::*;

use super::against_git::history;
use super::{Feed, IndexLimits, IndexedResult, Objects, index};
use crate::pack::PackError;
use crate::pack::fixture::sealed;

const ID_BYTES: usize = 20;

fn packs() -> &'static [Vec<u8>] {
    static PACKS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let repository = history(HashAlgorithm::Sha1, 6);
        let by_id = repository.pack(&["--all"], &[]);
        let by_distance = repository.pack(&["--all", "--delta-base-offset"], &[]);
        let thin = repository.pack(&["--thin"], &["HEAD", "^HEAD~2"]);
        vec![by_id, by_distance, thin]
    });
    &PACKS
}

/// Small limits, so that no damage asks for much.
fn limits(cache_bytes: usize) -> IndexLimits {
    IndexLimits {
        delta_bytes: 1 << 20,
        structured_bytes: 1 << 20,
        inflated_bytes: 64 << 20,
        blob_held_bytes: 2000,
        cache_bytes,
        ..IndexLimits::default()
    }
}

fn outcome(pack: &[u8], part: usize, cache_bytes: usize, read: usize) -> IndexedResult {
    let feed = Feed { part, limits: limits(cache_bytes), read };
    let found = index(HashAlgorithm::Sha1, pack, &Objects::new(), feed).map_err(in_short)?;
    let commits = found.indexed.commits().collect();
    Ok((found.indexed.objects, commits, found.indexed.missing, found.indexed.warnings))
}

/// Data that is damaged and goes on for too long is found to be one or the other.
fn in_short(error: PackError) -> PackError {
    match error {
        PackError::EntrySize { offset, claimed, actual } if actual > claimed => {
            PackError::Inflate { offset }
        }
        other => other,
    }
}

#[derive(Clone, Debug)]
enum Damage {
    None,
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Move(prop::sample::Index, prop::sample::Index, usize),
}

fn damages() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        1 => Just(Damage::None),
        8 => (at(), 0u8..8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        2 => at().prop_map(Damage::Cut),
        2 => (at(), proptest::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        2 => (at(), 1usize..200).prop_map(|(at, len)| Damage::Remove(at, len)),
        2 => (at(), at(), 1usize..200).prop_map(|(from, to, len)| Damage::Move(from, to, len)),
    ]
}

fn damaged(mut body: Vec<u8>, damage: &Damage) -> Vec<u8> {
    let len = body.len();
    match damage {
        Damage::None => {}
        Damage::Flip(at, bit) => body[at.index(len)] ^= 1 << bit,
        Damage::Cut(at) => body.truncate(at.index(len)),
        Damage::Insert(at, bytes) => drop(body.splice(at.index(len)..at.index(len), bytes.clone())),
        Damage::Remove(at, count) => {
            let at = at.index(len);
            body.drain(at..(at + count).min(len));
        }
        Damage::Move(from, to, count) => {
            let from = from.index(len);
            let piece = body[from..(from + count).min(len)].to_vec();
            let to = to.index(len);
            body.splice(to..to, piece);
        }
    }
    body
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn damage_is_refused_the_same_way_however_the_pack_is_cut(
        which in 0usize..3,
        damage in damages(),
        more_or_less in -1i32..2,
        part in prop_oneof![1usize..40, 1usize..5000],
        read in prop_oneof![1usize..40, 1usize..5000],
    ) {
        let pack = &packs()[which];
        let objects = u32::from_be_bytes(pack[8..12].try_into().unwrap());
        let objects = objects.saturating_add_signed(if more_or_less == 0 { 0 } else { more_or_less });
        let body = damaged(pack[12..pack.len() - ID_BYTES].to_vec(), &damage);
        let pack = sealed(HashAlgorithm::Sha1, objects, &body);
        let whole = outcome(&pack, 1 << 20, 1 << 20, usize::MAX);
        let parts = outcome(&pack, part, 1 << 20, read);
        prop_assert_eq!(&whole, &parts);
        if matches!(damage, Damage::None) {
            prop_assert_eq!(whole.is_ok(), more_or_less == 0 && which < 2);
        }
        // With little memory deltas are resolved in another order, so another of two errors may come
        // first; but it is refused too.
        let slowly = outcome(&pack, part, 3000, read);
        match (whole, slowly) {
            (Ok(whole), Ok(slowly)) => {
                prop_assert_eq!(whole.0, slowly.0);
                prop_assert_eq!((whole.1, whole.2), (slowly.1, slowly.2));
            }
            (whole, slowly) => prop_assert!(whole.is_err() && slowly.is_err()),
        }
    }
}
