//! Control without earlier layouts.
//!
//! Nodes to whom a layout says nothing of where objects were before.
//!
//! They take each layout as if everything had been moved already: members that drain are gone,
//! and every earlier version is settled. So they compare what they hold with the active members
//! of the layout in force alone. The clients are told the layout as it is, before the nodes are,
//! so that they look for objects where they should.

use std::sync::{Arc, Mutex};

use gitstratum_core::placement::{CurrentLayout, Layout, MemberState};

/// What such nodes are told in the place of a layout.
pub fn without_sources(mut layout: Layout) -> Layout {
    layout.settled = layout.version;
    for member in &mut layout.members {
        if member.state == MemberState::Draining {
            member.state = MemberState::Removed;
        }
    }
    layout
}

/// The layouts that clients go by.
#[derive(Clone, Debug, Default)]
pub struct Followers {
    layouts: Arc<Mutex<Vec<CurrentLayout>>>,
}

impl Followers {
    /// Adds that of a client.
    pub fn add(&self, layout: &CurrentLayout) {
        self.layouts.lock().expect("nothing panics while it lists").push(layout.clone());
    }

    /// Brings a newer layout into force for all of them.
    pub fn replace(&self, next: &Layout) {
        for layout in self.layouts.lock().expect("nothing panics while it lists").iter() {
            // A client that knows it by then goes by what it knows.
            let _ = layout.replace(next);
        }
    }
}
