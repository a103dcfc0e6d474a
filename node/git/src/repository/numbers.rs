//! Metrics of a gateway: objects that came and went in packs, and how its caches are used.

use std::sync::Arc;

use gitstratum_core::metrics::{self, Counter, Labels, Reading, Registry, Unit};

use super::objects::Reading as PackReading;
use crate::cache::CacheNumbers;

/// Objects in the packs of pushes and fetches.
#[derive(Debug, Default)]
pub(super) struct Transferred {
    /// In packs that were pushed, whether or not the push was refused in the end.
    pub(super) received: Counter,
    /// In packs that were fetched, all of which were sent.
    pub(super) sent: Counter,
}

/// Registers all of it.
pub(super) fn register(registry: &mut Registry, reading: &Arc<PackReading>) {
    let Transferred { received, sent } = &reading.transferred;
    let help = "Objects in packs that were pushed";
    registry.register("git_received_objects", help, received.clone());
    let help = "Objects in packs that were sent to clients as a whole";
    registry.register("git_sent_objects", help, sent.clone());
    type Metric = Reading<CacheNumbers>;
    let readings = [
        Metric::counter("git_cache_hits", "Questions that a cache answered", |cache| cache.hits),
        Metric::counter("git_cache_misses", "Questions that a cache had nothing for", |cache| {
            cache.misses
        }),
        Metric::gauge("git_cache", "What a cache keeps, about", |cache| cache.bytes)
            .unit(Unit::Bytes),
    ];
    let reading = reading.clone();
    metrics::register_encoded(registry, move |encoder| {
        let caches = [
            ("chunks", reading.chunks.cache_numbers()),
            ("packs", reading.packs.cache_numbers()),
            ("objects", reading.decoded.numbers()),
        ];
        let caches = caches.map(|(name, numbers)| {
            let labels: Labels = vec![("cache", name.to_owned())];
            (labels, numbers)
        });
        metrics::encode(encoder, &readings, &caches)
    });
}
