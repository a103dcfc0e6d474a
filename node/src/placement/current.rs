//! The layout in force: one value that a whole node or client follows.
//!
//! Invariant: the version never goes back, and one version never has two contents. Where
//! layouts come from, and who keeps them over a restart, is left to others.

use std::sync::{Arc, RwLock};

use tokio::sync::Notify;

use super::{Layout, LayoutError};

/// Why a layout did not come into force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutRefused {
    /// It is older than the one in force.
    #[error("cluster.version: {given} is older than version {in_force}, which is in force")]
    Older {
        /// The version that was given.
        given: u64,
        /// The version in force, which stays.
        in_force: u64,
    },
    /// It says something else than the one in force under the same version.
    #[error(
        "cluster.version: {version} is in force with other contents ({difference}): a change \
         needs a greater version"
    )]
    Different {
        /// The version of both.
        version: u64,
        /// The first thing in which they differ.
        difference: String,
    },
    /// It cannot be a layout at all.
    #[error(transparent)]
    Wrong(#[from] LayoutError),
}

/// The layout in force. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct CurrentLayout {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    layout: RwLock<Arc<Layout>>,
    /// Wakes those who wait for the next version. Not a `watch` channel: that wakes its
    /// waiters in an order that a counter of the whole process decides.
    replaced: Notify,
}

impl CurrentLayout {
    /// Begins with `layout`, which came out of [`Layout::validated`].
    pub fn new(layout: impl Into<Arc<Layout>>) -> Self {
        let shared = Shared { layout: RwLock::new(layout.into()), replaced: Notify::new() };
        CurrentLayout { shared: Arc::new(shared) }
    }

    /// The layout in force now.
    pub fn get(&self) -> Arc<Layout> {
        self.shared.layout.read().expect("nothing panics while it replaces a layout").clone()
    }

    /// The version in force now.
    pub fn version(&self) -> u64 {
        self.get().version
    }

    /// Brings a newer layout into force and wakes those who wait for it; says whether
    /// anything changed. The layout that is in force already is taken and changes nothing.
    ///
    /// # Errors
    /// [`LayoutRefused`]; what is in force stays.
    pub fn replace(&self, layout: Layout) -> Result<bool, LayoutRefused> {
        let layout = layout.validated()?;
        {
            let mut in_force =
                self.shared.layout.write().expect("nothing panics while it replaces a layout");
            if layout.version < in_force.version {
                let (given, in_force) = (layout.version, in_force.version);
                return Err(LayoutRefused::Older { given, in_force });
            }
            if layout.version == in_force.version {
                return match in_force.difference(&layout) {
                    None => Ok(false),
                    Some(difference) => {
                        Err(LayoutRefused::Different { version: layout.version, difference })
                    }
                };
            }
            *in_force = Arc::new(layout);
        }
        self.shared.replaced.notify_waiters();
        Ok(true)
    }

    /// Waits until a layout newer than `version` is in force, and returns it. Safe to drop
    /// at any time: who comes again with the version that it knows misses none, though of
    /// several that came into force in quick succession it may see the last alone.
    pub async fn changed_since(&self, version: u64) -> Arc<Layout> {
        loop {
            let mut replaced = std::pin::pin!(self.shared.replaced.notified());
            // Registered before looking, so that no change falls between the two.
            replaced.as_mut().enable();
            let layout = self.get();
            if layout.version > version {
                return layout;
            }
            replaced.await;
        }
    }
}
