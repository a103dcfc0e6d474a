//! Group commit for engines that have one writer at a time and none of their own: one
//! thread takes all that is queued, commits it as one transaction, then answers.

use std::sync::Arc;

use gitstratum_core::limits::GROUP_BYTES_MAX;
use gitstratum_core::object::Object;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::Outcome;

/// Puts that may wait: more than there are writers.
const QUEUE: usize = 1024;

/// One put that waits.
struct Queued {
    objects: Vec<Object>,
    answer: oneshot::Sender<Result<(), Arc<str>>>,
}

/// The queue and the thread behind it.
pub struct Committer {
    queue: mpsc::Sender<Queued>,
    thread: JoinHandle<()>,
}

impl Committer {
    /// Starts a thread that gives groups of objects, sorted by id, to `commit`. A group
    /// has no more bytes than one of our store's.
    pub fn start(commit: impl FnMut(&[Object]) -> Outcome<()> + Send + 'static) -> Self {
        let (queue, queued) = mpsc::channel(QUEUE);
        let thread = tokio::task::spawn_blocking(move || run(queued, commit));
        Committer { queue, thread }
    }

    /// Commits objects together with whatever else waits.
    pub async fn put(&self, objects: Vec<Object>) -> Outcome<()> {
        let (answer, answered) = oneshot::channel();
        let queued = Queued { objects, answer };
        self.queue.send(queued).await.map_err(|_| "the committer ended")?;
        Ok(answered.await?.map_err(|error| error.to_string())?)
    }

    /// Commits what is queued and ends the thread.
    pub async fn close(self) -> Outcome<()> {
        drop(self.queue);
        Ok(self.thread.await?)
    }
}

fn run(mut queue: mpsc::Receiver<Queued>, mut commit: impl FnMut(&[Object]) -> Outcome<()>) {
    while let Some(first) = queue.blocking_recv() {
        let (mut objects, mut answers) = (first.objects, vec![first.answer]);
        let mut bytes: usize = objects.iter().map(|object| object.data().len()).sum();
        while bytes < GROUP_BYTES_MAX {
            let Ok(next) = queue.try_recv() else { break };
            bytes += next.objects.iter().map(|object| object.data().len()).sum::<usize>();
            objects.extend(next.objects);
            answers.push(next.answer);
        }
        // Neighbours in a tree are then written one after the other.
        objects.sort_unstable_by_key(Object::id);
        let committed = commit(&objects).map_err(|error| Arc::from(error.to_string()));
        for answer in answers {
            // A writer that failed elsewhere needs no answer.
            let _ = answer.send(committed.clone());
        }
    }
}
