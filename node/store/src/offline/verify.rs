//! `store verify`: everything is read, and compared with what the store should hold.

use std::collections::BTreeMap;

use gitstratum_core::format::NewerFormat;
use gitstratum_core::object::{HashAlgorithm, ObjectHasher, ObjectId};
use gitstratum_host::Disk;
use gitstratum_host::disk::OpenMode;

use super::findings::{Findings, Verified};
use super::{Looked, look};
use crate::codec::pack::Unpacker;
use crate::error::{OpenError, io_error};
use crate::files::identity;
use crate::files::names::{COMPLETE, index_path, large_path, segment_path};
use crate::format::index::Place;
use crate::format::large::{
    CHUNK_TRAILER_BYTES, LARGE_CHUNK_BYTES, LARGE_HEADER_BYTES, chunk_crc, large_file_len,
    parse_large_header,
};
use crate::format::record::{Content, RECORD_TRAILER_BYTES, TOMBSTONE_DATA_BYTES, header_len};
use crate::format::segment::{SEGMENT_HEADER_BYTES, SegmentId, parse_segment_header};
use crate::format::{HeaderError, index, large, segment};
use crate::manifest::{self, Manifest, OnDisk, Should};
use crate::segment::scan::{Reader, read_accounts, verify as verify_record};
use crate::segment::sealed::{IndexError, Sealed};
use crate::state::large_names;
use crate::state::quarantine;
use crate::state::view::BadPlace;

/// Reads every byte and verifies checksums, hashes and indexes, and that nothing is missing of
/// what the store should hold; `progress` is told the records and the bytes read so far.
///
/// # Errors
/// [`OpenError`] when it is no store, is in use, or of a later version. Damage is no error but
/// a result, and so are files that the disk does not read.
pub async fn verify(
    disk: &Disk,
    mut progress: impl FnMut(u64, u64),
) -> Result<Verified, OpenError> {
    let looked = look(disk).await?;
    let mut findings = Findings::default();
    let mut manifest = should_hold(disk, &looked, &mut findings).await?;
    noted(disk, &looked, manifest.as_ref(), &mut findings).await?;
    let newest = looked.segments.last().copied();
    let mut held = BTreeMap::new();
    for id in &looked.segments {
        let should = manifest.as_ref().and_then(|manifest| manifest.segments.get(id)).copied();
        let what = Segment { id: *id, newest: Some(*id) == newest, should };
        match segment(disk, what, &mut findings, &mut progress).await {
            Ok(found) => {
                held.insert(*id, found);
            }
            Err(error) => {
                findings.unread(error)?;
                // What it holds is not known; that it cannot be read is said.
                if let Some(manifest) = &mut manifest {
                    manifest.segments.remove(id);
                }
            }
        }
    }
    for (path, lost) in manifest.iter().flat_map(|manifest| manifest::compare(manifest, &held)) {
        findings.lost(&path, &lost);
    }
    for id in &looked.large {
        if let Err(error) = large(disk, *id, &mut findings, &mut progress).await {
            findings.unread(error)?;
        }
    }
    for path in &looked.leftovers {
        findings.remark(format!("{path}: left by an interrupted step"));
    }
    // A directory that was served has the lock's file, a complete snapshot its last one.
    if let Ok(false) = disk.exists(COMPLETE).await
        && let Ok(false) = disk.exists(identity::LOCK).await
    {
        findings.problem("this is a snapshot that was not completed".to_owned());
    }
    Ok(findings.end())
}

/// The manifest, and what is wrong with it.
async fn should_hold(
    disk: &Disk,
    looked: &Looked,
    findings: &mut Findings,
) -> Result<Option<Manifest>, OpenError> {
    let read = match manifest::read(disk).await {
        Ok(read) => read,
        Err(error) => {
            findings.unread(error)?;
            return Ok(None);
        }
    };
    let trouble = read.trouble.join(", ");
    match read.manifest {
        Some(_) if trouble.is_empty() => {}
        Some(_) => findings.remark(format!("{trouble}: opening writes both copies again")),
        None if looked.had_manifest => {
            findings.problem(format!("{trouble}: nobody knows what the store held"));
        }
        None => findings.remark(
            "an earlier version wrote this store: files that are missing are not noticed".into(),
        ),
    }
    Ok(read.manifest)
}

/// What the list of damage says, and the names of large objects.
async fn noted(
    disk: &Disk,
    looked: &Looked,
    manifest: Option<&Manifest>,
    findings: &mut Findings,
) -> Result<(), OpenError> {
    let (written, reach) = manifest.map_or_else(Default::default, |it| (it.quarantine, it.large));
    match quarantine::load(disk, written).await {
        Ok(listed) => {
            for (path, lost) in &listed.lost {
                findings.lost(path, lost);
            }
            for segment in listed.unidentified.iter().filter(|id| looked.segments.contains(id)) {
                let path = segment_path(*segment);
                findings.problem(format!("{path}: nobody knows whose some of its records are"));
            }
            for (id, bad) in listed.bad {
                let concerns = match bad.at {
                    BadPlace::Record { segment, .. } => looked.segments.contains(&segment),
                    BadPlace::Large => looked.large.contains(&id),
                    BadPlace::Dropped => true,
                };
                if concerns {
                    findings.noted(id, bad.error(id).to_string());
                }
            }
        }
        Err(error) => findings.unread(error)?,
    }
    match large_names::load(disk, reach).await {
        Ok(said) => {
            let missing = said.large.keys().filter(|id| !looked.large.contains(id));
            match &said.lost {
                // It may have lost that they were deleted.
                Some(lost) => findings.lost(large_names::FILE, lost),
                None => missing.for_each(|id| {
                    findings.damaged(*id, format!("{}: it is missing", large_path(*id)));
                }),
            }
        }
        Err(error) => findings.unread(error)?,
    }
    Ok(())
}

/// A segment that is to be verified.
struct Segment {
    id: SegmentId,
    newest: bool,
    should: Option<Should>,
}

/// Verifies a segment; what it holds.
async fn segment(
    disk: &Disk,
    Segment { id, newest, should }: Segment,
    findings: &mut Findings,
    progress: &mut impl FnMut(u64, u64),
) -> Result<OnDisk, OpenError> {
    let path = segment_path(id);
    let read = || io_error("read", &path);
    let file = disk.open(&path, OpenMode::Read).await.map_err(io_error("open", &path))?;
    let len = file.len().await.map_err(io_error("size", &path))?;
    let head = file.read_at(0, SEGMENT_HEADER_BYTES).await.map_err(read())?;
    match parse_segment_header(&head) {
        Ok(named) if named == id => {}
        Ok(_) => findings.problem(format!("{path}: its header is another segment's")),
        Err(HeaderError::Damaged) => findings.problem(format!("{path}: its header is damaged")),
        Err(HeaderError::Version(version)) => {
            return Err(NewerFormat::new(path, version, segment::VERSION).into());
        }
    }
    let (_, begin) = read_accounts(&file, id).await.map_err(read())?;
    let mut reader = Reader::new(file.clone(), id, len, begin);
    let mut places = BTreeMap::new();
    let unpacker = Unpacker::default();
    while let Some(record) = reader.next().await.map_err(read())? {
        let verified = &mut findings.verified;
        verified.bytes += record.head.record_len();
        let sound = verify_record(&record, &unpacker);
        verified.sound += u64::from(sound.is_ok());
        progress(verified.sound, verified.bytes);
        let (owner, offset) = (record.head.id, record.offset);
        let place = match record.head.content {
            Content::Void { .. } => continue,
            Content::Object { stored, .. } => Place::Object { offset, stored },
            Content::Tombstone { victim } => Place::Tombstone { offset, victim },
        };
        match sound {
            Ok(()) => findings.sound(owner),
            Err(reason) => findings
                .damaged(owner, format!("{path}: the record of {owner} at {offset}: {reason}")),
        }
        places.insert(owner, place);
    }
    let (skipped, end) = (reader.skipped, reader.offset.min(len));
    let mut held = OnDisk { len, records: places.len() as u64, unread: skipped };
    let mut hidden = 0;
    let indexed = match Sealed::open(disk, id, file, len).await {
        Ok(sealed) => {
            hidden = index(&sealed, places, findings).await;
            true
        }
        Err(IndexError::Damaged) => false,
        Err(IndexError::Version(version)) => {
            return Err(NewerFormat::new(index_path(id), version, index::VERSION).into());
        }
        Err(IndexError::Io(error)) => {
            findings.problem(format!("{}: {error}", index_path(id)));
            true
        }
    };
    let open = newest && id.generation == 0 && !indexed;
    // All up to here was durable once.
    let durable = match should {
        Some(Should::Active { len: least, .. }) if open => least,
        Some(Should::Sealed(_)) => len,
        _ if open => 0,
        _ => len,
    };
    let rest = len - end;
    if end >= durable.min(len) {
        if rest > 0 {
            findings.remark(format!("{path}: its last {rest} bytes were never acknowledged"));
        }
    } else {
        held.unread += rest;
    }
    // Those of records that are named one by one are no damage beside these.
    let known = should.map_or(0, |should| should.unread()).max(hidden);
    let cut = should.is_some_and(|should| len < should.len());
    if held.unread > known && !cut {
        let unread = held.unread;
        findings.problem(format!("{path}: {unread} of its bytes belong to no record"));
    }
    if !indexed && !open {
        findings.remark(format!("{}: missing or damaged; opening makes it again", index_path(id)));
    }
    Ok(held)
}

/// Compares an index with the records that it is of, and its filter with both; the bytes of
/// records that it has and that were not met.
async fn index(
    sealed: &Sealed,
    mut places: BTreeMap<ObjectId, Place>,
    findings: &mut Findings,
) -> u64 {
    let (id, path) = (sealed.id(), index_path(sealed.id()));
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
            findings.problem(format!("{path}: {error}"));
            return 0;
        }
        Err(IndexError::Damaged | IndexError::Version(_)) => {
            findings.remark(format!("{path}: damaged; it is made again when needed"));
            return 0;
        }
    };
    let mut hidden = 0;
    for (owner, place) in entries {
        if !sealed.may_have(&owner) {
            findings.problem(format!("{path}: a lookup of {owner} passes it over"));
        }
        match places.remove(&owner) {
            Some(met) if met == place => {}
            Some(_) => findings.problem(format!("{path}: its entry of {owner} is wrong")),
            None => {
                let (offset, data) = match place {
                    Place::Object { offset, stored } => (offset, u64::from(stored)),
                    Place::Tombstone { offset, .. } => (offset, TOMBSTONE_DATA_BYTES as u64),
                };
                hidden += record_len(owner.algorithm(), data);
                let path = segment_path(id);
                let reason = "its header";
                findings
                    .damaged(owner, format!("{path}: the record of {owner} at {offset}: {reason}"));
            }
        }
    }
    for owner in places.keys() {
        findings.problem(format!("{path}: its entry of {owner} is missing"));
    }
    hidden
}

/// Bytes of a record with so many bytes of data.
fn record_len(algorithm: HashAlgorithm, data: u64) -> u64 {
    (header_len(algorithm) + RECORD_TRAILER_BYTES) as u64 + data
}

async fn large(
    disk: &Disk,
    id: ObjectId,
    findings: &mut Findings,
    progress: &mut impl FnMut(u64, u64),
) -> Result<(), OpenError> {
    let path = large_path(id);
    let file = disk.open(&path, OpenMode::Read).await.map_err(io_error("open", &path))?;
    let len = file.len().await.map_err(io_error("size", &path))?;
    let header = file.read_at(0, LARGE_HEADER_BYTES).await.map_err(io_error("read", &path))?;
    let head = match parse_large_header(&header) {
        Ok(head) if head.id == id && large_file_len(head.size_bytes) == Some(len) => head,
        Err(HeaderError::Version(version)) => {
            return Err(NewerFormat::new(path, version, large::VERSION).into());
        }
        _ => {
            let what = format!("{path}: its header is damaged, or its end is missing");
            findings.damaged(id, what);
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
        findings.verified.bytes += bytes.len() as u64;
        progress(findings.verified.sound, findings.verified.bytes);
    }
    match sound && hasher.verify(id).is_ok() {
        true => {
            findings.verified.sound += 1;
            findings.sound(id);
        }
        false => findings.damaged(id, format!("{path}: its data is damaged")),
    }
    Ok(())
}
