//! Looking at a store's files without opening it: nothing is written, nothing is repaired.
//!
//! Meant for snapshots and for directories of stopped nodes; a directory that a process
//! has open is refused, because its last segment changes while it is read.

use std::collections::{BTreeMap, BTreeSet};

use gitstratum_host::Disk;
use gitstratum_host::disk::{DiskLock, OpenMode};

use super::files::{Listed, index_path, large_path, list, segment_path};
use super::format::HeaderError;
use super::format::account::Tally;
use super::format::index::{Directory, Place};
use super::format::large::{
    CHUNK_TRAILER_BYTES, LARGE_CHUNK_BYTES, LARGE_HEADER_BYTES, chunk_crc, large_file_len,
    large_size_of, parse_large_header,
};
use super::format::record::Content;
use super::format::segment::{SEGMENT_HEADER_BYTES, SegmentId, parse_segment_header};
use super::pack::Unpacker;
use super::scan::{Reader, Tail, read_accounts, scan};
use super::scrub::verify as verify_record;
use super::sealed::{IndexError, Sealed};
use super::snapshot::COMPLETE;
use super::{OpenError, identity, io_error};
use crate::object::{ObjectHasher, ObjectId};
use crate::placement::NodeId;

/// What a store's files hold, counted from indexes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfflineStats {
    /// Whose data it is.
    pub owner: Option<NodeId>,
    /// Segments that are complete and indexed.
    pub sealed_segments: u64,
    /// Segments that opening would scan: at most the one that puts were appended to.
    pub unindexed_segments: u64,
    /// Objects that can be got.
    pub objects: u64,
    /// Bytes they have.
    pub payload_bytes: u64,
    /// Objects in files of their own, which are among those.
    pub large_objects: u64,
    /// Bytes of all files.
    pub disk_bytes: u64,
    /// Bytes of records that were deleted and not compacted away.
    pub garbage_bytes: u64,
    /// What is left of an interrupted step: files that opening removes.
    pub leftovers: u64,
}

/// What reading everything found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Records and large objects that were read and are sound.
    pub sound: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// One line for everything that is wrong: which file, where, what.
    pub problems: Vec<String>,
    /// What is not as it would be after a clean stop, and is no loss: one line each.
    pub remarks: Vec<String>,
}

impl Verified {
    /// Notes that the disk does not read a file. The others are still to be looked at.
    fn unread(&mut self, error: OpenError) -> Result<(), OpenError> {
        match error {
            OpenError::Io { .. } => self.problems.push(error.to_string()),
            error => return Err(error),
        }
        Ok(())
    }
}

/// The names of a store's files, and the lock if it has one.
struct Looked {
    owner: NodeId,
    segments: BTreeSet<SegmentId>,
    large: BTreeSet<ObjectId>,
    leftovers: Vec<String>,
    _lock: Option<DiskLock>,
}

async fn look(disk: &Disk) -> Result<Looked, OpenError> {
    let owner = identity::owner(disk).await?;
    let owner = owner.ok_or_else(|| OpenError::NoStore { missing: identity::IDENTITY.into() })?;
    let lock = identity::lock_if_there(disk).await?;
    let Listed { segments, large, leftovers } = list(disk).await?;
    Ok(Looked { owner, segments, large, leftovers, _lock: lock })
}

/// Counts what a store's files hold without reading the records of sealed segments.
///
/// # Errors
/// [`OpenError`] when it is no store, is in use, or cannot be read.
pub async fn stats(disk: &Disk) -> Result<OfflineStats, OpenError> {
    let looked = look(disk).await?;
    let mut stats = OfflineStats {
        owner: Some(looked.owner),
        leftovers: looked.leftovers.len() as u64,
        large_objects: looked.large.len() as u64,
        objects: looked.large.len() as u64,
        ..OfflineStats::default()
    };
    for id in &looked.large {
        let path = large_path(*id);
        let file = disk.open(&path, OpenMode::Read).await.map_err(io_error("open", &path))?;
        let len = file.len().await.map_err(io_error("size", &path))?;
        stats.disk_bytes += len;
        stats.payload_bytes += large_size_of(len);
    }
    let (mut live, mut killed, mut settled) =
        (Tally::default(), Tally::default(), Tally::default());
    for id in &looked.segments {
        let path = segment_path(*id);
        let file = disk.open(&path, OpenMode::Read).await.map_err(io_error("open", &path))?;
        let len = file.len().await.map_err(io_error("size", &path))?;
        let accounts = match Sealed::open(disk, *id, file.clone(), len).await {
            Ok(sealed) => {
                stats.sealed_segments += 1;
                stats.disk_bytes += sealed.disk_bytes();
                sealed.accounts().clone()
            }
            Err(_) => {
                stats.unindexed_segments += 1;
                stats.disk_bytes += len;
                let contents = scan(&file, *id, len, Tail::Open).await;
                contents.map_err(io_error("read", &path))?.accounts
            }
        };
        live += accounts.held;
        settled += accounts.settled;
        accounts.kills.values().for_each(|tally| killed += *tally);
    }
    live += settled;
    live -= killed;
    killed -= settled;
    // Damaged accounts say anything.
    stats.objects = stats.objects.saturating_add(live.records);
    stats.payload_bytes = stats.payload_bytes.saturating_add(live.payload);
    stats.garbage_bytes = killed.bytes;
    Ok(stats)
}

/// Reads every byte and verifies checksums, hashes and indexes; `progress` is told the
/// records and the bytes read so far.
///
/// # Errors
/// [`OpenError`] when it is no store, is in use, or of a later version. Damage is no error but
/// a result, and so are files that the disk does not read.
pub async fn verify(
    disk: &Disk,
    mut progress: impl FnMut(u64, u64),
) -> Result<Verified, OpenError> {
    let looked = look(disk).await?;
    let mut verified = Verified::default();
    let newest = looked.segments.last().copied();
    // Of the segments that lookups ask after the one that is being looked at; without their
    // files, of which there may be more than a process can have open.
    let mut older = Vec::new();
    for id in &looked.segments {
        let newest = Some(*id) == newest;
        match segment(disk, *id, newest, &older, &mut verified, &mut progress).await {
            Ok(directory) => older.extend(directory),
            Err(error) => verified.unread(error)?,
        }
    }
    for id in &looked.large {
        if let Err(error) = large(disk, *id, &mut verified, &mut progress).await {
            verified.unread(error)?;
        }
    }
    for path in looked.leftovers {
        verified.remarks.push(format!("{path}: left by an interrupted step"));
    }
    // A directory that was served has the lock's file, a complete snapshot its last one.
    if let Ok(false) = disk.exists(COMPLETE).await
        && let Ok(false) = disk.exists(identity::LOCK).await
    {
        verified.problems.push("this is a snapshot that was not completed".to_owned());
    }
    Ok(verified)
}

/// Verifies a segment; its index's directory, if that can be read.
async fn segment(
    disk: &Disk,
    id: SegmentId,
    newest: bool,
    older: &[Directory],
    verified: &mut Verified,
    progress: &mut impl FnMut(u64, u64),
) -> Result<Option<Directory>, OpenError> {
    let path = segment_path(id);
    let read = || io_error("read", &path);
    let file = disk.open(&path, OpenMode::Read).await.map_err(io_error("open", &path))?;
    let len = file.len().await.map_err(io_error("size", &path))?;
    let head = file.read_at(0, SEGMENT_HEADER_BYTES).await.map_err(read())?;
    match parse_segment_header(&head) {
        Ok(named) if named == id => {}
        Ok(_) => verified.problems.push(format!("{path}: its header is another segment's")),
        Err(HeaderError::Damaged) => {
            verified.problems.push(format!("{path}: its header is damaged"))
        }
        Err(HeaderError::Version(version)) => return Err(OpenError::Version { path, version }),
    }
    let (_, begin) = read_accounts(&file, id).await.map_err(read())?;
    let mut reader = Reader::new(file.clone(), id, len, begin);
    let mut places = BTreeMap::new();
    let unpacker = Unpacker::default();
    while let Some(record) = reader.next().await.map_err(read())? {
        verified.bytes += record.head.record_len();
        match verify_record(&record, &unpacker) {
            Ok(()) => verified.sound += 1,
            Err(reason) => verified.problems.push(format!(
                "{path}: the record of {} at {}: {reason}",
                record.head.id, record.offset
            )),
        }
        let place = match record.head.content {
            Content::Void { .. } => continue,
            Content::Object { stored, .. } => Place::Object { offset: record.offset, stored },
            Content::Tombstone { victim } => Place::Tombstone { offset: record.offset, victim },
        };
        places.insert(record.head.id, place);
        progress(verified.sound, verified.bytes);
    }
    if reader.skipped > 0 {
        verified.problems.push(format!("{path}: {} bytes belong to no record", reader.skipped));
    }
    let rest = len - reader.offset.min(len);
    match Sealed::open(disk, id, file, len).await {
        Ok(sealed) => {
            if rest > 0 {
                verified.problems.push(format!("{path}: its last {rest} bytes are no record"));
            }
            return Ok(index(sealed, places, older, verified).await);
        }
        Err(IndexError::Damaged) if newest && id.generation == 0 => {
            if rest > 0 {
                verified
                    .remarks
                    .push(format!("{path}: its last {rest} bytes were never acknowledged"));
            }
        }
        Err(IndexError::Damaged) => {
            verified
                .remarks
                .push(format!("{}: missing or damaged; opening makes it again", index_path(id)));
        }
        Err(IndexError::Version(version)) => {
            return Err(OpenError::Version { path: index_path(id), version });
        }
        Err(IndexError::Io(error)) => {
            verified.problems.push(format!("{}: {error}", index_path(id)))
        }
    }
    Ok(None)
}

/// Compares an index with the records that it is of, and what it says of ids without a read
/// with both; its directory, if it could be read.
async fn index(
    sealed: Sealed,
    mut places: BTreeMap<ObjectId, Place>,
    older: &[Directory],
    verified: &mut Verified,
) -> Option<Directory> {
    let path = index_path(sealed.id());
    let read = async {
        sealed.load().await?;
        let mut all = Vec::new();
        for bucket in sealed.buckets().await? {
            all.extend(sealed.entries_of(bucket).await?);
        }
        Ok::<_, IndexError>(all)
    };
    let entries = match read.await {
        Ok(entries) => entries,
        // Perhaps all is well with it, and something is wrong with the disk.
        Err(IndexError::Io(error)) => {
            verified.problems.push(format!("{path}: {error}"));
            return None;
        }
        Err(IndexError::Damaged | IndexError::Version(_)) => {
            verified.remarks.push(format!("{path}: damaged; it is made again when needed"));
            return None;
        }
    };
    let directory = sealed.into_directory().expect("an opened index has a file, and it was loaded");
    for (id, place) in entries {
        if !directory.may_have(&id) || directory.lacks(&id, older.iter()) {
            verified.problems.push(format!("{path}: a lookup of {id} passes it over"));
        }
        if places.remove(&id) != Some(place) {
            verified.problems.push(format!("{path}: its entry of {id} is wrong"));
        }
    }
    for id in places.keys() {
        verified.problems.push(format!("{path}: its entry of {id} is missing"));
    }
    Some(directory)
}

async fn large(
    disk: &Disk,
    id: ObjectId,
    verified: &mut Verified,
    progress: &mut impl FnMut(u64, u64),
) -> Result<(), OpenError> {
    let path = large_path(id);
    let file = disk.open(&path, OpenMode::Read).await.map_err(io_error("open", &path))?;
    let len = file.len().await.map_err(io_error("size", &path))?;
    let header = file.read_at(0, LARGE_HEADER_BYTES).await.map_err(io_error("read", &path))?;
    let head = match parse_large_header(&header) {
        Ok(head) if head.id == id && large_file_len(head.size_bytes) == Some(len) => head,
        Err(HeaderError::Version(version)) => return Err(OpenError::Version { path, version }),
        _ => {
            verified.problems.push(format!("{path}: its header is damaged, or its end is missing"));
            return Ok(());
        }
    };
    let mut hasher = ObjectHasher::plain(id.algorithm(), head.kind, head.size_bytes);
    let (mut at, mut left, mut sound) = (LARGE_HEADER_BYTES as u64, head.size_bytes, true);
    for number in 0.. {
        let step = left.min(LARGE_CHUNK_BYTES as u64) as usize;
        if step == 0 {
            break;
        }
        let read = file.read_at(at, step + CHUNK_TRAILER_BYTES).await;
        let mut bytes = read.map_err(io_error("read", &path))?;
        let trailer = bytes.split_off(step.min(bytes.len()));
        sound &= trailer[..] == chunk_crc(crc32c::crc32c(&bytes), number);
        hasher.update(&bytes);
        at += (step + CHUNK_TRAILER_BYTES) as u64;
        left -= step as u64;
        verified.bytes += bytes.len() as u64;
        progress(verified.sound, verified.bytes);
    }
    match sound && hasher.verify(id).is_ok() {
        true => verified.sound += 1,
        false => verified.problems.push(format!("{path}: its data is damaged")),
    }
    Ok(())
}
