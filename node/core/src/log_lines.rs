//! Log lines that a program holds back, as a node counts them.
//!
//! What writes the log, and whether some of it is held back, is the program's affair: its subscriber
//! has a layer that gives the number out. Where it has none, as on the testbed, nothing is held back.

use tracing::dispatcher;

use crate::metrics::{Counter, Registry};

/// Log lines that repeated others and were counted instead of written. A subscriber is asked for it,
/// and a layer of its gives it out as itself.
#[derive(Clone, Debug, Default)]
pub struct HeldBack(pub Counter);

impl HeldBack {
    /// The number of this program's log.
    pub fn here() -> Self {
        dispatcher::get_default(|subscriber| subscriber.downcast_ref::<HeldBack>().cloned())
            .unwrap_or_default()
    }

    /// Registers it.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Lines of the log that were held back because they repeated others";
        registry.register("log_lines_suppressed", help, self.0.clone());
    }
}
