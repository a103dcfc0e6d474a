//! Simulated inode.
//!
//! A file's content: what the cache holds, what the medium holds, and what lies between.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rand_chacha::ChaCha12Rng;

use super::contents::Contents;
use super::loss::{Fate, Outcome, torn};

/// A file's content, whatever its names. Locked after the disk's state where both are.
#[derive(Debug, Default)]
pub(super) struct Inode {
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    /// As every read sees it.
    cached: Contents,
    /// As it is on the medium.
    durable: Contents,
    /// What leads from `durable` to `cached`, oldest first.
    unsynced: Vec<Change>,
    /// Changes ever settled: numbers the first of `unsynced`.
    settled: u64,
}

#[derive(Debug)]
enum Change {
    Write { offset: u64, bytes: Bytes },
    Resize(u64),
}

impl Change {
    fn apply(&self, contents: &mut Contents) {
        match self {
            Change::Write { offset, bytes } => contents.write(*offset, bytes),
            Change::Resize(len) => contents.set_len(*len),
        }
    }

    /// What a power loss makes of the change.
    fn survive(&self, contents: &mut Contents, fate: Fate, out: &Outcome, rng: &mut ChaCha12Rng) {
        match (fate, self) {
            (Fate::Kept, change) => change.apply(contents),
            (_, Change::Resize(_)) => {}
            (fate, Change::Write { offset, bytes }) => {
                let end = offset + bytes.len() as u64;
                if end > contents.len() && out.keeps_length(rng) {
                    contents.set_len(end);
                }
                if fate == Fate::Torn {
                    for part in torn(*offset, bytes.len() as u64, rng) {
                        let kept = &bytes[part.start as usize..part.end as usize];
                        contents.write(offset + part.start, kept);
                    }
                }
            }
        }
    }
}

impl Content {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.cached);
        self.unsynced.push(change);
    }

    /// Takes the changes before `mark` off the list.
    fn settle(&mut self, mark: u64) -> Vec<Change> {
        let done = mark.saturating_sub(self.settled) as usize;
        let settled: Vec<Change> = self.unsynced.drain(..done.min(self.unsynced.len())).collect();
        self.settled += settled.len() as u64;
        settled
    }
}

impl Inode {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> u64 {
        self.content().cached.len()
    }

    pub(super) fn read(&self, offset: u64, len: u64) -> Bytes {
        self.content().cached.read(offset, len)
    }

    pub(super) fn write(&self, offset: u64, bytes: Bytes) {
        self.content().change(Change::Write { offset, bytes });
    }

    pub(super) fn set_len(&self, len: u64) {
        self.content().change(Change::Resize(len));
    }

    /// The number that the next change will have.
    pub(super) fn mark(&self) -> u64 {
        let content = self.content();
        content.settled + content.unsynced.len() as u64
    }

    /// Makes changes before `mark` durable.
    pub(super) fn sync(&self, mark: u64) {
        let content = &mut *self.content();
        for change in content.settle(mark) {
            change.apply(&mut content.durable);
        }
    }

    /// A sync of the changes before `mark` failed: each reached the medium or never will,
    /// and no later sync covers them.
    pub(super) fn forsake(&self, mark: u64, outcome: &Outcome) {
        let content = &mut *self.content();
        let (changes, mut rng) = (content.settle(mark), outcome.stream(1));
        let fates = outcome.fates(changes.len(), &mut rng);
        for (change, fate) in changes.iter().zip(fates) {
            change.survive(&mut content.durable, fate, outcome, &mut rng);
        }
    }

    /// What a power loss leaves of the file, drawn from the outcome's stream `number`.
    pub(super) fn survivor(&self, outcome: &Outcome, number: u64) -> Inode {
        let content = self.content();
        let mut rng = outcome.stream(number);
        let mut left = content.durable.clone();
        let fates = outcome.fates(content.unsynced.len(), &mut rng);
        for (change, fate) in content.unsynced.iter().zip(fates) {
            change.survive(&mut left, fate, outcome, &mut rng);
        }
        let content = Content { cached: left.clone(), durable: left, ..Content::default() };
        Inode { content: Mutex::new(content) }
    }

    /// Flips a bit on the medium, and in the cache as if it had been read again.
    pub(super) fn flip_bit(&self, bit: u64) {
        let content = &mut *self.content();
        content.cached.flip_bit(bit);
        content.durable.flip_bit(bit);
    }

    /// Cuts what is behind `len` off, on the medium and in the cache.
    pub(super) fn truncate_at_rest(&self, len: u64) {
        let content = &mut *self.content();
        for contents in [&mut content.cached, &mut content.durable] {
            contents.set_len(len.min(contents.len()));
        }
    }

    /// Lets bytes that belong elsewhere arrive here, as far as the file reaches.
    pub(super) fn overwrite_at_rest(&self, offset: u64, bytes: &[u8]) {
        let content = &mut *self.content();
        for contents in [&mut content.cached, &mut content.durable] {
            let room = contents.len().saturating_sub(offset).min(bytes.len() as u64);
            contents.write(offset, &bytes[..room as usize]);
        }
    }
}
