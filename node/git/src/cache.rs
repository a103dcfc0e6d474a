//! Weighted LRU cache: what was used lately is kept, up to a number of bytes.

use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use clru::{CLruCache, CLruCacheConfig, WeightScale};

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
pub(crate) struct Cache<K, V: Weighed>(Mutex<CLruCache<K, V, std::hash::RandomState, Bytes>>);

impl<K: Clone + Eq + Hash, V: Clone + Weighed> Cache<K, V> {
    /// One of at most so many bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        let capacity = NonZeroUsize::new(bytes_max).unwrap_or(NonZeroUsize::MIN);
        Cache(Mutex::new(CLruCache::with_config(CLruCacheConfig::new(capacity).with_scale(Bytes))))
    }

    /// What is kept of this key.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Keeps a value, unless it alone takes more than there is room for.
    pub(crate) fn insert(&self, key: K, value: V) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What is too large comes back, and is not kept.
        drop(kept.put_with_weight(key, value));
    }
}

impl Weighed for bytes::Bytes {
    fn bytes(&self) -> usize {
        // What keeping it takes beside.
        self.len() + 64
    }
}
