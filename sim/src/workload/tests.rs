//! Streams are independent, objects regenerate, sizes are Git's.

use gitstratum_core::limits::OBJECT_BYTES_WHOLE_MAX;
use gitstratum_core::object::{Kind, Object};
use rand::RngCore;

use super::{Blueprint, ContentHash, stream};

#[test]
fn a_stream_depends_on_seed_and_purpose_alone() {
    let mut disturbed = stream(7, "choices/c1.0");
    stream(7, "targets/c1.0").next_u64();
    assert_eq!(disturbed.next_u64(), stream(7, "choices/c1.0").next_u64());
    assert_ne!(stream(7, "choices/c1.0").next_u64(), stream(7, "choices/c1.1").next_u64());
    assert_ne!(stream(7, "choices/c1.0").next_u64(), stream(8, "choices/c1.0").next_u64());
}

#[test]
fn an_object_regenerates_from_seed_and_key() {
    let make = |seed, key: &str| Blueprint::new(seed, key.into(), false).object();
    assert_eq!(make(1, "c1.0/5"), make(1, "c1.0/5"));
    assert_ne!(make(1, "c1.0/5").id(), make(1, "c1.0/6").id());
    assert_ne!(make(1, "c1.0/5").id(), make(2, "c1.0/5").id());
}

#[test]
fn ordinary_objects_have_the_sizes_git_s_have() {
    let mut sizes: Vec<u64> =
        (0..4_000).map(|n| Blueprint::new(3, format!("k/{n}"), false).size_bytes).collect();
    sizes.sort_unstable();
    let median = sizes[sizes.len() / 2];
    assert!((400..=900).contains(&median), "median {median}");
    let over_16k = sizes.iter().filter(|&&size| size > 16 << 10).count() * 1_000 / sizes.len();
    assert!((40..=80).contains(&over_16k), "{over_16k} of a thousand above 16 KiB");
    let mean = sizes.iter().sum::<u64>() / sizes.len() as u64;
    assert!((3_000..=9_000).contains(&mean), "mean {mean}");
    assert!(*sizes.last().unwrap() <= OBJECT_BYTES_WHOLE_MAX as u64, "each fits a message");
}

#[test]
fn a_large_object_fits_no_message() {
    for n in 0..20 {
        let size = Blueprint::new(3, format!("k/{n}"), true).size_bytes;
        assert!(size > OBJECT_BYTES_WHOLE_MAX as u64);
    }
}

#[test]
fn the_content_hash_sees_kind_and_bytes() {
    let object = |kind, data: &'static [u8]| {
        let id = Blueprint::new(1, "x".into(), false).object().id();
        ContentHash::of(&Object::claimed(id, kind, data.into()))
    };
    assert_eq!(object(Kind::Blob, b"ab"), object(Kind::Blob, b"ab"));
    assert_ne!(object(Kind::Blob, b"ab"), object(Kind::Tree, b"ab"));
    assert_ne!(object(Kind::Blob, b"ab"), object(Kind::Blob, b"ac"));
}
