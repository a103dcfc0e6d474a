//! Snapshots: a state as frames of bounded size, made and read one at a time.
//!
//! A frame is a checksum (CRC-32C, little-endian, of all that follows it), a byte that says the
//! format, and records in CBOR one after another. So neither side holds a second copy of a large
//! state. That no frame is missing, or comes twice, is seen from the order of the records, and
//! from the last one.

use gitstratum_core::limits::{CATALOG_FRAME_BYTES, CATALOG_RECORD_BYTES_MAX};
use minicbor::Decoder;

use super::{FORMAT, newer};
use crate::state::{Record, RecordError, State, StateBuilder};

const SUM_BYTES: usize = 4;

/// Why frames are no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Too short to be a frame, or longer than any is.
    #[error("a frame has {0} bytes")]
    Length(usize),
    /// Its checksum is of something else.
    #[error("a frame's checksum is of something else: it was damaged")]
    Checksum,
    /// Of a form that this program does not read.
    #[error("{}", newer("the catalog's snapshot", .0, FORMAT))]
    Format(u8),
    /// Not what this form says.
    #[error("record {number} cannot be decoded: {source}")]
    Malformed {
        /// Which, counted from 1.
        number: u64,
        /// Why.
        source: minicbor::decode::Error,
    },
    /// A record cannot stand there.
    #[error("record {number}: {source}")]
    Record {
        /// Which, counted from 1.
        number: u64,
        /// Why.
        source: RecordError,
    },
}

/// The frames of a state, made as they are asked for. Equal states have equal frames.
pub fn snapshot(state: &State) -> impl Iterator<Item = Vec<u8>> {
    let mut records = state.records().peekable();
    std::iter::from_fn(move || {
        records.peek()?;
        let mut frame = Vec::with_capacity(CATALOG_FRAME_BYTES + CATALOG_FRAME_BYTES / 8);
        frame.extend_from_slice(&[0; SUM_BYTES]);
        frame.push(FORMAT);
        while frame.len() < CATALOG_FRAME_BYTES
            && let Some(record) = records.next()
        {
            minicbor::encode(&record, &mut frame).expect("memory takes what is written to it");
        }
        let sum = crc32c::crc32c(&frame[SUM_BYTES..]);
        frame[..SUM_BYTES].copy_from_slice(&sum.to_le_bytes());
        Some(frame)
    })
}

/// Reads the frames of a snapshot, in the order in which they were made.
#[derive(Debug, Default)]
pub struct SnapshotReader {
    builder: StateBuilder,
    /// Records that were read.
    records: u64,
}

impl SnapshotReader {
    /// Takes the next frame.
    ///
    /// # Errors
    /// [`SnapshotError`]; the reader is of no use after that.
    pub fn add(&mut self, frame: &[u8]) -> Result<(), SnapshotError> {
        let longest = CATALOG_FRAME_BYTES + CATALOG_RECORD_BYTES_MAX;
        if frame.len() <= SUM_BYTES || frame.len() > longest {
            return Err(SnapshotError::Length(frame.len()));
        }
        let (sum, rest) = frame.split_at(SUM_BYTES);
        if crc32c::crc32c(rest).to_le_bytes() != *sum {
            return Err(SnapshotError::Checksum);
        }
        if rest[0] != FORMAT {
            return Err(SnapshotError::Format(rest[0]));
        }
        let mut decoder = Decoder::new(&rest[1..]);
        while decoder.position() < rest.len() - 1 {
            self.records += 1;
            let number = self.records;
            let record: Record =
                decoder.decode().map_err(|source| SnapshotError::Malformed { number, source })?;
            let added = self.builder.add(record);
            added.map_err(|source| SnapshotError::Record { number, source })?;
        }
        Ok(())
    }

    /// The state, if all of it came.
    ///
    /// # Errors
    /// [`SnapshotError::Record`] where the end is missing.
    pub fn finish(self) -> Result<State, SnapshotError> {
        let number = self.records + 1;
        self.builder.finish().map_err(|source| SnapshotError::Record { number, source })
    }
}
