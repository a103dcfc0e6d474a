//! Chunk cutter: bytes in as they arrive, full chunks out.

use bytes::{BufMut, BytesMut};
use gitstratum_core::object::Object;

use super::{CHUNK_DATA_BYTES_MAX, CHUNK_HEAD_BYTES, ChunkHead};

/// Cuts bytes into chunks that follow one another.
#[derive(Debug)]
pub struct Cutter {
    /// Of the next chunk.
    head: ChunkHead,
    /// The next chunk as far as it has come, with its head.
    bytes: BytesMut,
}

impl Cutter {
    /// Begins with the chunk of this head.
    pub fn new(head: ChunkHead) -> Self {
        Cutter { head, bytes: BytesMut::new() }
    }

    /// Takes the next bytes; calls `full` with each chunk that they fill.
    pub fn push(&mut self, mut data: &[u8], mut full: impl FnMut(Object)) {
        while !data.is_empty() {
            if self.bytes.is_empty() {
                self.head.write(&mut self.bytes);
            }
            let room = CHUNK_HEAD_BYTES + CHUNK_DATA_BYTES_MAX - self.bytes.len();
            let (fits, rest) = data.split_at(room.min(data.len()));
            self.bytes.put_slice(fits);
            data = rest;
            if fits.len() == room {
                full(self.end());
            }
        }
    }

    /// The last chunk, where anything is left for one.
    pub fn finish(mut self) -> Option<Object> {
        (!self.bytes.is_empty()).then(|| self.end())
    }

    /// Bytes of data that wait for their chunk to be full.
    pub fn waiting(&self) -> &[u8] {
        self.bytes.get(CHUNK_HEAD_BYTES..).unwrap_or_default()
    }

    fn end(&mut self) -> Object {
        let chunk = self.bytes.split().freeze();
        self.head.number += 1;
        self.head.object(chunk)
    }
}
