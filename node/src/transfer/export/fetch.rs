//! Parallel fetch.
//!
//! Getting objects: several batches at a time, sized by what objects turned out to be.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use gitstratum_cluster::client::{GetError, Got};
use gitstratum_core::limits;
use gitstratum_core::object::{HashAlgorithm, ObjectHead, ObjectId};
use gix::odb::pack::index;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::super::backoff;
use super::super::manifest::{Manifest, ObjectList};
use super::claim::Claim;
use super::pack::{self, Entry, PackWriter};
use super::{Client, ExportError, Progress};

/// What was fetched, not counting what was there.
#[derive(Clone, Copy, Default)]
pub(super) struct Fetched {
    pub(super) objects: u64,
    pub(super) bytes: u64,
    /// Packs they are in.
    pub(super) packs: u64,
}

impl Fetched {
    fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// A batch that came, with the bytes of data of objects that travel whole and in parts.
#[derive(Clone, Copy, Default)]
struct Batch {
    objects: u64,
    whole_bytes: u64,
    large_bytes: u64,
}

/// For the writer of packs.
enum Item {
    Entries(Vec<Entry>),
    /// The parts end early when the object broke off.
    Large(ObjectHead, mpsc::Receiver<Bytes>),
}

/// The data of one object of at most `limit_bytes`, held whole.
pub(super) async fn blob(
    client: &Client,
    id: ObjectId,
    limit_bytes: u64,
) -> Result<Vec<u8>, ExportError> {
    let got = get(client, vec![id]).await?.pop().expect("one id, one object");
    let head = match got {
        Got::Object(object) => return Ok(object.data().to_vec()),
        Got::Large(head) => head,
    };
    if head.size_bytes > limit_bytes {
        let source = super::ManifestError::TooLong(head.size_bytes);
        return Err(ExportError::Manifest { id, source });
    }
    let broke_off = |source| ExportError::Large { id, source };
    let mut reader = open_large(client, id).await?;
    let mut data = Vec::new();
    while let Some(part) = reader.next().await.map_err(broke_off)? {
        data.extend_from_slice(&part);
    }
    Ok(data)
}

/// All ids of the manifest, raw, one after another, ascending.
pub(super) async fn lists(client: &Client, manifest: &Manifest) -> Result<Vec<u8>, ExportError> {
    let id_len = manifest.algorithm.id_len();
    let mut ids: Vec<u8> = Vec::new();
    for ObjectList { id, count } in &manifest.lists {
        let wrong = |problem: String| Err(ExportError::List { id: *id, problem });
        let list = blob(client, *id, limits::OBJECT_BYTES_WHOLE_MAX as u64).await?;
        if list.len() as u64 != count * id_len as u64 {
            return wrong(format!("{count} ids expected in {} bytes", list.len()));
        }
        let from = ids.len().saturating_sub(id_len);
        ids.extend_from_slice(&list);
        if !ids[from..].chunks_exact(id_len).is_sorted_by(|a, b| a < b) {
            return wrong("its ids do not ascend".to_owned());
        }
    }
    Ok(ids)
}

/// Fetches what finished packs lack, and writes it to packs.
pub(super) async fn objects(
    client: &Client,
    manifest: &Manifest,
    ids: Vec<u8>,
    finished: Vec<index::File>,
    claim: Arc<Claim>,
    progress: &dyn Progress,
) -> Result<Fetched, ExportError> {
    let algorithm = manifest.algorithm;
    let mut wanted = Wanted { ids, at: 0, id_len: algorithm.id_len(), finished, taken: 0 };
    let (items, written) = mpsc::channel(limits::EXPORT_PACKS_WAITING_MAX);
    // The writer goes on to the end of its pack when this future is dropped, and until then
    // nobody else may write there.
    let writer = tokio::task::spawn_blocking(move || {
        let result = write(claim.dir(), algorithm, written);
        if result.is_err() {
            // The reason is the error; what cannot be removed now is when the export is resumed.
            let _ = pack::remove_unfinished(claim.dir());
        }
        result
    });
    let mut gets: JoinSet<Result<Batch, ExportError>> = JoinSet::new();
    let mut sizes = Sizes::default();
    let mut failed = None;
    loop {
        let go_on = failed.is_none() && !items.is_closed();
        while go_on && gets.len() < limits::EXPORT_GETS_IN_FLIGHT {
            let batch = wanted.take(sizes.batch_objects(), progress);
            if batch.is_empty() {
                break;
            }
            gets.spawn(fetch(client.clone(), batch, items.clone()));
        }
        match gets.join_next().await {
            None => break,
            Some(done) => match done.expect("a get does not panic and is not cancelled") {
                Ok(batch) => {
                    progress.advance(batch.objects, batch.whole_bytes + batch.large_bytes);
                    sizes.add(batch.objects, batch.whole_bytes);
                }
                Err(error) => {
                    failed.get_or_insert(error);
                }
            },
        }
    }
    // Closing the channel ends the writer, which then completes the pack it is at: what
    // was fetched before a failure is not fetched again.
    drop(items);
    // The writer's reason is the better one: gets only see that it is gone.
    let fetched = writer.await.expect("the writer does not panic")?;
    if let Some(error) = failed {
        return Err(error);
    }
    if fetched.objects != wanted.taken {
        return Err(ExportError::Incomplete { written: fetched.objects, wanted: wanted.taken });
    }
    Ok(fetched)
}

/// Fetches a batch and hands it to the writer.
async fn fetch(
    client: Client,
    ids: Vec<ObjectId>,
    items: mpsc::Sender<Item>,
) -> Result<Batch, ExportError> {
    let mut batch = Batch { objects: ids.len() as u64, ..Batch::default() };
    let mut large = Vec::new();
    let mut whole = Vec::with_capacity(ids.len());
    for got in get(&client, ids).await? {
        match got {
            Got::Object(object) => {
                batch.whole_bytes += object.size_bytes();
                whole.push(object);
            }
            Got::Large(head) => {
                batch.large_bytes += head.size_bytes;
                large.push(head);
            }
        }
    }
    let compress = move || whole.iter().map(Entry::new).collect();
    let entries = tokio::task::spawn_blocking(compress).await;
    let entries: Vec<_> = entries.expect("compression does not panic");
    // A writer that went away has its own reason, here and below.
    let mut gone = items.send(Item::Entries(entries)).await.is_err();
    for head in large {
        let mut reader = open_large(&client, head.id).await?;
        let (sink, parts) = mpsc::channel(limits::LARGE_PARTS_IN_FLIGHT);
        gone |= items.send(Item::Large(head, parts)).await.is_err();
        if gone {
            break;
        }
        let broke_off = |source| ExportError::Large { id: head.id, source };
        // One part is held back until the end was verified: a damaged object stays short.
        let mut held: Option<Bytes> = None;
        while let Some(part) = reader.next().await.map_err(broke_off)? {
            if let Some(before) = held.replace(part) {
                let _ = sink.send(before).await;
            }
        }
        if let Some(last) = held {
            let _ = sink.send(last).await;
        }
    }
    Ok(batch)
}

/// Writes packs until the channel closes.
fn write(
    dir: &Path,
    algorithm: HashAlgorithm,
    mut items: mpsc::Receiver<Item>,
) -> Result<Fetched, ExportError> {
    let mut fetched = Fetched::default();
    let mut pack = PackWriter::new(dir, algorithm)?;
    while let Some(item) = items.blocking_recv() {
        match item {
            Item::Entries(entries) => {
                for entry in &entries {
                    pack.add(entry)?;
                    fetched.add(entry.size_bytes());
                }
            }
            Item::Large(head, mut parts) => {
                // One that breaks off costs only itself; whoever fetched it knows why.
                if pack.add_large(head, std::iter::from_fn(|| parts.blocking_recv()))? {
                    fetched.add(head.size_bytes);
                }
            }
        }
        if pack.is_full() {
            fetched.packs += pack.finish()?;
            pack = PackWriter::new(dir, algorithm)?;
        }
    }
    fetched.packs += pack.finish()?;
    Ok(fetched)
}

/// How many of the manifest's ids these packs do not have.
pub(super) fn lacking(ids: &[u8], algorithm: HashAlgorithm, finished: &[index::File]) -> u64 {
    let has = |raw: &[u8]| {
        let id = gix::oid::try_from_bytes(raw).expect("ids are 20 or 32 bytes");
        finished.iter().any(|index| index.lookup(id).is_some())
    };
    ids.chunks_exact(algorithm.id_len()).filter(|raw| !has(raw)).count() as u64
}

/// Ids that are still to be fetched.
struct Wanted {
    ids: Vec<u8>,
    at: usize,
    id_len: usize,
    finished: Vec<index::File>,
    /// How many were asked for so far.
    taken: u64,
}

impl Wanted {
    /// The next `count` ids that no finished pack has; those that one has count as done.
    fn take(&mut self, count: usize, progress: &dyn Progress) -> Vec<ObjectId> {
        let mut batch = Vec::with_capacity(count);
        while batch.len() < count && self.at < self.ids.len() {
            let raw = &self.ids[self.at..][..self.id_len];
            self.at += self.id_len;
            let id = gix::oid::try_from_bytes(raw).expect("ids are 20 or 32 bytes");
            if self.finished.iter().any(|index| index.lookup(id).is_some()) {
                progress.advance(1, 0);
            } else {
                batch.push(ObjectId::from_bytes(raw).expect("ids are 20 or 32 bytes"));
                self.taken += 1;
            }
        }
        batch
    }
}

/// How large objects were lately. Ids come in the order of a hash, so what was is a fair
/// guess of what comes, and a batch holds about as many bytes as it should.
#[derive(Default)]
struct Sizes {
    latest: VecDeque<(u64, u64)>,
}

impl Sizes {
    fn add(&mut self, objects: u64, bytes: u64) {
        self.latest.push_back((objects, bytes));
        if self.latest.len() > 64 {
            self.latest.pop_front();
        }
    }

    fn batch_objects(&self) -> usize {
        let (objects, bytes) =
            self.latest.iter().fold((0, 0), |(objects, bytes), (o, b)| (objects + o, bytes + b));
        if objects == 0 {
            return limits::EXPORT_BATCH_OBJECTS_MIN;
        }
        let mean = (bytes / objects).max(1);
        let count = limits::BATCH_BYTES_MAX as u64 / mean;
        (count as usize).clamp(limits::EXPORT_BATCH_OBJECTS_MIN, limits::EXPORT_BATCH_OBJECTS_MAX)
    }
}

/// Gets objects, trying again while that can help.
async fn get(client: &Client, ids: Vec<ObjectId>) -> Result<Vec<Got>, ExportError> {
    let mut got: Vec<Option<Got>> = ids.iter().map(|_| None).collect();
    let mut places: Vec<usize> = (0..ids.len()).collect();
    let mut attempts = 0;
    loop {
        let asked = places.iter().map(|place| ids[*place]).collect();
        let (mut left, mut error) = (Vec::new(), None);
        for (place, result) in places.iter().zip(client.get_batch(asked).await) {
            match result {
                Ok(found) => got[*place] = Some(found),
                Err(reason) => {
                    left.push(*place);
                    if !matches!(error, Some(GetError::NotFound { .. })) {
                        error = Some(reason);
                    }
                }
            }
        }
        let Some(error) = error else { break };
        attempts += 1;
        wait_after(error, attempts).await?;
        places = left;
    }
    Ok(got.into_iter().map(|found| found.expect("every object was found")).collect())
}

async fn open_large(
    client: &Client,
    id: ObjectId,
) -> Result<Box<dyn gitstratum_core::replica::LargeReader>, ExportError> {
    let mut attempts = 0;
    loop {
        match client.get_large(id).await {
            Ok(reader) => return Ok(reader),
            Err(error) => {
                attempts += 1;
                wait_after(error, attempts).await?;
            }
        }
    }
}

/// Waits before the next attempt, longer each time. What is not there will not come.
async fn wait_after(error: GetError, attempts: u32) -> Result<(), ExportError> {
    if attempts >= limits::TRANSFER_ATTEMPTS_MAX || matches!(error, GetError::NotFound { .. }) {
        return Err(ExportError::Get { attempts, source: error });
    }
    let wait = backoff(attempts - 1);
    tracing::warn!(%error, wait_ms = wait.as_millis() as u64, "get failed; trying again");
    tokio::time::sleep(wait).await;
    Ok(())
}
