//! The forms that objects have in the file.

use super::*;
use crate::codec::pack::{Packers, Unpacker};
use crate::format::record::Codec;

/// Text, which every coder shortens.
fn text(len: usize) -> Vec<u8> {
    let line = |n: usize| format!("line {n}: the same words, again and again\n").into_bytes();
    (0..).flat_map(line).take(len).collect()
}

fn packed(form: Compression, data: &[u8]) -> Option<(Codec, Bytes)> {
    Packers::new(form).take().expect("this form is packed").pack(data)
}

#[tokio::test]
async fn objects_come_back_whatever_form_the_store_kept_them_in() {
    let scratch = scratch();
    let sizes = [0, 1, 511, 512, 4095, 4096, 20_000, 900_000];
    let mut put = Vec::new();
    for (number, form) in
        [Compression::None, Compression::Lz4, Compression::Zstd].into_iter().enumerate()
    {
        let options = StoreOptions::new(NodeId::new("n1"), Fsync::Always).compression(form);
        let store = SegmentStore::open(scratch.disk.clone(), options).await.unwrap();
        let objects = sizes.map(|size| {
            let data = [&[number as u8], &text(size)[..]].concat();
            Object::hash(HashAlgorithm::Sha1, Kind::Blob, data.into()).unwrap()
        });
        put_all(&store, &objects).await;
        put.extend(objects);
        for object in &put {
            assert!(holds(&store, object).await, "{form:?}");
        }
        store.close().await;
    }
}

#[test]
fn what_is_short_or_does_not_shrink_is_left_as_it_is() {
    let noise: Vec<u8> = ObjectIds::default().take(30_000).collect();
    for (form, codec, least) in
        [(Compression::Lz4, Codec::Lz4, 512), (Compression::Zstd, Codec::Zstd, 4096)]
    {
        assert_eq!(packed(form, &text(least - 1)), None);
        assert_eq!(packed(form, &noise[..least]), None);
        assert_eq!(packed(form, &noise), None);
        let (with, stored) = packed(form, &text(least)).expect("it shrinks");
        assert_eq!(with, codec);
        assert!(stored.len() < least * 15 / 16);
        assert_eq!(Unpacker::default().unpack(codec, stored, least).unwrap(), text(least));
    }
}

#[test]
fn a_packed_form_that_is_not_the_object_s_is_an_error() {
    let unpacker = Unpacker::default();
    let unpack = |codec, stored: Bytes, size| unpacker.unpack(codec, stored, size);
    for form in [Compression::Lz4, Compression::Zstd] {
        let (codec, stored) = packed(form, &text(5000)).expect("it shrinks");
        for size in [0, 1, 4999, 5001, 1 << 20] {
            assert!(unpack(codec, stored.clone(), size).is_err(), "{codec:?}, {size}");
        }
        for len in 0..stored.len() {
            assert!(unpack(codec, stored.slice(..len), 5000).is_err(), "{codec:?}, cut at {len}");
        }
        // What follows must be none of the bytes, whatever the same decoder reads next.
        assert_eq!(unpack(codec, stored, 5000).unwrap(), text(5000));
    }
}

/// The bytes of the ids of many objects: as even as any.
#[derive(Default)]
struct ObjectIds(u32, Vec<u8>);

impl Iterator for ObjectIds {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.1.is_empty() {
            self.0 += 1;
            self.1 = blob(&self.0.to_string()).id().as_bytes().to_vec();
        }
        self.1.pop()
    }
}
