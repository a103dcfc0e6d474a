//! Delta base cache: the objects of a pack that were used last, up to so many bytes.

use std::collections::BTreeMap;

use bytes::Bytes;

/// What an entry takes beside its data.
const BYTES_BESIDE_DATA: usize = 160;

/// Data of entries, by their number. The one that came last is kept however large it is.
pub(super) struct DataCache {
    slots: BTreeMap<u32, Slot>,
    /// Entries by the time of their last use.
    used: BTreeMap<u64, u32>,
    bytes: usize,
    bytes_max: usize,
    now: u64,
}

struct Slot {
    data: Bytes,
    used: u64,
}

impl DataCache {
    pub(super) fn new(bytes_max: usize) -> Self {
        let (slots, used) = (BTreeMap::new(), BTreeMap::new());
        DataCache { slots, used, bytes: 0, bytes_max, now: 0 }
    }

    pub(super) fn contains(&self, entry: u32) -> bool {
        self.slots.contains_key(&entry)
    }

    pub(super) fn get(&mut self, entry: u32) -> Option<Bytes> {
        let slot = self.slots.get_mut(&entry)?;
        self.used.remove(&slot.used);
        self.now += 1;
        slot.used = self.now;
        self.used.insert(self.now, entry);
        Some(slot.data.clone())
    }

    pub(super) fn insert(&mut self, entry: u32, data: Bytes) {
        self.remove(entry);
        self.bytes += data.len() + BYTES_BESIDE_DATA;
        while self.bytes > self.bytes_max {
            let Some((_, oldest)) = self.used.pop_first() else { break };
            let slot = self.slots.remove(&oldest).expect("what was used is there");
            self.bytes -= slot.data.len() + BYTES_BESIDE_DATA;
        }
        self.now += 1;
        self.used.insert(self.now, entry);
        self.slots.insert(entry, Slot { data, used: self.now });
    }

    pub(super) fn remove(&mut self, entry: u32) {
        if let Some(slot) = self.slots.remove(&entry) {
            self.used.remove(&slot.used);
            self.bytes -= slot.data.len() + BYTES_BESIDE_DATA;
        }
    }
}
