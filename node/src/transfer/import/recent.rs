//! A small direct-mapped cache of ids that were found lately.
//!
//! A tree differs little from the one before it, so most ids that it has were just looked up.

use gitstratum_core::object::ObjectId;

/// Ids that fit.
const PLACES: usize = 1 << 14;

/// Remembers ids; forgets one for another that shares its place.
pub(super) struct Recent {
    ids: Vec<Option<ObjectId>>,
}

impl Default for Recent {
    fn default() -> Self {
        Recent { ids: vec![None; PLACES] }
    }
}

impl Recent {
    pub(super) fn has(&self, id: &ObjectId) -> bool {
        self.ids[place(id)].as_ref() == Some(id)
    }

    pub(super) fn add(&mut self, id: &ObjectId) {
        self.ids[place(id)] = Some(*id);
    }
}

/// From the end of the prefix: ids that are read one after another share their beginnings.
fn place(id: &ObjectId) -> usize {
    id.prefix_u64() as usize % PLACES
}
