//! Which ids of a segment the filters of older ones let through too.
//!
//! Where the filters of two segments let an id through, one of them is nearly always wrong.
//! When an index is made, its segment's ids are shown to the filters of all older segments, and
//! those that pass are listed. An id that passes one of these filters and is not on the list
//! is then none of the segment's, which needs no read: of present ids, each costs the read of
//! one bucket. Without the list one in some thousands of them costs another, for each newer
//! segment.
//!
//! ```text
//! witnesses  8 mark of each filter that was asked
//! ids        8 key of each id that one of them lets through, ascending
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use super::filter::{Filter, Key};

/// Of so many ids of a segment one may be on its list: half a byte of memory an id. A filter
/// that lets more through, as that of a segment does whose objects were all deleted, is no
/// witness.
const IDS_PER_LISTED: usize = 16;

/// The list of a segment. Parsed of a file's bytes, which it keeps.
#[derive(Debug)]
pub(crate) struct Overlap {
    witnesses: Bytes,
    ids: Bytes,
}

/// How long a list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Number of filters that were asked.
    pub(crate) witnesses: u32,
    /// Number of ids that one of them lets through.
    pub(crate) ids: u32,
}

impl Extent {
    /// Bytes of the list in the file, and in memory.
    pub(crate) fn bytes(&self) -> usize {
        (self.witnesses as usize + self.ids as usize) * 8
    }
}

impl Overlap {
    /// Shows a segment's keys, in any order, to the filters of older segments.
    pub(crate) fn find(keys: &[Key], older: &[&Filter]) -> Self {
        let listed_max = keys.len() / IDS_PER_LISTED;
        let mut witnesses = BytesMut::new();
        let mut listed: Vec<Key> = Vec::new();
        // A filter at a time stays in the processor's cache.
        for filter in older.iter().filter(|filter| filter.stops_any()) {
            let before = listed.len();
            let passing = keys.iter().filter(|key| filter.may_have(**key));
            listed.extend(passing.take(listed_max - before + 1));
            if listed.len() > listed_max {
                listed.truncate(before);
            } else {
                witnesses.put_u64_le(filter.mark());
            }
        }
        listed.sort_unstable();
        listed.dedup();
        let mut ids = BytesMut::with_capacity(listed.len() * 8);
        listed.iter().for_each(|key| ids.put_u64_le(key.0));
        Overlap { witnesses: witnesses.freeze(), ids: ids.freeze() }
    }

    /// Reads a list from its bytes.
    ///
    /// # Panics
    /// When these are not as many as [`Extent::bytes`].
    pub(crate) fn parse(extent: Extent, mut raw: Bytes) -> Self {
        assert_eq!(raw.len(), extent.bytes(), "a list of another length");
        let ids = raw.split_off(extent.witnesses as usize * 8);
        Overlap { witnesses: raw, ids }
    }

    /// How long it is.
    pub(crate) fn extent(&self) -> Extent {
        let count = |bytes: &Bytes| u32::try_from(bytes.len() / 8).expect("an index is small");
        Extent { witnesses: count(&self.witnesses), ids: count(&self.ids) }
    }

    /// Its bytes in the file.
    pub(crate) fn write(&self, out: &mut impl BufMut) {
        out.put_slice(&self.witnesses);
        out.put_slice(&self.ids);
    }

    /// Whether an id that this older filter lets through would be on the list.
    pub(crate) fn has_asked(&self, older: &Filter) -> bool {
        self.witnesses.as_chunks().0.contains(&older.mark().to_le_bytes())
    }

    /// Whether the id is on the list.
    pub(crate) fn has(&self, key: Key) -> bool {
        let ids = self.ids.as_chunks().0;
        ids.binary_search_by_key(&key.0, |listed| u64::from_le_bytes(*listed)).is_ok()
    }
}
