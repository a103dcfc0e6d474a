//! That an attack on SHA-1 is seen, and what it is told apart from.

use super::*;

/// One of the two messages with which G. Leurent and T. Peyrin showed the first chosen-prefix
/// collision ("SHA-1 is a Shambles", USENIX Security 2020, sha-mbles.github.io).
const COLLIDING: &[u8] = include_bytes!("collision.bin");
const THEIR_DIGEST: &str = "8ac60ba76f1999a1ab70223f225aefdc78d4ddc0";

/// A hasher as it is before the frame, which would keep the attack from working.
fn unframed(state: State) -> ObjectHasher {
    ObjectHasher { kind: Kind::Blob, state }
}

#[test]
fn a_published_collision_is_detected_however_it_is_cut_into_parts() {
    for part in [1, 63, 64, 65, COLLIDING.len()] {
        let mut hasher = unframed(State::Sha1Detecting(Box::new(sha1dc::Hasher::new())));
        COLLIDING.chunks(part).for_each(|part| hasher.update(part));
        let refused = hasher.finish().unwrap_err();
        assert_eq!(refused.id.to_string(), THEIR_DIGEST, "in parts of {part}");
        assert!(refused.to_string().starts_with("SHA-1 collision attack detected in blob 8ac6"));
    }
    let mut plain = unframed(State::Sha1(sha1::Sha1::new()));
    plain.update(COLLIDING);
    assert_eq!(plain.finish().unwrap().to_string(), THEIR_DIGEST);
}

#[test]
fn in_the_frame_of_an_object_it_is_no_attack_and_both_hashes_agree() {
    let framed = |hasher: fn(HashAlgorithm, Kind, u64) -> ObjectHasher| {
        let mut hasher = hasher(HashAlgorithm::Sha1, Kind::Blob, COLLIDING.len() as u64);
        hasher.update(COLLIDING);
        hasher.finish().unwrap()
    };
    assert_eq!(framed(ObjectHasher::detecting), framed(ObjectHasher::plain));
}
