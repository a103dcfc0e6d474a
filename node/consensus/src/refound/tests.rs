//! A group of one from what one of three had.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum_host::disk::{Disk, scratch};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::entry::{Ballot, Entry};
use crate::journal::Record;
use crate::machine::Loader;
use crate::{Group, Member, Opening, Options, PeerError, Peers};

const DIRECTORY: &str = "group";
const PATIENCE: Duration = Duration::from_secs(20);
const OLD: Identity = Identity { group: 7, member: 3 };
const NEW: Identity = Identity { group: 7, member: 9 };

fn rng() -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(5)
}

/// The commands that were applied.
#[derive(Clone, Debug, Default, PartialEq)]
struct Words(Vec<(u64, Bytes)>);

impl Machine for Words {
    type Loader = Loading;

    fn apply(&mut self, index: u64, command: &Bytes) -> Bytes {
        self.0.push((index, command.clone()));
        Bytes::new()
    }

    fn save(&self) -> Box<dyn Iterator<Item = Bytes> + Send + '_> {
        let part = |(index, word): &(u64, Bytes)| [&index.to_le_bytes()[..], word].concat().into();
        Box::new(self.0.iter().map(part))
    }
}

#[derive(Default)]
struct Loading(Words);

impl Loader for Loading {
    type Machine = Words;

    fn take(&mut self, part: Bytes) -> Result<(), LoadError> {
        let (index, _) = part.split_first_chunk().ok_or("too short")?;
        self.0.0.push((u64::from_le_bytes(*index), part.slice(8..)));
        Ok(())
    }

    fn finish(self) -> Result<Words, LoadError> {
        Ok(self.0)
    }
}

/// Nobody is there any more.
struct Nobody;

#[async_trait]
impl Peers for Nobody {
    async fn call(&self, _: &Member, _: Bytes, _: Duration) -> Result<Bytes, PeerError> {
        Err(PeerError::NotSent("they are lost".into()))
    }
}

fn at(term: u64, index: u64) -> Position {
    Position { term, leader: 1, index }
}

/// Member 3 of three, with three words, of which it knows that the first was agreed on.
async fn survivor(disk: &Disk) {
    disk.create_dir_all(DIRECTORY).await.unwrap();
    Journal::create(disk, DIRECTORY, OLD, rng()).await.unwrap();
    let (journal, _) = Journal::open(disk, DIRECTORY, OLD, rng()).await.unwrap();
    let members = Members {
        voters: vec![BTreeSet::from([1, 2, 3])],
        nodes: (1..=3).map(|id| (id, format!("n{id}"))).collect(),
    };
    let contents = [
        Content::Members(members),
        Content::Command("one".into()),
        Content::Blank,
        Content::Command("two".into()),
        Content::Command("three".into()),
    ];
    let append = |(index, content)| Record::Append(Entry { position: at(4, index), content });
    let mut records: Vec<Record> = (0..).zip(contents).map(append).collect();
    records.push(Record::Committed(at(4, 1)));
    records.push(Record::Ballot(Ballot { term: 6, candidate: 2, elected: false }));
    journal.append_and_wait(records).await.unwrap();
    journal.close().await;
}

async fn open(disk: &Disk, identity: Identity) -> Result<Group<Words>, OpenError> {
    let opening = Opening {
        disk,
        directory: DIRECTORY,
        identity,
        options: &Options::default(),
        peers: Arc::new(Nobody),
        observer: None,
    };
    Group::open(opening, &mut rng()).await
}

fn words(state: &Words) -> Vec<&[u8]> {
    state.0.iter().map(|(_, word)| &word[..]).collect()
}

#[tokio::test]
async fn a_survivor_goes_on_alone_with_all_that_it_had() {
    let scratch = scratch();
    let disk = &scratch.disk;
    survivor(disk).await;
    let remains: Remains<Words> = remains(disk, DIRECTORY, OLD, &mut rng()).await.unwrap();
    assert_eq!(words(&remains.machine), [&b"one"[..], b"two", b"three"]);
    assert_eq!((remains.last, remains.term), (Some(at(4, 4)), 6));
    assert_eq!((remains.unconfirmed, remains.members.nodes.len()), (3, 3));

    let position = remains.next(NEW.member);
    assert_eq!(position, Position { term: 7, leader: 9, index: 5 });
    let mut machine = remains.machine;
    machine.apply(position.index, &"alone".into());
    refound(disk, DIRECTORY, (NEW, "n3"), (&machine, position), &mut rng()).await.unwrap();

    let foreign = open(disk, OLD).await.err().expect("its old id is gone").to_string();
    assert!(foreign.contains("the log of member 9"), "{foreign}");
    // Twice, so that it also comes back from what it writes itself.
    for word in ["first", "second"] {
        let group = open(disk, NEW).await.unwrap();
        group.propose(word.into(), PATIENCE).await.unwrap();
        assert!(group.status().term > 7, "{:?}", group.status());
        assert_eq!(group.status().voters, [BTreeSet::from([9])]);
        group.close().await;
    }
    let group = open(disk, NEW).await.unwrap();
    let seen = group.read(PATIENCE, |state| words(state).concat()).await.unwrap();
    assert_eq!(seen, b"onetwothreealonefirstsecond");
    group.close().await;
}

#[tokio::test]
async fn what_was_interrupted_is_completed_or_was_never_begun() {
    let scratch = scratch();
    let disk = &scratch.disk;
    survivor(disk).await;
    assert!(!complete(disk, DIRECTORY, NEW, &mut rng()).await.unwrap());
    let before: Remains<Words> = remains(disk, DIRECTORY, OLD, &mut rng()).await.unwrap();
    // As if it had come to the snapshot, and no further.
    let position = before.next(NEW.member);
    refound(disk, DIRECTORY, (NEW, "n3"), (&before.machine, position), &mut rng()).await.unwrap();
    Journal::create(disk, DIRECTORY, OLD, rng()).await.unwrap();
    assert!(complete(disk, DIRECTORY, NEW, &mut rng()).await.unwrap());
    let group = open(disk, NEW).await.unwrap();
    let seen = group.read(PATIENCE, |state| state.0.len()).await.unwrap();
    assert_eq!(seen, 3);
    group.close().await;
}

#[tokio::test]
async fn a_log_of_which_entries_are_missing_is_not_taken_for_all() {
    let scratch = scratch();
    let disk = &scratch.disk;
    survivor(disk).await;
    let (journal, _) = Journal::open(disk, DIRECTORY, OLD, rng()).await.unwrap();
    journal.append_and_wait(vec![Record::Purge(at(4, 2))]).await.unwrap();
    journal.close().await;
    let refused = remains::<Words>(disk, DIRECTORY, OLD, &mut rng()).await.err().unwrap();
    assert!(refused.to_string().contains("no snapshot has"), "{refused}");
}
