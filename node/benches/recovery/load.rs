//! Calls begun at a steady rate, whether those before have ended or not: a pool that makes
//! its callers wait gets as many as one that fails them at once.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, Object, ObjectId};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::contenders::Contender;

/// Of each contender.
pub const CALLS_PER_SECOND: u32 = 20;

/// One call that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub began: Instant,
    pub ended: Instant,
    pub well: bool,
}

#[derive(Default)]
struct Done {
    sent: Vec<(Instant, ObjectId)>,
    calls: Vec<Call>,
}

/// The calls of one contender; no more begin when it is dropped.
pub struct Load {
    done: Arc<Mutex<Done>>,
    lane: JoinHandle<()>,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.lane.abort();
    }
}

/// What each object of a contender begins with.
pub fn payload(contender: &str) -> String {
    format!("sent by {contender}: object ")
}

impl Load {
    /// Begins to call.
    pub fn start(contender: Arc<dyn Contender>) -> Self {
        let done: Arc<Mutex<Done>> = Arc::default();
        let lane = tokio::spawn(run(contender, done.clone()));
        Load { done, lane }
    }

    /// The calls that have ended, in the order of their ends.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.done).calls.clone()
    }

    /// Objects that were sent at `since` or later.
    pub fn sent(&self, since: Instant) -> Vec<ObjectId> {
        let done = lock(&self.done);
        done.sent.iter().filter(|(began, _)| *began >= since).map(|(_, id)| *id).collect()
    }
}

fn lock(done: &Mutex<Done>) -> MutexGuard<'_, Done> {
    done.lock().expect("nobody panics with it")
}

async fn run(contender: Arc<dyn Contender>, done: Arc<Mutex<Done>>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / CALLS_PER_SECOND);
    for number in 0_u64.. {
        ticks.tick().await;
        let data = format!("{}{number}", payload(contender.name()));
        let object = Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from(data));
        let object = object.expect("no such text collides");
        let began = Instant::now();
        lock(&done).sent.push((began, object.id()));
        let (contender, done) = (contender.clone(), done.clone());
        tokio::spawn(async move {
            let well = contender.put(object).await.is_ok();
            lock(&done).calls.push(Call { began, ended: Instant::now(), well });
        });
    }
}
