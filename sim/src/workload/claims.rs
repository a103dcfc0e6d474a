//! Control without read index: a client that believes whoever says that it leads.

use std::sync::Arc;

use gitstratum_core::placement::NodeId;

/// Nodes that say that they lead, at any moment. Cheap to clone; outside the simulated network.
#[derive(Clone)]
pub struct Claims(Arc<dyn Fn() -> Vec<NodeId> + Send + Sync>);

impl Claims {
    /// Those that this finds.
    pub fn new(find: impl Fn() -> Vec<NodeId> + Send + Sync + 'static) -> Self {
        Claims(Arc::new(find))
    }

    /// Who says so now, in the order of their names.
    pub fn now(&self) -> Vec<NodeId> {
        (self.0)()
    }
}
