//! Weighted LRU cache: what was used lately is kept, up to a number of bytes.

use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use clru::{CLruCache, CLruCacheConfig, WeightScale};
use gitstratum_core::metrics::Counter;

/// What a value takes in memory.
pub(crate) trait Weighed {
    /// Bytes, about.
    fn bytes(&self) -> usize;
}

struct Bytes;

impl<K, V: Weighed> WeightScale<K, V> for Bytes {
    fn weight(&self, _key: &K, value: &V) -> usize {
        value.bytes()
    }
}

/// Keeps values; those unused longest go first.
pub(crate) struct Cache<K, V: Weighed> {
    kept: Mutex<CLruCache<K, V, std::hash::RandomState, Bytes>>,
    hits: Counter,
    misses: Counter,
}

/// What a cache has, and how often it had what was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheNumbers {
    /// Questions for a value that was kept.
    pub(crate) hits: u64,
    /// Questions for one that was not.
    pub(crate) misses: u64,
    /// What is kept, about.
    pub(crate) bytes: u64,
}

impl<K: Clone + Eq + Hash, V: Clone + Weighed> Cache<K, V> {
    /// One of at most so many bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        let capacity = NonZeroUsize::new(bytes_max).unwrap_or(NonZeroUsize::MIN);
        let kept = CLruCache::with_config(CLruCacheConfig::new(capacity).with_scale(Bytes));
        Cache { kept: Mutex::new(kept), hits: Counter::default(), misses: Counter::default() }
    }

    /// What is kept of this key.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let found = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        if found.is_some() {
            self.hits.inc()
        } else {
            self.misses.inc()
        };
        found
    }

    /// Keeps a value, unless it alone takes more than there is room for.
    pub(crate) fn insert(&self, key: K, value: V) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // What is too large comes back, and is not kept.
        drop(kept.put_with_weight(key, value));
    }

    /// How it does.
    pub(crate) fn numbers(&self) -> CacheNumbers {
        let bytes = self.kept.lock().unwrap_or_else(PoisonError::into_inner).weight() as u64;
        CacheNumbers { hits: self.hits.get(), misses: self.misses.get(), bytes }
    }
}

impl Weighed for bytes::Bytes {
    fn bytes(&self) -> usize {
        // What keeping it takes beside.
        self.len() + 64
    }
}
