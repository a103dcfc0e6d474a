//! Ids against values that Git prints.

use bytes::Bytes;

use super::*;

fn id_of(algorithm: HashAlgorithm, kind: Kind, data: &'static [u8]) -> String {
    Object::hash(algorithm, kind, Bytes::from_static(data)).unwrap().id().to_string()
}

#[test]
fn ids_are_what_git_hash_object_prints() {
    for (algorithm, kind, data, expected) in [
        (HashAlgorithm::Sha1, Kind::Blob, &b""[..], "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
        (HashAlgorithm::Sha1, Kind::Blob, b"hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"),
        (HashAlgorithm::Sha1, Kind::Tree, b"", "4b825dc642cb6eb9a060e54bf8d69288fbee4904"),
        (
            HashAlgorithm::Sha256,
            Kind::Blob,
            b"",
            "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
        ),
    ] {
        assert_eq!(id_of(algorithm, kind, data), expected);
    }
}

#[test]
fn a_changed_byte_or_kind_does_not_verify() {
    let object =
        Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from_static(b"hello\n")).unwrap();
    assert!(object.verify().is_ok());
    for (kind, data) in [(Kind::Blob, &b"hellO\n"[..]), (Kind::Tag, b"hello\n")] {
        let other = Object::claimed(object.id(), kind, Bytes::from_static(data));
        assert_eq!(other.verify().unwrap_err().claimed, object.id());
    }
}

#[test]
fn ids_of_the_wrong_length_are_refused() {
    assert_eq!(ObjectId::from_bytes(&[0; 19]), Err(IdError::Length(19)));
    assert!("e69de29".parse::<ObjectId>().is_err());
    assert!("zz9de29bb2d1d6434b8b29ae775ad8c2e48c5391".parse::<ObjectId>().is_err());
}

#[test]
fn a_chunk_says_where_it_lives_whose_it_is_and_what_it_is() {
    let chunk = Object::chunk(0x0102_0304_0506_0708, *b"pack", "words".into());
    let id = chunk.id();
    let whole = Object::hash(HashAlgorithm::Sha256, Kind::Chunk, "words".into()).unwrap();
    assert_eq!(id.prefix_u64(), 0x0102_0304_0506_0708);
    assert_eq!(&id.pack_tag(), b"pack");
    assert_eq!(id.as_bytes()[12..], whole.id().as_bytes()[12..]);
    let claimed = |id, kind, data: &'static str| Object::claimed(id, kind, data.into());
    claimed(id, Kind::Chunk, "words").verify().unwrap();
    claimed(id, Kind::Chunk, "other").verify().unwrap_err();
    claimed(id, Kind::Blob, "words").verify().unwrap_err();
    let short = ObjectId::from_bytes(&id.as_bytes()[..20]).unwrap();
    claimed(short, Kind::Chunk, "words").verify().unwrap_err();
}

#[test]
fn no_word_of_git_means_a_chunk() {
    "chunk".parse::<Kind>().unwrap_err();
}
