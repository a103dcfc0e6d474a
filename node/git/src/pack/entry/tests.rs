//! Tests of entry headers: they are read as they were written, and what is too long is refused.

use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};
use proptest::prelude::*;

use super::{EntryHeader, EntryKind, HEADER_BYTES_MAX};
use crate::pack::PackError;

const SHA1: HashAlgorithm = HashAlgorithm::Sha1;

fn kinds() -> impl Strategy<Value = (EntryKind, u64)> {
    let offset = 1u64..1 << 60;
    let whole =
        prop_oneof![Just(Kind::Commit), Just(Kind::Tree), Just(Kind::Blob), Just(Kind::Tag)];
    prop_oneof![
        (whole, offset.clone()).prop_map(|(kind, at)| (EntryKind::Whole(kind), at)),
        (offset.clone(), any::<u64>())
            .prop_map(|(at, by)| { (EntryKind::OfsDelta { base: at - 1 - by % at }, at) }),
        (offset, any::<[u8; 20]>()).prop_map(|(at, id)| {
            (EntryKind::RefDelta { base: ObjectId::from_bytes(&id).unwrap() }, at)
        }),
    ]
}

proptest! {
    #[test]
    fn a_header_is_read_as_it_was_written(
        (kind, offset) in kinds(),
        size in prop_oneof![0u64..5000, any::<u64>()],
    ) {
        let mut bytes = Vec::new();
        kind.write_header(offset, size, &mut bytes);
        prop_assert!(bytes.len() <= HEADER_BYTES_MAX);
        for cut in 0..bytes.len() {
            prop_assert_eq!(EntryHeader::parse(SHA1, offset, &bytes[..cut]), Ok(None));
        }
        let len = bytes.len();
        bytes.extend_from_slice(b"what follows");
        prop_assert_eq!(
            EntryHeader::parse(SHA1, offset, &bytes),
            Ok(Some(EntryHeader { kind, size, len }))
        );
    }

    #[test]
    fn no_bytes_make_a_header_longer_than_the_limit(
        bytes in proptest::collection::vec(any::<u8>(), HEADER_BYTES_MAX),
        offset: u64,
    ) {
        for algorithm in [HashAlgorithm::Sha1, HashAlgorithm::Sha256] {
            if let Ok(header) = EntryHeader::parse(algorithm, offset, &bytes) {
                prop_assert!(header.is_some_and(|header| header.len <= HEADER_BYTES_MAX));
            }
        }
    }
}

#[test]
fn headers_that_make_no_sense_are_refused() {
    let endless = [&[0xb0u8][..], &[0xff; 12]].concat();
    let far = [&[0x60u8][..], &[0xff; 12]].concat();
    let cases: [(&[u8], PackError); 6] = [
        (&[0x00], PackError::EntryType { offset: 9, code: 0 }),
        (&[0x50], PackError::EntryType { offset: 9, code: 5 }),
        (&endless, PackError::EntryNumber { offset: 9 }),
        (&far, PackError::EntryNumber { offset: 9 }),
        (&[0x61, 0], PackError::BaseOffset { offset: 9, distance: 0 }),
        (&[0x61, 10], PackError::BaseOffset { offset: 9, distance: 10 }),
    ];
    for (bytes, error) in cases {
        assert_eq!(EntryHeader::parse(SHA1, 9, bytes), Err(error), "{bytes:x?}");
    }
}
