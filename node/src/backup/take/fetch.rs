//! Fetching: chunks of packs from the cluster, several at a time, unless their files are there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use gitstratum_catalog::entity::Pack;
use gitstratum_cluster::client::{Client, GetError, Got};
use gitstratum_core::limits;
use gitstratum_core::object::{Object, ObjectId};
use gitstratum_git::chunk::{CHUNK_HEAD_BYTES, ChunkStore};
use gitstratum_git::repository::PackContents;
use gitstratum_git::service::RepositoryError;
use tokio::sync::Semaphore;

use super::super::objects::{Objects, Unsound};
use super::super::{BackupError, blocking};
use super::Options;
use crate::transfer::{Counters, backoff};

/// Fetches what is not there.
pub(super) struct Fetch {
    files: Arc<Files>,
    contents: PackContents,
    jobs: usize,
}

/// The files of a directory, and the cluster that those come from which are not there.
struct Files {
    client: Client,
    objects: Objects,
    /// Files are read before they count as there.
    verify: bool,
    /// As many are fetched at a time, of however many packs.
    turns: Semaphore,
    counters: Arc<Counters>,
    new_objects: AtomicU64,
    new_bytes: AtomicU64,
    healed: AtomicU64,
    /// Why a chunk could not be had, where a trait lets only words through.
    cause: Mutex<Option<BackupError>>,
}

/// How the file of an object is.
enum Standing {
    Whole(u64),
    Missing,
    Damaged,
}

impl Fetch {
    pub(super) fn new(
        client: Client,
        objects: Objects,
        options: &Options,
        counters: Arc<Counters>,
    ) -> Self {
        let files = Arc::new(Files {
            client,
            objects,
            verify: options.verify,
            turns: Semaphore::new(options.jobs),
            counters,
            new_objects: AtomicU64::new(0),
            new_bytes: AtomicU64::new(0),
            healed: AtomicU64::new(0),
            cause: Mutex::default(),
        });
        Fetch { contents: PackContents::new(files.clone()), files, jobs: options.jobs }
    }

    /// Has all chunks of these packs; gives their lengths.
    pub(super) async fn all(
        &self,
        packs: Vec<(Arc<Pack>, String)>,
    ) -> Result<Vec<(ObjectId, u64)>, BackupError> {
        let fetched = stream::iter(packs).map(|(pack, name)| async move {
            let objects = self.pack(&pack, &name).await?;
            self.files.counters.objects.fetch_add(pack.objects, Ordering::Relaxed);
            Ok::<_, BackupError>(objects)
        });
        let fetched: Vec<_> = fetched.buffer_unordered(self.jobs).try_collect().await?;
        Ok(fetched.into_iter().flatten().collect())
    }

    /// New objects, their bytes, and those that were damaged.
    pub(super) fn done(&self) -> (u64, u64, u64) {
        let Files { new_objects, new_bytes, healed, .. } = &*self.files;
        let [objects, bytes, healed] =
            [new_objects, new_bytes, healed].map(|number| number.load(Ordering::Relaxed));
        (objects, bytes, healed)
    }

    async fn pack(&self, pack: &Pack, name: &str) -> Result<Vec<(ObjectId, u64)>, BackupError> {
        let unreadable = |source| BackupError::Pack {
            pack: pack.id.to_string(),
            repository: name.to_owned(),
            source,
        };
        // That no replica has a chunk is told with whose it is.
        let told = |error| match error {
            BackupError::Get { source: source @ GetError::NotFound { .. } } => {
                unreadable(RepositoryError::Damaged(source.to_string()))
            }
            error => error,
        };
        let chunks = self.contents.chunks(pack).await.map_err(|source| {
            let cause = self.files.cause.lock().unwrap_or_else(PoisonError::into_inner).take();
            cause.map_or_else(|| unreadable(source), told)
        })?;
        let standing = self.files.standing(chunks).await?;
        let had = standing.into_iter().map(|(id, standing)| async move {
            let bytes = match standing {
                Standing::Whole(bytes) => bytes,
                Standing::Missing => self.files.fetch(id, false).await?.size_bytes(),
                Standing::Damaged => self.files.fetch(id, true).await?.size_bytes(),
            };
            Ok::<_, BackupError>((id, bytes))
        });
        let had = stream::iter(had).buffer_unordered(self.jobs).try_collect().await;
        had.map_err(told)
    }
}

impl Files {
    /// How the files of these objects are.
    async fn standing(&self, ids: Vec<ObjectId>) -> Result<Vec<(ObjectId, Standing)>, BackupError> {
        let (objects, verify) = (self.objects.clone(), self.verify);
        blocking(move || {
            let look = |id: ObjectId| Ok((id, standing(&objects, &id, verify)?));
            ids.into_iter().map(look).collect()
        })
        .await
    }

    /// As often as it takes while replicas do not answer.
    async fn get(&self, id: ObjectId) -> Result<Got, GetError> {
        for failures in 0..limits::TRANSFER_ATTEMPTS_MAX - 1 {
            match self.client.get(id).await {
                Err(GetError::Unavailable { .. }) => {}
                got => return got,
            }
            tokio::time::sleep(backoff(failures)).await;
        }
        self.client.get(id).await
    }

    async fn fetch(&self, id: ObjectId, was_damaged: bool) -> Result<Object, BackupError> {
        let _turn = self.turns.acquire().await.expect("nobody closes it");
        let object = match self.get(id).await.map_err(|source| BackupError::Get { source })? {
            Got::Object(object) => object,
            Got::Large(head) => {
                return Err(BackupError::Refused(format!(
                    "chunk {id} has {} bytes, and no chunk is so large",
                    head.size_bytes
                )));
            }
        };
        let (objects, written) = (self.objects.clone(), object.clone());
        blocking(move || objects.write(&written)).await?;
        self.counters.bytes.fetch_add(object.size_bytes(), Ordering::Relaxed);
        self.new_bytes.fetch_add(object.size_bytes(), Ordering::Relaxed);
        match was_damaged {
            true => self.healed.fetch_add(1, Ordering::Relaxed),
            false => self.new_objects.fetch_add(1, Ordering::Relaxed),
        };
        Ok(object)
    }

    /// Out of its file if that is sound, and else from the cluster, into its file.
    async fn read(&self, id: ObjectId) -> Result<Bytes, BackupError> {
        let objects = self.objects.clone();
        let read = blocking(move || objects.read(&id)).await?;
        let object = match read {
            Ok(object) => object,
            Err(unsound) => self.fetch(id, matches!(unsound, Unsound::Damaged(_))).await?,
        };
        Ok(object.data().clone())
    }
}

fn standing(objects: &Objects, id: &ObjectId, verify: bool) -> Result<Standing, BackupError> {
    if verify {
        return Ok(match objects.read(id)? {
            Ok(object) => Standing::Whole(object.size_bytes()),
            Err(Unsound::Missing) => Standing::Missing,
            Err(Unsound::Damaged(_)) => Standing::Damaged,
        });
    }
    // A file has its name since it was whole; one of another length was not changed by us.
    let possible = CHUNK_HEAD_BYTES as u64..=limits::OBJECT_BYTES_WHOLE_MAX as u64;
    Ok(match objects.len(id)? {
        Some(bytes) if possible.contains(&bytes) => Standing::Whole(bytes),
        Some(_) => Standing::Damaged,
        None => Standing::Missing,
    })
}

#[async_trait]
impl ChunkStore for Files {
    async fn put(&self, chunk: Object) -> Result<(), RepositoryError> {
        let refused = format!("chunk {} comes from the cluster, and not to it", chunk.id());
        Err(RepositoryError::Refused(refused))
    }

    async fn get(&self, id: ObjectId) -> Result<Bytes, RepositoryError> {
        self.read(id).await.map_err(|error| {
            let words = error.to_string();
            let mut cause = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
            cause.get_or_insert(error);
            RepositoryError::Unavailable(words)
        })
    }
}
