//! Tests of chunks: what is cut is read back, whatever the cuts; and no chunk passes for another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum_catalog::ids::{PackId, RepositoryId};
use gitstratum_core::object::{Object, ObjectId};

use super::{
    CHUNK_DATA_BYTES_MAX, ChunkHead, ChunkReader, ChunkStore, ChunkedBytes, Cutter, Part,
    position_of,
};
use crate::service::RepositoryError;

#[derive(Default)]
struct Memory {
    chunks: Mutex<BTreeMap<ObjectId, Bytes>>,
    gets: Mutex<usize>,
}

#[async_trait]
impl ChunkStore for Memory {
    async fn put(&self, chunk: Object) -> Result<(), RepositoryError> {
        self.chunks.lock().unwrap().insert(chunk.id(), chunk.data().clone());
        Ok(())
    }

    async fn get(&self, id: ObjectId) -> Result<Bytes, RepositoryError> {
        *self.gets.lock().unwrap() += 1;
        let found = self.chunks.lock().unwrap().get(&id).cloned();
        found.ok_or_else(|| RepositoryError::Damaged(format!("no replica has chunk {id}")))
    }
}

fn head() -> ChunkHead {
    let (repository, pack) = (RepositoryId(7), PackId([9; 32]));
    ChunkHead { repository, pack, part: Part::Body, number: 0 }
}

/// Bytes cut into chunks as they arrive in parts of `step` bytes.
async fn stored(data: &[u8], step: usize) -> (Arc<Memory>, ChunkedBytes) {
    let memory = Arc::new(Memory::default());
    let (mut cutter, mut chunks) = (Cutter::new(head()), Vec::new());
    data.chunks(step).for_each(|part| cutter.push(part, |chunk| chunks.push(chunk)));
    chunks.extend(cutter.finish());
    let ids: Vec<ObjectId> = chunks.iter().map(Object::id).collect();
    for chunk in chunks {
        memory.put(chunk).await.unwrap();
    }
    let ChunkHead { repository, pack, part, .. } = head();
    let len = data.len() as u64;
    (memory, ChunkedBytes { repository, pack, part, chunks: ids.into(), len })
}

#[tokio::test]
async fn what_was_cut_is_read_back_whatever_the_range() {
    let len = 2 * CHUNK_DATA_BYTES_MAX + 1000;
    let data: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
    for step in [len, 100_000, CHUNK_DATA_BYTES_MAX] {
        let (memory, bytes) = stored(&data, step).await;
        assert_eq!(bytes.chunks.len(), 3);
        assert!(bytes.is_consistent());
        let reader = ChunkReader::new(memory, 1 << 20);
        let edge = CHUNK_DATA_BYTES_MAX as u64;
        for range in [0..0, 0..1, edge - 1..edge, edge - 5..edge + 5, 7..len as u64] {
            let read = reader.range(&bytes, range.clone()).await.unwrap();
            assert_eq!(read, data[range.start as usize..range.end as usize]);
        }
        reader.range(&bytes, 5..len as u64 + 1).await.unwrap_err();
    }
}

#[tokio::test]
async fn chunks_that_were_read_lately_are_not_fetched_again() {
    let data = vec![1; 3 * CHUNK_DATA_BYTES_MAX];
    let (memory, bytes) = stored(&data, data.len()).await;
    let reader = ChunkReader::new(memory.clone(), 2 * CHUNK_DATA_BYTES_MAX + 1000);
    let read = async |number| drop(reader.chunk_of(&bytes, number).await.unwrap());
    for number in [0, 1, 0, 1, 2, 1] {
        read(number).await;
    }
    assert_eq!(*memory.gets.lock().unwrap(), 3, "two fit, and the one unused longest went");
    read(0).await;
    assert_eq!(*memory.gets.lock().unwrap(), 4);
}

#[tokio::test]
async fn a_chunk_at_another_place_or_of_another_pack_is_told() {
    let data = vec![1; 2 * CHUNK_DATA_BYTES_MAX];
    let (memory, bytes) = stored(&data, data.len()).await;
    let swapped =
        ChunkedBytes { chunks: [bytes.chunks[1], bytes.chunks[0]].into(), ..bytes.clone() };
    let reader = ChunkReader::new(memory, 0);
    let error = reader.range(&swapped, 0..10).await.unwrap_err();
    assert!(matches!(error, RepositoryError::Damaged(_)), "{error}");
    let other = ChunkedBytes { pack: PackId([8; 32]), ..bytes };
    reader.range(&other, 0..10).await.unwrap_err();
}

#[test]
fn all_chunks_of_a_repository_are_at_one_place_and_those_of_others_elsewhere() {
    let chunk =
        |repository| ChunkHead { repository: RepositoryId(repository), ..head() }.chunk(b"x");
    let places: Vec<u64> = (1..100).map(|repository| chunk(repository).id().prefix_u64()).collect();
    let distinct: std::collections::BTreeSet<u64> = places.iter().copied().collect();
    assert_eq!(distinct.len(), places.len());
    assert_eq!(places[0], position_of(RepositoryId(1)));
    let upper = places.iter().filter(|place| **place > u64::MAX / 2).count();
    assert!((35..65).contains(&upper), "{upper} of {} in one half", places.len());
}

#[test]
fn a_head_is_read_as_it_was_written() {
    for part in [Part::Body, Part::Meta, Part::MetaList, Part::Whole] {
        let head = ChunkHead { part, number: 77, ..head() };
        assert_eq!(ChunkHead::parse(head.chunk(b"data").data()), Some(head));
    }
    assert_eq!(ChunkHead::parse(b"short"), None);
    let chunk = head().chunk(b"data");
    let mut newer = chunk.data().to_vec();
    newer[3] = 2;
    let said = head().data_of(&chunk.id(), newer.into()).unwrap_err().to_string();
    assert!(said.contains("has format 2, and this program reads formats up to 1"), "{said}");
    assert_eq!(ChunkHead::parse(&[0; 100]), None);
}
