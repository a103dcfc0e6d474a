//! The segment that a compaction writes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use gitstratum_core::replica::StoreError;
use gitstratum_host::disk::{File, OpenMode};

use crate::codec::encode::{EncodedRecord, Follows, encode};
use crate::format::account::{Accounts, Tally};
use crate::format::index::Place;
use crate::format::record::Content;
use crate::format::segment::{SEGMENT_HEADER_BYTES, SegmentId, segment_header};
use crate::segment::sealed::Sealed;
use crate::segment::unsealed::MemoryIndex;
use crate::state::shared::Shared;

/// Copied records are gathered into writes of about this size.
const WRITE_BYTES: usize = 1 << 20;

/// The segment that is being written.
pub(super) struct Output {
    pub(super) id: SegmentId,
    pub(super) path: String,
    pub(super) file: File,
    /// How far it is written.
    pub(super) len: u64,
    pub(super) accounts: Accounts,
    pub(super) places: MemoryIndex,
    /// Whether objects were noted as damaged whose records it does not have.
    pub(super) noted: bool,
    /// Bytes before its first record.
    begin: u64,
    pending: Vec<EncodedRecord>,
    pending_bytes: usize,
    arena: BytesMut,
}

impl Output {
    /// Begins the file that takes a run's place under another name, with room for what goes
    /// to its beginning at the end.
    pub(super) async fn begin(
        shared: &Shared,
        run: &[Arc<Sealed>],
        id: SegmentId,
        path: &str,
    ) -> Result<Self, StoreError> {
        match shared.disk.remove(path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(shared.health.write_failed(path, &error));
            }
            _ => {}
        }
        let made = shared.disk.open(path, OpenMode::CreateNew).await;
        let file = made.map_err(|error| shared.health.write_failed(path, &error))?;
        let mut accounts = Accounts::default();
        for sealed in run {
            accounts.absorb(sealed.accounts());
        }
        accounts.held = Tally::default();
        let begin = SEGMENT_HEADER_BYTES as u64 + accounts.to_block().len() as u64;
        Ok(Output {
            id,
            path: path.to_owned(),
            file,
            len: begin,
            accounts,
            places: MemoryIndex::default(),
            noted: false,
            begin,
            pending: Vec::new(),
            pending_bytes: 0,
            arena: BytesMut::new(),
        })
    }

    /// Writes what is pending and the beginning, durably.
    pub(super) async fn finish(&mut self, shared: &Shared) -> Result<(), StoreError> {
        self.flush(shared).await?;
        let head = [&segment_header(self.id)[..], &self.accounts.to_block()[..]].concat();
        assert_eq!(head.len() as u64, self.begin, "what it killed was known when it was begun");
        let written = self.file.write_at_and_sync(0, vec![Bytes::from(head)]).await;
        written.map_err(|error| shared.health.write_failed(&self.path, &error))
    }

    async fn flush(&mut self, shared: &Shared) -> Result<(), StoreError> {
        let records = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let buffers = {
            let records: Vec<_> = records.iter().collect();
            encode(&records, self.id, self.len, Follows::Same, &mut self.arena)
        };
        let bytes = buffers.iter().map(|buffer| buffer.len() as u64).sum::<u64>();
        let written = self.file.write_at(self.len, buffers).await;
        written.map_err(|error| shared.health.write_failed(&self.path, &error))?;
        self.len += bytes;
        shared.health.count_write(bytes, 0);
        Ok(())
    }

    /// Takes one more record.
    pub(super) async fn push(
        &mut self,
        shared: &Shared,
        record: EncodedRecord,
    ) -> Result<(), StoreError> {
        let offset = self.len + self.pending_bytes as u64;
        let offset = u32::try_from(offset).expect("a run fits a segment");
        let place = match record.head.content {
            Content::Object { size, stored, .. } => {
                self.accounts.held += Tally::one(record.len(), size.into());
                Place::Object { offset, stored }
            }
            Content::Tombstone { victim } => Place::Tombstone { offset, victim },
            Content::Void { .. } => unreachable!("not copied"),
        };
        self.places.insert(record.head.id, place);
        self.pending_bytes += record.len() as usize;
        self.pending.push(record);
        if self.pending_bytes >= WRITE_BYTES {
            self.flush(shared).await?;
        }
        Ok(())
    }
}
