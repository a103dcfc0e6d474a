//! What was acknowledged is found again, or the log does not open.

use bytes::Bytes;
use gitstratum_host::Disk;
use gitstratum_host::disk::{OpenMode, scratch};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use super::files::{FILE_BYTES, list};
use super::{Identity, Journal, JournalError, Record, Replay};
use crate::entry::{Ballot, Content, Entry, Members, Position};

const DIRECTORY: &str = "group";
const IDENTITY: Identity = Identity { group: 0, member: 7 };

fn rng() -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(1)
}

fn position(index: u64) -> Position {
    Position { term: 3, leader: 7, index }
}

fn ballot(term: u64) -> Ballot {
    Ballot { term, candidate: 7, elected: term.is_multiple_of(2) }
}

fn command(index: u64, bytes: usize) -> Record {
    let content = Content::Command(Bytes::from(vec![index as u8; bytes]));
    Record::Append(Entry { position: position(index), content })
}

fn members(index: u64) -> Record {
    let nodes = [(7, "n7".to_owned()), (8, "n8".to_owned())].into();
    let members = Members { voters: vec![[7].into(), [7, 8].into()], nodes };
    Record::Append(Entry { position: position(index), content: Content::Members(members) })
}

async fn create(disk: &Disk) {
    Journal::create(disk, DIRECTORY, IDENTITY, rng()).await.unwrap();
}

async fn open(disk: &Disk) -> Result<(Journal, Replay), JournalError> {
    Journal::open(disk, DIRECTORY, IDENTITY, rng()).await
}

async fn held(disk: &Disk) -> Replay {
    let (journal, replay) = open(disk).await.unwrap();
    journal.close().await;
    replay
}

/// Writes some records of each kind, a frame each, and says what the log amounts to behind each.
async fn fill(disk: &Disk) -> Vec<Replay> {
    create(disk).await;
    let (journal, mut replay) = open(disk).await.unwrap();
    let mut after = vec![replay.clone()];
    let records = [
        Record::Ballot(ballot(1)),
        members(0),
        command(1, 100),
        Record::Ballot(ballot(2)),
        command(2, 0),
        command(3, 5_000),
        Record::TruncateFrom(3),
        command(3, 10),
        Record::Purge(position(1)),
        command(4, 1),
    ];
    for record in records {
        replay.apply(record.clone()).unwrap();
        journal.append_and_wait(vec![record]).await.unwrap();
        after.push(replay.clone());
    }
    journal.close().await;
    after
}

#[tokio::test]
async fn what_was_written_is_found_again() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let after = fill(disk).await;
    assert_eq!(Some(&held(disk).await), after.last());
    // And again, because opening changes nothing.
    assert_eq!(Some(&held(disk).await), after.last());
}

#[tokio::test]
async fn what_is_agreed_is_written_with_the_next_frame_and_at_the_end() {
    let scratch = scratch();
    let disk = &scratch.disk;
    create(disk).await;
    let (journal, _) = open(disk).await.unwrap();
    journal.note_committed(position(5));
    journal.append_and_wait(vec![Record::Ballot(ballot(1))]).await.unwrap();
    journal.note_committed(position(6));
    journal.close().await;
    assert_eq!(held(disk).await.committed, Some(position(6)));
    let refused = journal.append_and_wait(vec![Record::Ballot(ballot(2))]).await;
    assert!(matches!(refused, Err(JournalError::Closed)), "{refused:?}");
}

/// The bytes of the only file, and where its frames begin.
async fn frames(disk: &Disk) -> (String, Bytes, Vec<usize>) {
    let path = super::files::path(DIRECTORY, list(disk, DIRECTORY).await.unwrap()[0]);
    let file = disk.open(&path, OpenMode::Read).await.unwrap();
    let contents = file.read_at(0, file.len().await.unwrap() as usize).await.unwrap();
    let magic = |at: &usize| contents[*at..].starts_with(b"GSF1");
    let begins = (0..contents.len()).filter(magic).collect();
    (path, contents, begins)
}

async fn overwrite(disk: &Disk, path: &str, offset: usize, bytes: &[u8]) {
    let file = disk.open(path, OpenMode::ReadWrite).await.unwrap();
    file.write_at(offset as u64, vec![Bytes::copy_from_slice(bytes)]).await.unwrap();
}

#[tokio::test]
async fn a_torn_last_frame_is_as_if_it_had_not_been_written() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let after = fill(disk).await;
    let (path, contents, begins) = frames(disk).await;
    let last = *begins.last().unwrap();
    let end = contents.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    for written in 0..end - last {
        // The sectors of one write reach the disk in any order: the first half, or the second.
        let mut torn = vec![0; end - last];
        match written % 2 {
            0 => torn[..written].copy_from_slice(&contents[last..last + written]),
            _ => torn[written..].copy_from_slice(&contents[last + written..end]),
        }
        overwrite(disk, &path, last, &torn).await;
        assert_eq!(held(disk).await, after[after.len() - 2], "{written} bytes");
        // What it left was cleared.
        let (_, contents, _) = frames(disk).await;
        assert!(contents[last..].iter().all(|byte| *byte == 0), "{written} bytes");
    }
    // And the log goes on there.
    let (journal, _) = open(disk).await.unwrap();
    journal.append_and_wait(vec![command(4, 1)]).await.unwrap();
    journal.close().await;
    assert_eq!(Some(&held(disk).await), after.last());
}

#[tokio::test]
async fn a_flipped_bit_before_the_last_frame_is_damage() {
    let scratch = scratch();
    let disk = &scratch.disk;
    fill(disk).await;
    let (path, contents, begins) = frames(disk).await;
    for at in (0..*begins.last().unwrap()).step_by(7) {
        overwrite(disk, &path, at, &[contents[at] ^ 0x10]).await;
        let error = open(disk).await.err().unwrap_or_else(|| panic!("byte {at} was not missed"));
        let known = matches!(error, JournalError::Damaged { .. } | JournalError::Format { .. });
        assert!(known, "{at}: {error}");
        overwrite(disk, &path, at, &contents[at..=at]).await;
    }
    held(disk).await;
}

#[tokio::test]
async fn a_command_that_looks_like_a_frame_is_no_frame() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let after = fill(disk).await;
    let (_, contents, begins) = frames(disk).await;
    // Frames of this very log, in a command of which the first bytes do not reach the disk.
    let copied = contents.slice(begins[1]..*begins.last().unwrap());
    let content = Content::Command(copied);
    let (journal, _) = open(disk).await.unwrap();
    let entry = Entry { position: position(5), content };
    journal.append_and_wait(vec![Record::Append(entry)]).await.unwrap();
    journal.close().await;
    let (path, _, begins) = frames(disk).await;
    let last = begins.iter().copied().filter(|begin| contents[*begin] == 0).min().unwrap();
    overwrite(disk, &path, last, &[0; 30]).await;
    assert_eq!(Some(&held(disk).await), after.last());
}

#[tokio::test]
async fn files_follow_one_another_and_go_when_a_snapshot_has_them() {
    let scratch = scratch();
    let disk = &scratch.disk;
    create(disk).await;
    let (journal, mut replay) = open(disk).await.unwrap();
    for index in 0..12 {
        // The last one is longer than a file is made.
        let bytes = if index == 11 { FILE_BYTES + 1 } else { FILE_BYTES / 3 };
        let record = if index == 0 { members(0) } else { command(index, bytes) };
        replay.apply(record.clone()).unwrap();
        journal.append_and_wait(vec![record]).await.unwrap();
    }
    journal.close().await;
    assert!(held(disk).await == replay);
    let files = list(disk, DIRECTORY).await.unwrap();
    assert_eq!(files.len(), 6);

    // Any that is missing, or cut, is missed.
    for sequence in &files {
        let path = super::files::path(DIRECTORY, *sequence);
        disk.rename(&path, "aside").await.unwrap();
        let error = open(disk).await.err().expect("a file is missing");
        assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
        disk.rename("aside", &path).await.unwrap();
        let file = disk.open(&path, OpenMode::ReadWrite).await.unwrap();
        let len = file.len().await.unwrap();
        let tail = file.read_at(len / 2, (len - len / 2) as usize).await.unwrap();
        file.set_len(len / 2).await.unwrap();
        let error = open(disk).await.err().expect("a file is cut");
        assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
        file.write_at(len / 2, vec![tail]).await.unwrap();
    }

    let (journal, _) = open(disk).await.unwrap();
    let purge = Record::Purge(position(8));
    replay.apply(purge.clone()).unwrap();
    journal.append_and_wait(vec![purge]).await.unwrap();
    journal.close().await;
    let left = list(disk, DIRECTORY).await.unwrap();
    assert!(left.len() < files.len() - 2 && left.last() >= files.last(), "{left:?}");
    assert!(held(disk).await == replay);
}

#[tokio::test]
async fn another_members_log_and_a_lost_manifest_are_refused() {
    let scratch = scratch();
    let disk = &scratch.disk;
    fill(disk).await;
    for identity in [Identity { member: 8, ..IDENTITY }, Identity { group: 1, ..IDENTITY }] {
        let error = Journal::open(disk, DIRECTORY, identity, rng()).await.err();
        assert!(matches!(error, Some(JournalError::Foreign { .. })), "{error:?}");
    }
    disk.remove(&format!("{DIRECTORY}/{}", super::files::MANIFEST)).await.unwrap();
    let error = open(disk).await.err();
    assert!(matches!(error, Some(JournalError::Missing { .. })), "{error:?}");
}

/// What opens files is refused meanwhile, as at the limit of a process.
#[cfg(madsim)]
#[tokio::test]
async fn a_log_without_a_descriptor_waits_for_its_next_file_and_keeps_what_it_cannot_remove() {
    use std::sync::Arc;
    use std::time::Duration;

    use gitstratum_host::disk::Fault;

    let scratch = scratch();
    let disk = &scratch.disk;
    create(disk).await;
    let (journal, mut replay) = open(disk).await.unwrap();
    let journal = Arc::new(journal);
    for index in 0..5 {
        let record = if index == 0 { members(0) } else { command(index, FILE_BYTES / 2) };
        replay.apply(record.clone()).unwrap();
        journal.append_and_wait(vec![record]).await.unwrap();
    }
    let files = list(disk, DIRECTORY).await.unwrap();
    assert!(files.len() > 2, "{files:?}");

    disk.inject(Fault::exhausted());
    let purge = Record::Purge(position(3));
    replay.apply(purge.clone()).unwrap();
    journal.append_and_wait(vec![purge]).await.unwrap();
    let next = command(5, FILE_BYTES);
    replay.apply(next.clone()).unwrap();
    let writes = journal.clone();
    let waiting = tokio::spawn(async move { writes.append_and_wait(vec![next]).await });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!waiting.is_finished());
    disk.clear_faults();
    assert_eq!(list(disk, DIRECTORY).await.unwrap(), files, "nothing is removed");
    waiting.await.unwrap().unwrap();

    let purge = Record::Purge(position(4));
    replay.apply(purge.clone()).unwrap();
    journal.append_and_wait(vec![purge]).await.unwrap();
    assert!(list(disk, DIRECTORY).await.unwrap().first() > files.first());
    journal.close().await;
    assert!(held(disk).await == replay);
}
