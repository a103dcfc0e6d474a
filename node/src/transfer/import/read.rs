//! Object decoding.
//!
//! Decoding and hashing, on threads that may block.
//!
//! Invariant: what leaves here hashes to the id that the repository has it under, or
//! will be found not to before its last byte is given away.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use gitstratum_core::limits;
use gitstratum_core::object::{Kind, Object, ObjectHead, ObjectId};
use gix::odb::loose;
use gix::odb::pack::cache::lru::MemoryCappedHashmap;
use tokio::sync::mpsc;

use super::error::ImportError;
use super::kind_of;
use super::large::{Large, Place};
use super::links::{Link, Links};
use super::places::{Pack, Places};
use super::plan::{Cursor, Plan, Source};
use super::recent::Recent;
use super::warning::Warning;

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

    /// What the objects refer to: for each that can refer to others, its id and whether Git
    /// could read that.
    pub(super) fn links(
        &self,
        shallow: &BTreeSet<ObjectId>,
        found: &mut dyn FnMut(&ObjectId, Link),
    ) -> Result<Vec<(ObjectId, &'static str)>, ImportError> {
        let mut malformed = Vec::new();
        let mut note = |id: ObjectId, read: Result<(), &'static str>| {
            malformed.extend(read.err().map(|problem| (id, problem)));
        };
        let links = |head: ObjectHead| {
            Links::new(head.kind, head.id.algorithm(), shallow.contains(&head.id))
        };
        match self {
            Item::Batch(objects) => {
                for object in objects.iter().filter(|object| object.kind() != Kind::Blob) {
                    let id = object.id();
                    let mut links = links(object.head());
                    let read = links.feed(object.data(), &mut |link| found(&id, link));
                    note(id, read.and_then(|()| links.finish()));
                }
            }
            Item::Large(large) if large.head.kind != Kind::Blob => {
                let id = large.head.id;
                note(id, large.links(links(large.head), &mut |link| found(&id, link))?);
            }
            Item::Large(_) => {}
        }
        Ok(malformed)
    }
}

/// Where readers hand over what they read, or why they stopped.
pub(super) type Items = mpsc::Sender<Result<Item, ImportError>>;

/// One reading of a plan, by several readers at once.
pub(super) struct Pass {
    pub(super) plan: Arc<Plan>,
    /// Plans of earlier passes, whose objects were read.
    pub(super) earlier: Vec<Arc<Plan>>,
    pub(super) places: Arc<Places>,
    /// Commits whose parents are absent by intent.
    pub(super) shallow: Arc<BTreeSet<ObjectId>>,
    pub(super) cursor: Cursor,
    pub(super) learnt: Mutex<Learnt>,
}

/// What readers learn of a repository as they read.
#[derive(Default)]
pub(super) struct Learnt {
    /// Objects that were listed and are gone from where they were.
    pub(super) gone: BTreeSet<ObjectId>,
    /// Ids that objects refer to and no plan has.
    pub(super) absent: BTreeSet<ObjectId>,
    /// Objects that do not say what they refer to.
    pub(super) malformed: BTreeSet<ObjectId>,
    pub(super) warnings: Vec<Warning>,
}

impl Pass {
    fn is_planned(&self, id: &ObjectId) -> bool {
        self.plan.ids().contains(id) || self.earlier.iter().any(|plan| plan.ids().contains(id))
    }

    fn learn(&self, what: impl FnOnce(&mut Learnt)) {
        what(&mut self.learnt.lock().expect("nothing panics while it learns"));
    }
}

/// Reads runs of objects until none is left, one cannot be read, or nobody listens any
/// more.
pub(super) fn run(pass: &Pass, items: &Items) {
    if let Err(error) = read_all(pass, items) {
        // A listener that went away has its own reason, here and below.
        let _ = items.blocking_send(Err(error));
    }
}

fn read_all(pass: &Pass, items: &Items) -> Result<(), ImportError> {
    let mut reader = Reader::default();
    let mut recent = Recent::default();
    let mut batch = Vec::new();
    let mut batch_bytes = 0;
    while let Some((source, places)) = pass.cursor.take(&pass.plan) {
        for place in places {
            let Some(item) = reader.read(pass, source, place)? else {
                pass.learn(|learnt| learnt.gone.extend([source.id(place)]));
                continue;
            };
            learn_links(pass, &mut recent, &item)?;
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

/// Notes what the item refers to and no plan has.
fn learn_links(pass: &Pass, recent: &mut Recent, item: &Item) -> Result<(), ImportError> {
    let malformed = item.links(&pass.shallow, &mut |_, link| {
        if !recent.has(&link.id) {
            if pass.is_planned(&link.id) {
                recent.add(&link.id);
            } else {
                pass.learn(|learnt| learnt.absent.extend([link.id]));
            }
        }
    })?;
    if !malformed.is_empty() {
        pass.learn(|learnt| learnt.malformed.extend(malformed.into_iter().map(|(id, _)| id)));
    }
    Ok(())
}

/// Decodes objects of a repository.
pub(super) struct Reader {
    cache: MemoryCappedHashmap,
    inflate: gix::zlib::Inflate,
    buffer: Vec<u8>,
}

impl Default for Reader {
    fn default() -> Self {
        Reader {
            cache: MemoryCappedHashmap::new(limits::IMPORT_DELTA_CACHE_BYTES),
            inflate: gix::zlib::Inflate::default(),
            buffer: Vec::new(),
        }
    }
}

impl Reader {
    /// The object at a place, or another copy of it if that one is not sound; `None` if it is
    /// gone from there.
    fn read(
        &mut self,
        pass: &Pass,
        source: &Source,
        place: usize,
    ) -> Result<Option<Item>, ImportError> {
        let id = source.id(place);
        let read = match source {
            Source::Pack { pack, positions } => self.packed(pack, positions[place], id).map(Some),
            Source::Loose { store, .. } => self.loose(store, id),
        };
        let Err(error) = read else { return read };
        let Some((id, path)) = error.unsound_copy() else { return Err(error) };
        let path = path.clone();
        match self.find(&pass.places, id)? {
            Some(item) => {
                pass.learn(|learnt| learnt.warnings.push(Warning::DamagedCopy { id, path }));
                Ok(Some(item))
            }
            None => Err(error),
        }
    }

    /// A sound copy of an object, wherever there is one.
    ///
    /// # Errors
    /// No copy is sound, and why the last was not.
    pub(super) fn find(
        &mut self,
        places: &Places,
        id: ObjectId,
    ) -> Result<Option<Item>, ImportError> {
        let wanted = gix::ObjectId::from_bytes_or_panic(id.as_bytes());
        let mut unsound = None;
        for pack in &places.packs {
            let Some(at) = pack.bundle.index.lookup(wanted) else { continue };
            match self.packed(pack, at, id) {
                Ok(item) => return Ok(Some(item)),
                Err(error) => unsound = Some(error),
            }
        }
        for store in &places.loose {
            match self.loose(store, id) {
                Ok(Some(item)) => return Ok(Some(item)),
                Ok(None) => {}
                Err(error) => unsound = Some(error),
            }
        }
        unsound.map_or(Ok(None), Err)
    }

    fn packed(&mut self, pack: &Arc<Pack>, at: u32, id: ObjectId) -> Result<Item, ImportError> {
        let failed = |source: gix::Error| unreadable(id, pack.path.clone(), source);
        let bundle = &pack.bundle;
        let entry = bundle.pack.entry(bundle.index.pack_offset_at_index(at)).map_err(failed)?;
        if let Some(kind) = entry.header.as_kind()
            && entry.decompressed_size > limits::OBJECT_BYTES_WHOLE_MAX as u64
        {
            let head = ObjectHead { id, kind: kind_of(kind), size_bytes: entry.decompressed_size };
            let place = Place::Packed { pack: pack.clone(), offset: entry.data_offset };
            return Ok(Item::Large(Large { head, place }));
        }
        let found =
            bundle.get_object_by_index(at, &mut self.buffer, &mut self.inflate, &mut self.cache);
        let kind = kind_of(found.map_err(failed)?.0.kind);
        self.hashed(id, kind, &pack.path)
    }

    /// `None` if there is no such file.
    fn loose(&mut self, store: &loose::Store, id: ObjectId) -> Result<Option<Item>, ImportError> {
        let at = gix::ObjectId::from_bytes_or_panic(id.as_bytes());
        let path = store.object_path(&at);
        let failed = |source: gix::Error| unreadable(id, path.clone(), source);
        let Some((size_bytes, kind)) = store.try_header(&at).map_err(failed)? else {
            return Ok(None);
        };
        if size_bytes > limits::OBJECT_BYTES_WHOLE_MAX as u64 {
            let head = ObjectHead { id, kind: kind_of(kind), size_bytes };
            let file = match File::open(&path) {
                Ok(file) => Arc::new(file),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(error) => {
                    return Err(ImportError::Object { id, path, source: error.into() });
                }
            };
            return Ok(Some(Item::Large(Large { head, place: Place::Loose { file, path } })));
        }
        let Some(found) = store.try_find(&at, &mut self.buffer).map_err(failed)? else {
            return Ok(None);
        };
        // A loose object is decoded behind its header, so the data is a part of the buffer.
        let (kind, data) = (kind_of(found.kind), Bytes::copy_from_slice(found.data));
        checked(id, kind, data, &path).map(Some)
    }

    fn hashed(&mut self, id: ObjectId, kind: Kind, path: &Path) -> Result<Item, ImportError> {
        let data = Bytes::copy_from_slice(&self.buffer);
        if self.buffer.capacity() > BUFFER_BYTES_KEPT {
            self.buffer = Vec::new();
        }
        checked(id, kind, data, path)
    }
}

/// Hashes with collision detection; the object enters the cluster here.
fn checked(id: ObjectId, kind: Kind, data: Bytes, path: &Path) -> Result<Item, ImportError> {
    let object = Object::hash(id.algorithm(), kind, data)?;
    if object.id() != id {
        return Err(ImportError::Damaged { id, actual: object.id(), path: path.to_owned() });
    }
    Ok(Item::whole(object))
}

fn unreadable(id: ObjectId, path: PathBuf, source: gix::Error) -> ImportError {
    ImportError::Object { id, path, source: source.into() }
}
