//! Tests of the scanner: any cut gives the same body, and damage is seen.

use bytes::Bytes;
use gitstratum_core::object::HashAlgorithm;
use proptest::prelude::*;

use super::{PackHeader, Scanned, Splitter};
use crate::pack::PackError;
use crate::pack::checksum::Checksum;

fn pack(algorithm: HashAlgorithm, objects: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = [&PackHeader::bytes(objects)[..], body].concat();
    let mut checksum = Checksum::new(algorithm);
    checksum.update(&bytes);
    bytes.extend_from_slice(checksum.finish().as_bytes());
    bytes
}

fn split(
    algorithm: HashAlgorithm,
    stream: &[u8],
    part: usize,
) -> Result<(Vec<u8>, Scanned), PackError> {
    let mut splitter = Splitter::new(algorithm);
    let mut body = Vec::new();
    for part in stream.chunks(part) {
        for piece in splitter.feed(Bytes::copy_from_slice(part))? {
            assert!(!piece.is_empty());
            body.extend_from_slice(&piece);
        }
        assert_eq!(splitter.body_bytes(), body.len() as u64);
    }
    Ok((body, splitter.finish()?))
}

proptest! {
    #[test]
    fn the_body_is_the_same_however_the_stream_is_cut(
        body in proptest::collection::vec(any::<u8>(), 0..300),
        part in 1usize..400,
        objects in 0u32..1000,
        longer: bool,
    ) {
        let algorithm = if longer { HashAlgorithm::Sha256 } else { HashAlgorithm::Sha1 };
        let (found, scanned) = split(algorithm, &pack(algorithm, objects, &body), part).unwrap();
        prop_assert_eq!(&found, &body);
        prop_assert_eq!(scanned.header, PackHeader { version: 2, objects });
        prop_assert_eq!(scanned.body_bytes, body.len() as u64);
    }

    #[test]
    fn a_stream_that_is_cut_goes_on_or_is_damaged_is_refused(
        body in proptest::collection::vec(any::<u8>(), 0..100),
        part in 1usize..64,
        at: prop::sample::Index,
        bit in 0u8..8,
    ) {
        let whole = pack(HashAlgorithm::Sha1, 3, &body);
        let cut = &whole[..at.index(whole.len())];
        prop_assert!(split(HashAlgorithm::Sha1, cut, part).is_err());
        let longer = [&whole[..], b"x"].concat();
        prop_assert!(split(HashAlgorithm::Sha1, &longer, part).is_err());
        let mut damaged = whole;
        let at = at.index(damaged.len());
        damaged[at] ^= 1 << bit;
        prop_assert!(split(HashAlgorithm::Sha1, &damaged, part).is_err());
    }
}

#[test]
fn headers_are_checked_before_anything_else() {
    let refused = |bytes: &[u8]| split(HashAlgorithm::Sha1, bytes, 5).unwrap_err();
    assert_eq!(refused(b"HTTP/1.1 200"), PackError::Signature { found: *b"HTTP" });
    assert_eq!(refused(b"PACK\0\0\0\x04\0\0\0\x01"), PackError::Version(4));
    assert!(matches!(
        refused(b"PACK\0\0\0\x02\xff\xff\xff\xff"),
        PackError::TooManyObjects { declared: u32::MAX, .. }
    ));
    assert!(matches!(refused(b"PACK"), PackError::Ended(_)));
    assert!(matches!(refused(b"PACK\0\0\0\x03\0\0\0\x01"), PackError::Ended(_)));
}
