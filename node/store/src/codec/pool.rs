//! Object pool: what is dear to make and used by one caller at a time.

use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

/// The idle ones, kept for whoever asks next: as many as were ever in use at once.
pub(crate) struct Pool<T> {
    idle: Mutex<Vec<T>>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool { idle: Mutex::default() }
    }
}

impl<T> Pool<T> {
    /// One of them, or a new one, until it is dropped.
    pub(crate) fn take(&self, make: impl FnOnce() -> T) -> Pooled<'_, T> {
        let idle = self.idle.lock().expect("nothing panics while it takes one").pop();
        Pooled { object: Some(idle.unwrap_or_else(make)), pool: self }
    }
}

/// One that goes back to the pool.
pub(crate) struct Pooled<'a, T> {
    /// Always, until it goes back.
    object: Option<T>,
    pool: &'a Pool<T>,
}

impl<T> Deref for Pooled<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.object.as_ref().expect("it has not gone back")
    }
}

impl<T> DerefMut for Pooled<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.object.as_mut().expect("it has not gone back")
    }
}

impl<T> Drop for Pooled<'_, T> {
    fn drop(&mut self) {
        if let Ok(mut idle) = self.pool.idle.lock() {
            idle.extend(self.object.take());
        }
    }
}
