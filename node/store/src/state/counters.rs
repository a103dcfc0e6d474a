//! Counters of requests since the store was opened.

use gitstratum_core::metrics::{Counter, Registry};

/// Puts and gets.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) puts: Counter,
    pub(crate) gets: Counter,
}

impl Counters {
    /// Registers them.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let Counters { puts, gets } = self;
        let help = "Objects put since the store was opened, those already present included";
        registry.register("store_puts", help, puts.clone());
        let help = "Objects asked for since the store was opened";
        registry.register("store_gets", help, gets.clone());
    }
}
