//! Recovery: indexes are read, the last segment is scanned, and what a crash left is
//! finished or undone.
//!
//! Invariant: nothing that was acknowledged is lost, nothing that was not is half there,
//! and all that is found is durable before it is served. Only the last group of the last
//! segment can be torn, or the last two when one was written while the other was flushed:
//! what was before them was synced first, as the record says that begins a group, and a
//! segment is left only when all of it is synced.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use gitstratum_core::format::NewerFormat;
use gitstratum_core::limits;
use gitstratum_core::object::ObjectId;
use gitstratum_host::disk::{File, OpenMode, is_full, is_read_only};
use gitstratum_host::{Disk, dedicated};
use tokio::task::JoinError;

use crate::error::{OpenError, io_error};
use crate::files::identity;
use crate::files::names::{DIR, LARGE_DIR, Listed, index_path, large_path, list, segment_path};
use crate::format::record::{Begins, Content, RECORD_BYTES_MIN, RecordHead};
use crate::format::segment::{
    SEGMENT_HEADER_BYTES, SegmentId, parse_segment_header, segment_header,
};
use crate::format::{HeaderError, index, segment};
use crate::manifest::{self, OnDisk, Should, Summary};
use crate::open::clean;
use crate::segment::append::cut;
use crate::segment::scan::{Contents, Tail, scan};
use crate::segment::sealed::{IndexError, Sealed, write_index};
use crate::segment::unsealed::Unsealed;
use crate::state::large_names;
use crate::state::manifest::Kept;
use crate::state::quarantine::{self, Missing};
use crate::state::shared::Ledgers;
use crate::state::view::View;

/// What opening found.
pub(crate) struct Recovered {
    pub(crate) view: View,
    pub(crate) next_segment: u32,
    /// Segments that were scanned and have damaged records.
    pub(crate) damaged: Vec<(SegmentId, Contents)>,
    /// What should be there and is not.
    pub(crate) missing: Missing,
    pub(crate) ledgers: Ledgers,
    /// Whether the store is one that has had a manifest.
    pub(crate) had_manifest: bool,
}

/// Opens all that is on a disk.
pub(crate) async fn recover(disk: &Disk) -> Result<Recovered, OpenError> {
    let Listed { segments, large, leftovers } = list(disk).await?;
    let had_manifest = identity::had_manifest(disk).await?;
    let known = manifest::read(disk).await?;
    let mut missing = Missing::default();
    let trouble = missing.look_at_manifest(&known, had_manifest);
    let compares = known.manifest.is_some();
    let manifest = known.manifest.unwrap_or_default();
    let looks = look_at_all(disk, segments.iter().copied().collect()).await?;
    // A killed process may have given names that it had not synced, and what is served from now
    // on depends on them.
    for dir in ["", DIR, LARGE_DIR] {
        disk.sync_dir(dir).await.map_err(io_error("sync", dir))?;
    }
    for path in leftovers {
        match remove(disk, &path).await {
            Err(OpenError::Io { source, .. }) if is_read_only(&source) => {}
            removed => removed?,
        }
    }
    let large = large_objects(disk, large).await?;
    let said = large_names::load(disk, manifest.large).await?;
    let names = missing.look_at_large(disk, said, &large).await?;
    let quarantined = quarantine::load(disk, manifest.quarantine).await?;
    missing.list_unsaved = quarantined.unsaved;
    let newest = segments.last().copied();
    let next_segment = newest.map_or(0, |last| last.last + 1).max(manifest.next_segment);
    let mut recovered = Recovered {
        view: View {
            active: None,
            frozen: Vec::new(),
            sealed: Arc::new([]),
            large,
            bad: quarantined.bad,
            unidentified: quarantined.unidentified,
            unidentified_scans: 0,
            lost: quarantined.lost,
        },
        next_segment,
        damaged: Vec::new(),
        missing,
        ledgers: Ledgers {
            manifest: Kept::new(manifest.clone(), compares && !trouble),
            large_names: names,
            list_sequence: quarantined.sequence.max(manifest.quarantine),
        },
        had_manifest,
    };
    let (mut sealed, mut held) = (Vec::new(), BTreeMap::new());
    for look in looks {
        let (id, len) = (look.id, look.len);
        let should = manifest.segments.get(&id);
        let (records, unread) = match open_segment(disk, look, Some(id) == newest, should).await? {
            Opened::Sealed(segment, contents) => {
                let Summary { records, unread, .. } = segment.summary();
                sealed.push(segment);
                recovered.damaged.extend(contents.map(|contents| (id, contents)));
                (records, unread)
            }
            Opened::Active(segment, contents) => {
                let Summary { records, unread, .. } = segment.summary();
                recovered.view.active = Some(segment);
                recovered.damaged.push((id, contents));
                (records, unread)
            }
            Opened::Nothing => (0, 0),
        };
        held.insert(id, OnDisk { len, records, unread });
    }
    if compares {
        recovered.missing.lost.extend(manifest::compare(&manifest, &held));
    }
    sealed.sort_by_key(|segment| std::cmp::Reverse(segment.id()));
    recovered.view.sealed = sealed.into();
    Ok(recovered)
}

async fn remove(disk: &Disk, path: &str) -> Result<(), OpenError> {
    tracing::info!(path, "removing what an interrupted step left");
    disk.remove(path).await.map_err(io_error("remove", path))
}

/// The lengths of the large objects' files.
async fn large_objects(
    disk: &Disk,
    ids: BTreeSet<ObjectId>,
) -> Result<BTreeMap<ObjectId, u64>, OpenError> {
    let mut found = BTreeMap::new();
    for id in ids {
        let path = large_path(id);
        let file = disk.open(&path, OpenMode::Read).await.map_err(io_error("open", &path))?;
        found.insert(id, file.len().await.map_err(io_error("size", &path))?);
    }
    Ok(found)
}

/// A segment's files, of which nothing was changed.
struct Look {
    id: SegmentId,
    /// Not for writing, which only the active one is.
    file: File,
    len: u64,
    /// It has an index that holds, or its first bytes are what they should be.
    named: bool,
    /// With an index that holds.
    sealed: Option<Sealed>,
}

/// Looks at all of them, in order: where they are many, whose files the disk may have to
/// read, on several threads.
async fn look_at_all(disk: &Disk, segments: Vec<SegmentId>) -> Result<Vec<Look>, OpenError> {
    if segments.len() <= limits::SEGMENTS_OPENED_BY_THREAD {
        return look_at_each(disk.clone(), segments).await;
    }
    let parts = segments.chunks(limits::SEGMENTS_OPENED_BY_THREAD).map(<[_]>::to_vec);
    let parts = stream::iter(parts).map(async |part| {
        opened_elsewhere("open segments", dedicated(look_at_each(disk.clone(), part)).await)?
    });
    parts.buffered(limits::SEGMENTS_OPENING_THREADS).try_concat().await
}

/// What a part of the opening came to that went on in a task of its own.
///
/// # Errors
/// [`OpenError::Io`] when the task was given up.
///
/// # Panics
/// When the task did.
pub(crate) fn opened_elsewhere<T>(
    doing: &str,
    ended: Result<T, JoinError>,
) -> Result<T, OpenError> {
    ended.map_err(|error| {
        assert!(!error.is_panic(), "{doing}: {error}");
        let source = std::io::Error::new(std::io::ErrorKind::Interrupted, error);
        OpenError::Io { doing: doing.into(), source }
    })
}

async fn look_at_each(disk: Disk, segments: Vec<SegmentId>) -> Result<Vec<Look>, OpenError> {
    let mut looks = Vec::with_capacity(segments.len());
    for id in segments {
        looks.push(look(&disk, id).await?);
    }
    Ok(looks)
}

async fn look(disk: &Disk, id: SegmentId) -> Result<Look, OpenError> {
    let path = segment_path(id);
    let file = disk.open(&path, OpenMode::Read).await.map_err(io_error("open", &path))?;
    let len = file.len().await.map_err(io_error("size", &path))?;
    let index = index_path(id);
    let sealed = match Sealed::open(disk, id, file.clone(), len).await {
        Ok(sealed) => Some(sealed),
        Err(IndexError::Damaged) => None,
        Err(IndexError::Version(version)) => {
            return Err(NewerFormat::new(index, version, index::VERSION).into());
        }
        Err(IndexError::Io(source)) => {
            return Err(OpenError::Io { doing: format!("read {index}"), source });
        }
    };
    let named = sealed.is_some() || is_named(&file, id).await?;
    Ok(Look { id, file, len, named, sealed })
}

/// Whether a segment's first bytes are what they should be.
async fn is_named(file: &File, id: SegmentId) -> Result<bool, OpenError> {
    let path = segment_path(id);
    let head = file.read_at(0, SEGMENT_HEADER_BYTES).await.map_err(io_error("read", &path))?;
    match parse_segment_header(&head) {
        Ok(named) if named != id => Err(OpenError::Damaged { path }),
        Ok(_) => Ok(true),
        Err(HeaderError::Version(version)) => {
            Err(NewerFormat::new(path, version, segment::VERSION).into())
        }
        Err(HeaderError::Damaged) => Ok(false),
    }
}

#[allow(clippy::large_enum_variant, reason = "one at a time, and taken apart at once")]
enum Opened {
    /// With what was found when its index had to be made again.
    Sealed(Arc<Sealed>, Option<Contents>),
    Active(Unsealed, Contents),
    /// It never had a record, and is removed.
    Nothing,
}

async fn open_segment(
    disk: &Disk,
    look: Look,
    newest: bool,
    should: Option<&Should>,
) -> Result<Opened, OpenError> {
    let Look { id, file, len, named, sealed } = look;
    if let Some(sealed) = sealed
        && let Some(sealed) = as_it_should(sealed, should).await?
    {
        return Ok(Opened::Sealed(Arc::new(sealed), None));
    }
    let (path, index) = (segment_path(id), index_path(id));
    // A crash between making the file and syncing its header: it never had a record.
    if !named && len <= SEGMENT_HEADER_BYTES as u64 {
        remove(disk, &path).await?;
        return Ok(Opened::Nothing);
    }
    if !named {
        // Each record says itself where it belongs, so the rest is still good.
        tracing::error!(path, "the segment's header is damaged");
    }
    let open = newest && id.generation == 0 && !matches!(should, Some(Should::Sealed(_)));
    let durable = match should {
        Some(Should::Active { len, .. }) => *len,
        // A store without a manifest says otherwise that it was closed.
        _ if open && clean::was_left(disk, id, len).await => len,
        _ => 0,
    };
    let tail = if open { Tail::Open { durable } } else { Tail::Sealed };
    let mut contents = scan(&file, id, len, tail).await.map_err(io_error("read", &path))?;
    let unread = contents.skipped;
    if should.is_some_and(|should| unread <= should.unread()) {
        // It was noted when that was seen first, and may have been made up for since.
        contents.skipped = 0;
    }
    if open {
        // An index that does not hold, or is that of a shorter segment, has no use.
        // All of it is durable: nothing is written that has not changed.
        let unchanged = durable == len && named && contents.gaps.is_empty() && contents.end == len;
        match disk.remove(&index).await {
            Err(error)
                if error.kind() != std::io::ErrorKind::NotFound
                    && !(unchanged && is_read_only(&error)) =>
            {
                return Err(OpenError::Io { doing: format!("remove {index}"), source: error });
            }
            _ => {}
        }
        let file = match disk.open(&path, OpenMode::ReadWrite).await {
            // It is read from and, as the store sees to, not written to.
            Err(error) if unchanged && is_read_only(&error) => file,
            opened => opened.map_err(io_error("open", &path))?,
        };
        if unchanged {
            return Ok(Opened::Active(going_on(id, file, len, unread, &mut contents), contents));
        }
        return active(id, file, len, unread, contents).await;
    }
    tracing::warn!(path, "its index is missing or damaged and is made again");
    let accounts = contents.accounts.clone();
    if contents.skipped == 0 {
        let entries = contents.places.entries();
        let made = write_index(disk, id, file.clone(), len, accounts.clone(), entries).await;
        match made {
            // Gets go on without room: the index stays in memory until there is some.
            Err(error) if is_full(&error) => {}
            sealed => {
                let sealed = sealed.map_err(io_error("write", &index))?;
                let sealed = sealed.with(contents.places.ids(), unread);
                return Ok(Opened::Sealed(Arc::new(sealed), Some(contents)));
            }
        }
    }
    // With an index nobody would scan it again, and know that records are missing in it: that
    // is to be on the list first.
    let places = std::mem::take(&mut contents.places);
    let segment = Unsealed { id, file, len, file_len: len, unread, accounts, places };
    let sealed = Sealed::in_memory(segment);
    Ok(Opened::Sealed(Arc::new(sealed), Some(contents)))
}

/// A segment with an index that holds, unless it is not the one that the manifest says: then its
/// records are to be counted.
async fn as_it_should(
    sealed: Sealed,
    should: Option<&Should>,
) -> Result<Option<Sealed>, OpenError> {
    let Summary { len, records, .. } = sealed.summary();
    if let Some(Should::Sealed(noted)) = should {
        let same = (noted.len, noted.records) == (len, records);
        return Ok(same.then(|| sealed.with(noted.ids, noted.unread)));
    }
    match sealed.read_ids().await {
        Ok(ids) => Ok(Some(sealed.with(ids, 0))),
        Err(IndexError::Io(source)) => {
            Err(OpenError::Io { doing: format!("read {}", index_path(sealed.id())), source })
        }
        Err(IndexError::Damaged | IndexError::Version(_)) => Ok(None),
    }
}

/// The segment to go on with: its torn tail cut, what is torn within its last group voided,
/// and all of that group durable.
async fn active(
    id: SegmentId,
    file: File,
    len: u64,
    unread: u64,
    mut contents: Contents,
) -> Result<Opened, OpenError> {
    let path = segment_path(id);
    let Contents { end, last_group, .. } = contents;
    // What is served from now on must be as durable as the rest. It is written once more,
    // because where its sync had failed, the system may call lost pages clean, and another
    // sync alone would say that all is well.
    let group = usize::try_from(end - last_group).expect("a group fits in memory");
    let bytes = file.read_at(last_group, group).await.map_err(io_error("read", &path))?;
    let mut bytes = BytesMut::from(&bytes[..]);
    for (offset, len) in &contents.gaps {
        tracing::warn!(path, offset, bytes = len, "voiding what was not completely written");
        put_void(
            &mut bytes[usize::try_from(offset - last_group).expect("within the group")..],
            id,
            *offset,
            *len,
        );
    }
    let header = Bytes::copy_from_slice(&segment_header(id));
    file.write_at(0, vec![header]).await.map_err(io_error("write", &path))?;
    let written = file.write_at_and_sync(last_group, vec![bytes.freeze()]).await;
    written.map_err(io_error("write", &path))?;
    if end < len {
        // Torn, or zeros that were written ahead.
        tracing::info!(path, from = len, to = end, "cutting what is behind the last record");
        cut(&file, end).await.map_err(io_error("cut", &path))?;
    }
    Ok(Opened::Active(going_on(id, file, end, unread, &mut contents), contents))
}

/// The segment that ends there, with what a scan found in it.
fn going_on(id: SegmentId, file: File, end: u64, unread: u64, contents: &mut Contents) -> Unsealed {
    let places = std::mem::take(&mut contents.places);
    let accounts = std::mem::take(&mut contents.accounts);
    Unsealed { id, file, len: end, file_len: end, unread, accounts, places }
}

/// Writes the header of a void of `len` bytes over the beginning of `bytes`.
fn put_void(bytes: &mut [u8], segment: SegmentId, offset: u64, len: u64) {
    let id = ObjectId::from_bytes(&[0; 20]).expect("twenty bytes are an id");
    let stored = len.checked_sub(RECORD_BYTES_MIN as u64).expect("a gap was records once");
    let stored = u32::try_from(stored).expect("a segment is below 4 GiB");
    let head = RecordHead { id, content: Content::Void { stored }, begins: Begins::Group };
    head.write(segment, offset, &mut &mut bytes[..]);
}
