//! Fan-out table.
//!
//! A sorted list of object ids that is searched in a few steps.

use std::collections::BTreeSet;

use gitstratum_core::object::{HashAlgorithm, ObjectId};

/// Ids by their first two bytes.
const FAN: usize = 1 << 16;

/// Distinct ids of one algorithm, raw, ascending.
pub(super) struct Ids {
    raw: Vec<u8>,
    id_len: usize,
    /// How many ids have first bytes less than these; one more at the end for all.
    fan: Vec<usize>,
}

impl Ids {
    /// Of raw ids that ascend.
    ///
    /// # Panics
    /// If they do not.
    pub(super) fn ascending(raw: Vec<u8>, algorithm: HashAlgorithm) -> Self {
        let id_len = algorithm.id_len();
        assert!(raw.chunks(id_len).is_sorted_by(|a, b| a < b), "ids ascend");
        let mut fan = vec![0; FAN + 1];
        for id in raw.chunks_exact(id_len) {
            fan[first_bytes(id) + 1] += 1;
        }
        for at in 0..FAN {
            fan[at + 1] += fan[at];
        }
        Ids { raw, id_len, fan }
    }

    pub(super) fn len(&self) -> usize {
        self.raw.len() / self.id_len
    }

    /// All of them, one after another.
    pub(super) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Where an id is among them.
    pub(super) fn position(&self, id: &ObjectId) -> Option<usize> {
        let id = id.as_bytes();
        let (mut low, mut high) = (self.fan[first_bytes(id)], self.fan[first_bytes(id) + 1]);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.raw[middle * self.id_len..][..self.id_len].cmp(id) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    pub(super) fn contains(&self, id: &ObjectId) -> bool {
        self.position(id).is_some()
    }

    /// These and those of `added`, without `left_out`.
    pub(super) fn changed<'i>(
        &self,
        left_out: &BTreeSet<ObjectId>,
        added: impl IntoIterator<Item = &'i Ids>,
        algorithm: HashAlgorithm,
    ) -> Self {
        let ids = |raw: &'i [u8]| {
            let id = |raw| ObjectId::from_bytes(raw).expect("ids are 20 or 32 bytes");
            raw.chunks_exact(algorithm.id_len()).map(id)
        };
        let added: BTreeSet<ObjectId> = added.into_iter().flat_map(|own| ids(&own.raw)).collect();
        let is_new = |id: &ObjectId| !self.contains(id) && !left_out.contains(id);
        let mut added = added.into_iter().filter(is_new).peekable();
        let mut raw = Vec::with_capacity(self.raw.len());
        for own in self.raw.chunks_exact(self.id_len) {
            while let Some(id) = added.next_if(|id| id.as_bytes() < own) {
                raw.extend_from_slice(id.as_bytes());
            }
            let id = ObjectId::from_bytes(own).expect("ids are 20 or 32 bytes");
            if !left_out.contains(&id) {
                raw.extend_from_slice(own);
            }
        }
        added.for_each(|id| raw.extend_from_slice(id.as_bytes()));
        Ids::ascending(raw, algorithm)
    }
}

fn first_bytes(id: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([id[0], id[1]]))
}
