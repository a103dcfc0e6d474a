//! The hash ring: object id → ordered replicas.

use std::sync::Arc;

use super::{Layout, NodeId};
use crate::object::ObjectId;

/// A layout with its ring points computed.
#[derive(Clone, Debug)]
pub struct Ring {
    layout: Arc<Layout>,
}

impl Ring {
    /// Computes the ring of a validated layout.
    pub fn new(layout: Arc<Layout>) -> Self {
        Ring { layout }
    }

    /// The layout this ring was made of.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The N distinct members that hold `id`, the first being its primary.
    pub fn replicas(&self, id: &ObjectId) -> Vec<NodeId> {
        let _ = id;
        todo!()
    }
}
