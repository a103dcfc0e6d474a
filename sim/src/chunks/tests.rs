//! The documented form of a chunk's head, and what the product writes, are the same.

use gitstratum_git::chunk::{ChunkHead, Part};

use super::*;

#[test]
fn a_head_that_the_product_writes_is_read() {
    let (repository, pack) = (RepositoryId(0x0102_0304_0506_0708), PackId([0xab; 32]));
    let head = ChunkHead { repository, pack, part: Part::Meta, number: 3 };
    let chunk = head.chunk(b"data");
    assert_eq!(names_of(chunk.data()), Some((repository, pack)));
}

#[test]
fn what_is_no_chunk_has_no_pack() {
    assert_eq!(names_of(b""), None);
    assert_eq!(names_of(&[0; 60]), None);
    assert_eq!(names_of(&[&MAGIC[..], &[0; 40]].concat()), None, "it ends within its head");
}
