//! What is dear to make and used by one caller at a time.

use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

/// Those that nobody uses now, kept for whoever asks next: as many as were ever in use at once.
pub(crate) struct Spare<T> {
    kept: Mutex<Vec<T>>,
}

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Spare { kept: Mutex::default() }
    }
}

impl<T> Spare<T> {
    /// One of them, or a new one, until it is dropped.
    pub(crate) fn lend(&self, make: impl FnOnce() -> T) -> Lent<'_, T> {
        let kept = self.kept.lock().expect("nothing panics while it takes one").pop();
        Lent { lent: Some(kept.unwrap_or_else(make)), home: self }
    }
}

/// One that goes back to the others.
pub(crate) struct Lent<'a, T> {
    /// Always, until it goes back.
    lent: Option<T>,
    home: &'a Spare<T>,
}

impl<T> Deref for Lent<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.lent.as_ref().expect("it has not gone back")
    }
}

impl<T> DerefMut for Lent<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.lent.as_mut().expect("it has not gone back")
    }
}

impl<T> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        if let Ok(mut kept) = self.home.kept.lock() {
            kept.extend(self.lent.take());
        }
    }
}
