//! The entries of a pack as an indexer knows them.

use bytes::Bytes;
use flate2::Crc;
use gitstratum_core::object::Kind;

/// What an entry holds, with entries and ids as numbers.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Whole(Kind),
    /// A delta to an entry.
    Ofs(u32),
    /// A delta to an id.
    Ref(u32),
}

/// What an entry was found to be.
#[derive(Clone, Copy)]
pub(super) struct Found {
    /// The number of its id.
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) size: u64,
}

pub(super) struct Entry {
    /// Where it begins in the body.
    pub(super) offset: u64,
    /// What its own data inflates to.
    pub(super) inflated: u64,
    /// Of all its bytes.
    pub(super) crc32: u32,
    pub(super) header_len: u8,
    pub(super) form: Form,
    /// Nothing while it is a delta that waits for its base.
    pub(super) found: Option<Found>,
    /// The client did not send it.
    pub(super) appended: bool,
}

/// Deltas that wait for their bases.
#[derive(Default)]
pub(super) struct Waiting {
    /// Base entry and delta; sorted once there are no more.
    by_entry: Vec<(u32, u32)>,
    /// Number of the base's id, and delta.
    by_id: Vec<(u32, u32)>,
    /// Those that were resolved are counted off, and stay in the lists.
    pub(super) count: usize,
}

/// Which deltas wait for one object: places in the two lists.
pub(super) struct Children {
    by_entry: std::ops::Range<usize>,
    by_id: std::ops::Range<usize>,
}

fn range(list: &[(u32, u32)], base: u32) -> std::ops::Range<usize> {
    let begin = list.partition_point(|(of, _)| *of < base);
    let len = list[begin..].partition_point(|(of, _)| *of == base);
    begin..begin + len
}

impl Waiting {
    pub(super) fn add(&mut self, form: Form, delta: u32) {
        match form {
            Form::Whole(_) => return,
            Form::Ofs(base) => self.by_entry.push((base, delta)),
            Form::Ref(base) => self.by_id.push((base, delta)),
        }
        self.count += 1;
    }

    pub(super) fn sort(&mut self) {
        self.by_entry.sort_unstable();
        self.by_id.sort_unstable();
    }

    /// What waits for an entry that is the object of this number.
    pub(super) fn children(&self, entry: u32, number: u32) -> Children {
        Children { by_entry: range(&self.by_entry, entry), by_id: range(&self.by_id, number) }
    }

    /// The first delta that waits for an id.
    pub(super) fn first_for_id(&self, number: u32) -> Option<u32> {
        self.by_id.get(range(&self.by_id, number)).and_then(<[_]>::first).map(|(_, delta)| *delta)
    }

    pub(super) fn next(&self, children: &mut Children) -> Option<u32> {
        if let Some(place) = children.by_entry.next() {
            return Some(self.by_entry[place].1);
        }
        children.by_id.next().map(|place| self.by_id[place].1)
    }

    /// Entries that deltas wait for.
    pub(super) fn base_entries(&self) -> impl Iterator<Item = u32> + '_ {
        self.by_entry.chunk_by(|one, other| one.0 == other.0).map(|group| group[0].0)
    }

    /// Ids that deltas wait for, each with those deltas.
    pub(super) fn base_ids(&self) -> impl Iterator<Item = (u32, &[(u32, u32)])> {
        self.by_id.chunk_by(|one, other| one.0 == other.0).map(|group| (group[0].0, group))
    }
}

impl Children {
    pub(super) fn is_empty(&self) -> bool {
        self.by_entry.is_empty() && self.by_id.is_empty()
    }
}

/// An entry that is read once more.
pub(super) struct Reading {
    pub(super) entry: u32,
    /// Its base, if it is a delta.
    pub(super) base: Option<(Kind, Bytes)>,
    /// Bytes of it that were read.
    pub(super) read: u64,
    pub(super) crc: Crc,
    pub(super) out: Vec<u8>,
}
