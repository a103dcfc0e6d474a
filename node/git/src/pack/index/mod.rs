//! Pack indexer: finds what objects a pack has while it arrives.
//!
//! The caller feeds the body in parts ([`Indexer::feed`]) and stores it. Only inflating an entry
//! tells where the next one begins, so everything is inflated once as it comes: objects are hashed,
//! with detection of collision attacks, checked (`fsck`), and their links noted. A delta whose base
//! is still at hand is resolved at once. The others wait until the body has ended
//! ([`Indexer::finish_input`]); then [`Indexer::step`] resolves them depth first from each base that
//! something waits for, and asks for what it has to read once more. A chain of deltas costs no stack,
//! and no more memory than its longest object and the cache: a base that was dropped from the cache
//! is made anew from what it builds on.
//!
//! A thin pack lacks bases. The indexer asks for them by id, makes whole entries of them, and hands
//! out the bytes to append to the body, so that what is stored is complete in itself. Objects that
//! the pack has twice are indexed once: the entry that was resolved first counts, because what
//! builds on it was resolved later, so following bases always ends.

mod cache;
mod entries;
mod facts;
mod feed;
mod ids;
mod resolve;
mod result;
#[cfg(test)]
pub(super) mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use flate2::Crc;
use gitstratum_core::limits::{
    BLOB_HELD_BYTES_MAX, DELTA_CACHE_BYTES, DELTA_OBJECT_BYTES_MAX, PACK_INFLATED_BYTES_MAX,
    PACK_LINKS_MAX, PACK_OBJECTS_MAX, STRUCTURED_OBJECT_BYTES_MAX,
};
use gitstratum_core::object::{HashAlgorithm, Kind, ObjectHasher, ObjectId};

use self::cache::DataCache;
use self::entries::{Children, Entry, Form, Found, Reading, Waiting};
use self::facts::Facts;
pub use self::result::{Indexed, IndexedCommit, IndexedObject, IndexedTag};
use super::PackError;
use super::entry::{EntryHeader, HEADER_BYTES_MAX};
use super::inflate::Inflater;
use crate::fsck::Policy;

/// What an indexer holds and takes at most.
#[derive(Clone, Copy, Debug)]
pub struct IndexLimits {
    /// Objects of a pack.
    pub objects: u32,
    /// Different ids that it has or names.
    pub links: u32,
    /// All objects, uncompressed, with what has to be computed again to resolve deltas.
    pub inflated_bytes: u64,
    /// A delta, its base, its result.
    pub delta_bytes: u64,
    /// A tree, a commit, a tag.
    pub structured_bytes: u64,
    /// A larger blob is not held while it is read.
    pub blob_held_bytes: u64,
    /// Bases that are kept at hand.
    pub cache_bytes: usize,
}

impl Default for IndexLimits {
    fn default() -> Self {
        IndexLimits {
            objects: PACK_OBJECTS_MAX,
            links: PACK_LINKS_MAX,
            inflated_bytes: PACK_INFLATED_BYTES_MAX,
            delta_bytes: DELTA_OBJECT_BYTES_MAX,
            structured_bytes: STRUCTURED_OBJECT_BYTES_MAX,
            blob_held_bytes: BLOB_HELD_BYTES_MAX,
            cache_bytes: DELTA_CACHE_BYTES,
        }
    }
}

/// What an indexer needs to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: it has worked for a while, and others may have a turn.
    Again,
    /// Bytes of the body that it has seen before, or that it has handed out to append: bring them with
    /// [`Indexer::provide_body`].
    Read {
        /// Where they begin.
        offset: u64,
        /// How many would be of use. Fewer do, and so do more: what is brought is kept until something
        /// else is asked for, so a chunk up to its end saves questions.
        len: usize,
    },
    /// Objects on which deltas of the pack build and that were not found in it. Answer for each, or
    /// for some of them, with [`Indexer::provide_base`]: what is brought is held until it had its turn.
    Bases(Vec<ObjectId>),
    /// These bytes must be appended to the body: the entry of such a base.
    Append(Bytes),
    /// Nothing more: [`Indexer::finish`] tells what was found.
    Done,
}

/// Finds what objects a pack has. After an error it is of no more use.
pub struct Indexer {
    algorithm: HashAlgorithm,
    limits: IndexLimits,
    /// How many entries the header says, or at most may come where nobody said how many will.
    declared: u32,
    /// Whether there are to be exactly so many.
    is_counted: bool,
    entries: Vec<Entry>,
    facts: Facts,
    waiting: Waiting,
    cache: DataCache,
    inflater: Inflater,
    scan: Scan,
    /// Bytes of the body that were fed, and of what was appended.
    body_bytes: u64,
    /// Bytes that were inflated or computed.
    work: u64,
    /// Bytes that deltas may come to in the part that is being fed.
    eager_bytes: u64,
    resolve: Resolve,
}

/// Where in an entry the last part ended.
enum Scan {
    /// In its header, or before it.
    Header { bytes: [u8; HEADER_BYTES_MAX], len: usize },
    /// In its data.
    Data(Current),
}

/// The entry that is being read.
struct Current {
    header: EntryHeader,
    form: Form,
    offset: u64,
    crc: Crc,
    sink: Sink,
}

/// What becomes of an entry's data.
enum Sink {
    Hold(Vec<u8>),
    /// A large blob.
    Hash {
        hasher: ObjectHasher,
        produced: u64,
    },
    /// A delta that waits.
    Skip {
        produced: u64,
    },
}

/// What is being resolved, after the input.
#[derive(Default)]
struct Resolve {
    begun: bool,
    /// Objects for which deltas wait, one inside the other.
    frames: Vec<Children>,
    /// Objects with waiting deltas that are not looked at yet.
    roots: VecDeque<u32>,
    /// The last is to be made first, because the one before builds on it.
    goal: Vec<u32>,
    /// The goal is a blob that is to be checked by its name.
    special: Option<u32>,
    /// Blobs that are to be checked so, after everything else.
    specials: VecDeque<u32>,
    specials_listed: bool,
    reading: Option<Reading>,
    /// A part of the body, and its offset.
    window: Option<(u64, Bytes)>,
    /// Numbers of bases that the caller has not answered for, after the first delta that waits: in this
    /// order a delta that is itself a base is mostly resolved before it would be asked for.
    lacking: BTreeSet<(u32, u32)>,
    /// What it has brought, in the same order.
    brought: BTreeMap<(u32, u32), (Kind, Bytes)>,
    asked: bool,
    done: bool,
}

impl Indexer {
    /// An indexer for a pack of so many objects.
    ///
    /// # Errors
    /// [`PackError::TooManyObjects`].
    pub fn new(
        algorithm: HashAlgorithm,
        objects: u32,
        policy: Policy,
        limits: IndexLimits,
    ) -> Result<Self, PackError> {
        if objects > limits.objects {
            return Err(PackError::TooManyObjects { declared: objects, max: limits.objects });
        }
        Ok(Indexer {
            algorithm,
            limits,
            declared: objects,
            is_counted: true,
            entries: Vec::new(),
            facts: Facts::new(algorithm, policy, limits.links),
            waiting: Waiting::default(),
            cache: DataCache::new(limits.cache_bytes),
            inflater: Inflater::new(),
            scan: Scan::Header { bytes: [0; HEADER_BYTES_MAX], len: 0 },
            body_bytes: 0,
            work: 0,
            eager_bytes: 0,
            resolve: Resolve::default(),
        })
    }

    /// An indexer for a body that is stored, in which nobody counted the entries that are garbage.
    pub fn of_stored(algorithm: HashAlgorithm, policy: Policy, limits: IndexLimits) -> Self {
        let indexer = Indexer::new(algorithm, limits.objects, policy, limits);
        let indexer = indexer.expect("as many as there may be are not too many");
        Indexer { is_counted: false, ..indexer }
    }

    /// Objects that were found, of how many: for progress.
    pub fn progress(&self) -> (usize, usize) {
        let declared = self.declared as usize;
        (self.entries.len().min(declared) - self.waiting.count, declared)
    }

    /// Whether all entries have come: what follows in the stream is the checksum.
    pub fn has_all_entries(&self) -> bool {
        self.entries.len() >= self.declared as usize
            && matches!(self.scan, Scan::Header { len: 0, .. })
    }

    /// What an object of this kind may be in size.
    fn size_max(&self, kind: Kind) -> (u64, &'static str) {
        match kind {
            Kind::Blob => (self.limits.delta_bytes, "blob made by a delta"),
            Kind::Tree => (self.limits.structured_bytes, "tree"),
            Kind::Commit => (self.limits.structured_bytes, "commit"),
            Kind::Tag => (self.limits.structured_bytes, "tag"),
            Kind::Chunk => (0, "chunk, which is no object of Git,"),
        }
    }

    fn add_work(&mut self, bytes: u64) -> Result<(), PackError> {
        self.work = self.work.saturating_add(bytes);
        if self.work > self.limits.inflated_bytes {
            return Err(PackError::TooMuchWork { max: self.limits.inflated_bytes });
        }
        Ok(())
    }

    /// Names an entry's object, checks it and notes what it says.
    fn found(&mut self, entry: u32, kind: Kind, data: &Bytes) -> Result<(), PackError> {
        let size = data.len() as u64;
        let mut hasher = ObjectHasher::detecting(self.algorithm, kind, size);
        hasher.update(data);
        let id = hasher.finish()?;
        let (number, is_new) = self.facts.sent(entry, &id, kind)?;
        self.entries[entry as usize].found = Some(Found { number, kind, size });
        if is_new { self.facts.examine(entry, number, kind, data) } else { Ok(()) }
    }

    /// The result of a delta, refused when it is too large for what it is.
    fn apply_delta(
        &mut self,
        offset: u64,
        kind: Kind,
        base: &[u8],
        delta: &[u8],
    ) -> Result<Bytes, PackError> {
        let failed = |source| PackError::Delta { offset, source };
        let size = super::delta::sizes(delta).map_err(failed)?.result;
        let (max, what) = self.size_max(kind);
        if size > max {
            return Err(PackError::ObjectTooLarge { offset, what, size, max });
        }
        self.add_work(size)?;
        super::delta::apply(base, delta, max).map(Bytes::from).map_err(failed)
    }
}
