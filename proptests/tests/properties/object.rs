//! Objects: the hash does not depend on how data was cut, and notices any change.

use gitstratum_core::object::{Object, ObjectHasher, ObjectId};
use gitstratum_proptests::{algorithms, data, ids, kinds, objects};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

proptest! {
    #[test]
    fn hashing_in_parts_is_hashing_whole(object in objects(), cuts in vec(any::<Index>(), 0..8)) {
        let data = object.data();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(data.len() + 1)).collect();
        cuts.extend([0, data.len()]);
        cuts.sort_unstable();
        let (algorithm, size_bytes) = (object.id().algorithm(), object.size_bytes());
        let mut detecting = ObjectHasher::detecting(algorithm, object.kind(), size_bytes);
        let mut plain = ObjectHasher::plain(algorithm, object.kind(), size_bytes);
        for part in cuts.windows(2).map(|ends| &data[ends[0]..ends[1]]) {
            detecting.update(part);
            plain.update(part);
        }
        prop_assert_eq!(detecting.finish().unwrap(), object.id());
        prop_assert!(plain.verify(object.id()).is_ok());
    }

    #[test]
    fn a_flipped_bit_does_not_verify(object in objects(), at in any::<Index>(), bit in 0..8_u32) {
        prop_assume!(!object.data().is_empty());
        let mut damaged = object.data().to_vec();
        let at = at.index(damaged.len());
        damaged[at] ^= 1_u8 << bit;
        let damaged = Object::claimed(object.id(), object.kind(), damaged.into());
        prop_assert_eq!(damaged.verify().unwrap_err().claimed, object.id());
    }

    #[test]
    fn another_kind_is_another_object(
        algorithm in algorithms(), one in kinds(), other in kinds(), data in data(),
    ) {
        let one_id = Object::hash(algorithm, one, data.clone()).unwrap().id();
        let other_id = Object::hash(algorithm, other, data).unwrap().id();
        prop_assert_eq!(one_id == other_id, one == other);
    }

    #[test]
    fn ids_survive_text_and_bytes(id in ids()) {
        prop_assert_eq!(id.to_string().parse::<ObjectId>().unwrap(), id);
        prop_assert_eq!(ObjectId::from_bytes(id.as_bytes()).unwrap(), id);
    }
}
