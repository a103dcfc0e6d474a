//! Decoding and hashing, on threads that may block.
//!
//! Invariant: what leaves here hashes to the id that the repository has it under, or
//! will be found not to before its last byte is given away.

use std::path::PathBuf;

use bytes::Bytes;
use gix::odb::pack::cache::lru::MemoryCappedHashmap;
use tokio::sync::mpsc;

use super::large::{Large, Place};
use super::plan::{Cursor, Plan, Source};
use super::source::Pack;
use super::{ImportError, kind_of};
use crate::limits;
use crate::object::{Kind, Object, ObjectHead, ObjectId};

/// A buffer that grew past this for one object is given back.
const BUFFER_BYTES_KEPT: usize = 4 << 20;

/// What a reader hands over.
pub(super) enum Item {
    /// Whole objects, at most `BATCH_OBJECTS_MAX` and about `BATCH_BYTES_MAX`.
    Batch(Vec<Object>),
    /// One that goes in parts.
    Large(Large),
}

impl Item {
    /// The item for an object in memory, by its size.
    pub(super) fn whole(object: Object) -> Self {
        if object.data().len() <= limits::OBJECT_BYTES_WHOLE_MAX {
            return Item::Batch(vec![object]);
        }
        Item::Large(Large { head: object.head(), place: Place::Memory(object.data().clone()) })
    }
}

/// Where readers hand over what they read, or why they stopped.
pub(super) type Items = mpsc::Sender<Result<Item, ImportError>>;

/// Reads runs of objects until none is left, one cannot be read, or nobody listens any
/// more.
pub(super) fn run(plan: &Plan, cursor: &Cursor, items: &Items) {
    if let Err(error) = read_all(plan, cursor, items) {
        // A listener that went away has its own reason, here and below.
        let _ = items.blocking_send(Err(error));
    }
}

fn read_all(plan: &Plan, cursor: &Cursor, items: &Items) -> Result<(), ImportError> {
    let mut reader = Reader {
        cache: MemoryCappedHashmap::new(limits::IMPORT_DELTA_CACHE_BYTES),
        inflate: gix::zlib::Inflate::default(),
        buffer: Vec::new(),
    };
    let mut batch = Vec::new();
    let mut batch_bytes = 0;
    while let Some((source, places)) = cursor.take(plan) {
        for place in places {
            let item = reader.read(source, place)?;
            let Item::Batch(objects) = item else {
                if items.blocking_send(Ok(item)).is_err() {
                    return Ok(());
                }
                continue;
            };
            for object in objects {
                let bytes = object.data().len();
                let full = batch_bytes + bytes > limits::BATCH_BYTES_MAX
                    || batch.len() == limits::BATCH_OBJECTS_MAX;
                if full && !batch.is_empty() {
                    batch_bytes = 0;
                    if items.blocking_send(Ok(Item::Batch(std::mem::take(&mut batch)))).is_err() {
                        return Ok(());
                    }
                }
                batch_bytes += bytes;
                batch.push(object);
            }
        }
    }
    if !batch.is_empty() {
        let _ = items.blocking_send(Ok(Item::Batch(batch)));
    }
    Ok(())
}

struct Reader {
    cache: MemoryCappedHashmap,
    inflate: gix::zlib::Inflate,
    buffer: Vec<u8>,
}

impl Reader {
    fn read(&mut self, source: &Source, place: usize) -> Result<Item, ImportError> {
        let id = source.id(place);
        match source {
            Source::Pack { pack, positions } => self.packed(pack, positions[place], id),
            Source::Loose { store, ids } => self.loose(store, &ids[place], id),
        }
    }

    fn packed(&mut self, pack: &Pack, at: u32, id: ObjectId) -> Result<Item, ImportError> {
        let failed = |source: gix::Error| unreadable(id, pack.path.clone(), source);
        let bundle = &pack.bundle;
        let entry = bundle.pack.entry(bundle.index.pack_offset_at_index(at)).map_err(failed)?;
        if let Some(kind) = entry.header.as_kind()
            && entry.decompressed_size > limits::OBJECT_BYTES_WHOLE_MAX as u64
        {
            let head = ObjectHead { id, kind: kind_of(kind), size_bytes: entry.decompressed_size };
            let place = Place::Packed { path: pack.path.clone(), offset: entry.data_offset };
            return Ok(Item::Large(Large { head, place }));
        }
        let found =
            bundle.get_object_by_index(at, &mut self.buffer, &mut self.inflate, &mut self.cache);
        let kind = kind_of(found.map_err(failed)?.0.kind);
        self.hashed(id, kind, &pack.path)
    }

    fn loose(
        &mut self,
        store: &gix::odb::loose::Store,
        at: &gix::oid,
        id: ObjectId,
    ) -> Result<Item, ImportError> {
        let path = store.object_path(at);
        let failed = |source: gix::Error| unreadable(id, path.clone(), source);
        let gone = || ImportError::Object {
            id,
            path: path.clone(),
            source: "the file is gone; import again".into(),
        };
        let (size_bytes, kind) = store.try_header(at).map_err(failed)?.ok_or_else(gone)?;
        if size_bytes > limits::OBJECT_BYTES_WHOLE_MAX as u64 {
            let head = ObjectHead { id, kind: kind_of(kind), size_bytes };
            return Ok(Item::Large(Large { head, place: Place::Loose { path } }));
        }
        let found = store.try_find(at, &mut self.buffer).map_err(failed)?.ok_or_else(gone)?;
        // A loose object is decoded behind its header, so the data is a part of the buffer.
        let (kind, data) = (kind_of(found.kind), Bytes::copy_from_slice(found.data));
        checked(id, kind, data, &path)
    }

    fn hashed(
        &mut self,
        id: ObjectId,
        kind: Kind,
        path: &std::path::Path,
    ) -> Result<Item, ImportError> {
        let data = Bytes::copy_from_slice(&self.buffer);
        if self.buffer.capacity() > BUFFER_BYTES_KEPT {
            self.buffer = Vec::new();
        }
        checked(id, kind, data, path)
    }
}

/// Hashes with collision detection; the object enters the cluster here.
fn checked(
    id: ObjectId,
    kind: Kind,
    data: Bytes,
    path: &std::path::Path,
) -> Result<Item, ImportError> {
    let object = Object::hash(id.algorithm(), kind, data)?;
    if object.id() != id {
        return Err(ImportError::Damaged { id, actual: object.id(), path: path.to_owned() });
    }
    Ok(Item::whole(object))
}

fn unreadable(id: ObjectId, path: PathBuf, source: gix::Error) -> ImportError {
    ImportError::Object { id, path, source: source.into() }
}
