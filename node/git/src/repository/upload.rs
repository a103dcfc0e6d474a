//! Pack upload: the objects that a client lacks, out of stored packs.
//!
//! Entries are copied as they are stored wherever what they build on is in the pack too, or at the
//! client; only the others are inflated and deflated again. They are written in the order in which
//! they lie, so that chunks are read one after another and bases mostly come before their deltas.

use bytes::{Bytes, BytesMut};
use flate2::Crc;
use gitstratum_core::limits;
use gitstratum_core::object::ObjectId;
use tracing::instrument;

use super::objects::{Located, RepositoryObjects};
use crate::pack::PackError;
use crate::pack::meta::MetaObject;
use crate::pack::write::{DeltaForms, PackWriter, StoredEntry};
use crate::service::{PackRequest, PackSink, RepositoryError};
use crate::walk::{Objects, Selection, select};

/// Bytes of the pack that are sent together.
const SENT_AT_ONCE: usize = 64 << 10;

/// An object of the pack, by where it lies.
struct Sent {
    pack: u32,
    /// Its entry, among those of the pack's meta.
    position: u32,
    offset: u64,
}

/// Writes the pack that a client asks for. `tags` are annotated tags that may be sent along, each
/// with what it comes to.
#[instrument(name = "send_pack", level = "debug", skip_all)]
pub(super) async fn upload(
    objects: &RepositoryObjects,
    request: &PackRequest,
    tags: &[(ObjectId, ObjectId)],
    sink: &mut dyn PackSink,
) -> Result<(), RepositoryError> {
    let selection = select(objects, request, tags, &|_| {}).await?;
    let sent = locate(objects, &selection)?;
    let count = sent.len();
    sink.progress(&format!("Enumerating objects: {count}, done.\n")).await?;
    let declared = u32::try_from(count).map_err(|_| {
        RepositoryError::Refused(format!("{count} objects are more than a pack can have"))
    })?;
    let forms = DeltaForms { by_distance: request.ofs_delta, thin: request.thin };
    let (writer, header) = PackWriter::new(objects.algorithm(), declared, forms);
    let mut uploading = Uploading {
        objects,
        selection: &selection,
        thin: request.thin,
        writer,
        out: Out::new(sink, &header),
        deltas: 0,
    };
    for sent in &sent {
        uploading.send(sent).await?;
    }
    let Uploading { writer, mut out, deltas, .. } = uploading;
    let checksum = writer.finish().map_err(broken)?;
    out.give(checksum).await?;
    out.flush().await?;
    objects.reading.transferred.sent.inc_by(count as u64);
    let total = format!("Total {count} (delta {deltas}), reused {count} (delta {deltas})\n");
    out.sink.progress(&total).await
}

/// The objects in the order in which they lie.
fn locate(
    objects: &RepositoryObjects,
    selection: &Selection,
) -> Result<Vec<Sent>, RepositoryError> {
    let mut sent = Vec::with_capacity(selection.len());
    for selected in selection.iter() {
        let Some(located) = objects.locate(&selected.id) else {
            let (kind, id) = (selected.kind, selected.id);
            return Err(RepositoryError::Damaged(format!("{kind} {id} is not there")));
        };
        let (Located { pack, position }, known) = (located, objects.known(&located));
        sent.push(Sent { pack: pack as u32, position, offset: known.offset });
    }
    sent.sort_unstable_by_key(|sent| (sent.pack, sent.offset));
    Ok(sent)
}

/// A pack that is being sent.
struct Uploading<'a> {
    objects: &'a RepositoryObjects,
    selection: &'a Selection,
    thin: bool,
    writer: PackWriter,
    out: Out<'a>,
    deltas: usize,
}

impl Uploading<'_> {
    async fn send(&mut self, sent: &Sent) -> Result<(), RepositoryError> {
        let pack = sent.pack as usize;
        let meta = &self.objects.packs[pack].meta;
        let entry = meta.object(sent.position);
        let base = entry.base.map(|base| meta.id(base));
        let is_reused = base.is_none_or(|base| {
            self.selection.contains(&base) || self.thin && self.selection.client_has(&base)
        });
        if !is_reused {
            let located = Located { pack, position: sent.position };
            let (kind, data) = self.objects.read(located).await?;
            let bytes = self.writer.whole(entry.id, kind, &data).map_err(broken)?;
            return self.out.give(bytes).await;
        }
        self.deltas += usize::from(base.is_some());
        copy_entry(self.objects, (pack, &entry), &mut self.writer, &mut self.out).await
    }
}

/// Copies an entry as it is stored, but for its header, which may have to say anew where its base is.
pub(super) async fn copy_entry(
    objects: &RepositoryObjects,
    (pack, entry): (usize, &MetaObject),
    writer: &mut PackWriter,
    out: &mut Out<'_>,
) -> Result<(), RepositoryError> {
    let part_len = limits::PACK_READ_BYTES_MAX as u64;
    let first = entry.packed_len.min(part_len);
    let bytes = objects.entry_bytes(pack, entry, 0..first).await?;
    let base = entry.base.map(|base| objects.packs[pack].meta.id(base));
    let stored = StoredEntry { id: entry.id, offset: entry.offset, bytes, base };
    for piece in writer.copy(stored).map_err(broken)? {
        out.give(piece).await?;
    }
    let mut at = first;
    while at < entry.packed_len {
        let end = entry.packed_len.min(at + part_len);
        let part = objects.entry_bytes(pack, entry, at..end).await?;
        out.give(writer.copy_on(part)).await?;
        at = end;
    }
    Ok(())
}

/// Sends what is small together.
pub(super) struct Out<'a> {
    sink: &'a mut dyn PackSink,
    waiting: BytesMut,
    /// Of what was given since it was last asked for, where anybody asks.
    crc: Option<Crc>,
}

impl<'a> Out<'a> {
    /// Begins with these bytes.
    pub(super) fn new(sink: &'a mut dyn PackSink, begin: &[u8]) -> Self {
        Out { sink, waiting: BytesMut::from(begin), crc: None }
    }

    /// The same, for one who asks for checksums.
    pub(super) fn with_crc32(sink: &'a mut dyn PackSink, begin: &[u8]) -> Self {
        Out { crc: Some(Crc::new()), ..Out::new(sink, begin) }
    }

    /// CRC-32 of what was given since this was last asked, or since the beginning.
    ///
    /// # Panics
    /// Where none is computed.
    pub(super) fn take_crc32(&mut self) -> u32 {
        self.crc.replace(Crc::new()).expect("it was made to compute them").sum()
    }

    pub(super) async fn give(&mut self, bytes: Bytes) -> Result<(), RepositoryError> {
        if let Some(crc) = &mut self.crc {
            crc.update(&bytes);
        }
        if self.waiting.len() + bytes.len() > SENT_AT_ONCE {
            self.flush().await?;
        }
        if bytes.len() >= SENT_AT_ONCE {
            return self.sink.pack(bytes).await;
        }
        self.waiting.extend_from_slice(&bytes);
        Ok(())
    }

    pub(super) async fn flush(&mut self) -> Result<(), RepositoryError> {
        match self.waiting.is_empty() {
            true => Ok(()),
            false => self.sink.pack(self.waiting.split().freeze()).await,
        }
    }
}

/// A stored pack that contradicts its meta.
pub(super) fn broken(error: PackError) -> RepositoryError {
    RepositoryError::Damaged(format!("a stored pack cannot be sent: {error}"))
}
