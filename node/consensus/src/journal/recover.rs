//! Opening a log: every frame of every file is read, and a torn tail is cleared.

use bytes::Bytes;
use gitstratum_host::Disk;
use gitstratum_host::disk::{File, OpenMode};
use rand_chacha::ChaCha12Rng;

use super::files::{self, FILE_BYTES, Manifest};
use super::record::{Head, Identity, Record, decode, decode_head};
use super::replay::Replay;
use super::writer::{LogFile, Writer};
use super::{JournalError, files::path};
use crate::frame::{self, At};

/// Reads the log of a directory, and prepares to write behind it.
pub(super) async fn recover(
    disk: &Disk,
    directory: &str,
    identity: Identity,
    rng: ChaCha12Rng,
) -> Result<(Writer, Replay), JournalError> {
    let manifest = Manifest::read(disk, directory).await?;
    if manifest.identity != identity {
        let file = format!("{directory}/{}", files::MANIFEST);
        return Err(JournalError::Foreign { file, found: manifest.identity, expected: identity });
    }
    let mut replay = Replay::default();
    let mut chain: Vec<LogFile> = Vec::new();
    let mut last: Option<(File, Tail)> = None;
    for sequence in files::list(disk, directory).await? {
        let name = path(directory, sequence);
        if sequence < manifest.first {
            // What a crash kept from being removed.
            disk.remove(&name).await?;
            continue;
        }
        let expected = last.as_ref().map_or(manifest.first, |(_, tail)| tail.next_sequence);
        let file = disk.open(&name, OpenMode::ReadWrite).await?;
        let contents = file.read_at(0, file.len().await? as usize).await?;
        // Not in the manifest yet: nothing in it was acknowledged unless its head is whole.
        let begun = sequence > manifest.last;
        let head = head_of(&name, &contents, sequence)?;
        let Some((head, head_bytes)) = head.filter(|_| contents.len() >= FILE_BYTES) else {
            if begun {
                disk.remove(&name).await?;
                continue;
            }
            let what = format!("{} bytes of {FILE_BYTES} or more are left", contents.len());
            return Err(JournalError::Damaged { file: name, what });
        };
        if sequence != expected {
            let what = format!("the file with frame {expected} is missing before it");
            return Err(JournalError::Damaged { file: name, what });
        }
        if let Some((_, tail)) = &last
            && let Some(before) = chain.last()
            && !tail.is_clean
        {
            let file = path(directory, before.first_sequence);
            let what = "it does not end with its last frame, though another file follows".into();
            return Err(JournalError::Damaged { file, what });
        }
        if chain.is_empty() {
            (replay.ballot, replay.purged) = (head.ballot, head.purged);
            replay.committed = head.committed;
        }
        let (tail, last_index) =
            frames(&name, &contents, &head, sequence, head_bytes, &mut replay)?;
        chain.push(LogFile { first_sequence: sequence, last_index });
        last = Some((file, tail));
    }
    let Some((file, tail)) =
        last.filter(|_| chain.last().is_some_and(|last| last.first_sequence >= manifest.last))
    else {
        let what = "it is missing".to_owned();
        return Err(JournalError::Damaged { file: path(directory, manifest.last), what });
    };
    replay.is_whole().map_err(|what| JournalError::Damaged { file: directory.to_owned(), what })?;
    // What a process that was killed had written may be in the cache alone; from here on it is
    // called durable. Nothing that a torn frame left may pass for one later.
    let cleared = vec![Bytes::from(vec![0; tail.spoilt])];
    file.write_at_and_sync(tail.end as u64, cleared).await?;
    disk.sync_dir(directory).await?;
    let last_known = chain.last().map_or(manifest.last, |file| file.first_sequence);
    if last_known != manifest.last {
        Manifest::new(identity, manifest.first, last_known).write(disk, directory).await?;
    }
    let writer = Writer::behind(disk.clone(), directory, identity, rng, file, tail, chain, &replay);
    Ok((writer, replay))
}

/// Where a file's frames end.
pub(super) struct Tail {
    pub(super) end: usize,
    pub(super) len: usize,
    pub(super) next_sequence: u64,
    pub(super) salt: u64,
    /// Only zeros follow.
    is_clean: bool,
    /// Bytes behind the end that are not all zeros.
    spoilt: usize,
}

/// The head of a file and the bytes of its frame, unless that is not whole.
fn head_of(
    name: &str,
    contents: &Bytes,
    sequence: u64,
) -> Result<Option<(Head, usize)>, JournalError> {
    match frame::look(contents, 0, 0) {
        At::Whole(frame) if frame.sequence == sequence => {
            Ok(Some((decode_head(name, &frame.body)?, frame.bytes())))
        }
        _ => Ok(None),
    }
}

/// Replays the frames of one file behind its head.
fn frames(
    name: &str,
    contents: &Bytes,
    head: &Head,
    first: u64,
    mut end: usize,
    replay: &mut Replay,
) -> Result<(Tail, Option<u64>), JournalError> {
    let damaged = |what: String| JournalError::Damaged { file: name.to_owned(), what };
    let mut next_sequence = first + 1;
    let mut last_index = None;
    while let At::Whole(frame) = frame::look(contents, end, head.salt)
        && frame.sequence == next_sequence
    {
        for record in decode(name, &frame.body)? {
            if let Record::Append(entry) = &record {
                last_index = last_index.max(Some(entry.position.index));
            }
            replay.apply(record).map_err(damaged)?;
        }
        end += frame.bytes();
        next_sequence += 1;
    }
    // One frame is written at a time: what is torn is followed by nothing.
    if frame::is_followed(contents, end, head.salt, next_sequence) {
        return Err(damaged(format!("frame {next_sequence} is spoilt, and others follow it")));
    }
    let rest = &contents[end..];
    let spoilt = rest.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    let (len, salt) = (contents.len(), head.salt);
    Ok((Tail { end, len, next_sequence, salt, is_clean: spoilt == 0, spoilt }, last_index))
}
