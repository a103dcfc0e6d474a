//! Large puts under way: how many there may be, the files that are not complete, and the removal
//! of those that were given up.
//!
//! A put that is given up, because the disk is full or its caller went away, leaves a file that
//! takes room others need. It is removed at once, by a task that waits for nothing else, and
//! what is still written when the store is closed is removed then.
//!
//! Invariant: nothing is removed after the store was closed, when the directory may be another
//! process's. What is left by a crash is removed by opening.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use gitstratum_core::limits;
use gitstratum_core::object::ObjectId;
use gitstratum_host::Disk;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::files::names::{LARGE_DIR, TEMPORARY_SUFFIX};

/// The large puts of a store.
pub(crate) struct LargePuts {
    disk: Disk,
    slots: Arc<Semaphore>,
    /// Tells files of one object apart that are written at once.
    next: AtomicU64,
    paths: Mutex<Paths>,
    given_up: Notify,
    /// Held while files are removed; whether the store was closed.
    closed: tokio::sync::Mutex<bool>,
}

#[derive(Default)]
struct Paths {
    under_way: BTreeSet<String>,
    given_up: Vec<String>,
}

impl LargePuts {
    /// None yet.
    pub(crate) fn new(disk: Disk) -> Self {
        LargePuts {
            disk,
            slots: Arc::new(Semaphore::new(limits::STORE_LARGE_WRITERS_MAX)),
            next: AtomicU64::default(),
            paths: Mutex::default(),
            given_up: Notify::new(),
            closed: tokio::sync::Mutex::new(false),
        }
    }

    /// Room for one more, if there is.
    pub(crate) fn slot(&self) -> Option<OwnedSemaphorePermit> {
        self.slots.clone().try_acquire_owned().ok()
    }

    /// The path of the file that a put of this object begins to write: known before the file is
    /// there, so that none is there that nobody knows of.
    pub(crate) fn begin(&self, id: ObjectId) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = format!("{LARGE_DIR}/{id}.{number}{TEMPORARY_SUFFIX}");
        self.paths().under_way.insert(path.clone());
        path
    }

    /// The file was completed and has another name now.
    pub(crate) fn completed(&self, path: &str) {
        self.paths().under_way.remove(path);
    }

    /// The put will not be completed.
    pub(crate) fn give_up(&self, path: String) {
        let mut paths = self.paths();
        if paths.under_way.remove(&path) {
            paths.given_up.push(path);
            drop(paths);
            self.given_up.notify_one();
        }
    }

    /// Removes files as they are given up, until the store is closed.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            let closed = self.closed.lock().await;
            if *closed {
                return;
            }
            self.remove_given_up().await;
            drop(closed);
            self.given_up.notified().await;
        }
    }

    /// Removes what is left, also of puts that are under way: none of them is completed any
    /// more.
    pub(crate) async fn close(&self) {
        let mut closed = self.closed.lock().await;
        {
            let mut paths = self.paths();
            let under_way = std::mem::take(&mut paths.under_way);
            paths.given_up.extend(under_way);
        }
        self.remove_given_up().await;
        *closed = true;
        self.given_up.notify_one();
    }

    async fn remove_given_up(&self) {
        let given_up = std::mem::take(&mut self.paths().given_up);
        for path in given_up {
            match self.disk.remove(&path).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(path, %error, "what an interrupted put left stays until restart");
                }
                _ => tracing::debug!(path, "what an interrupted put left is removed"),
            }
        }
    }

    fn paths(&self) -> MutexGuard<'_, Paths> {
        self.paths.lock().expect("nothing panics while it lists")
    }
}
