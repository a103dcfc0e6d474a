//! Repository check: proves that all that is stored of a repository is sound.
//!
//! Of each pack: every chunk, by whoever can ask each replica for it; every object, made anew from
//! the body and hashed; everything that those objects name, looked for in all packs. What each object
//! names is there, so all that the refs reach is there as soon as what they point to is.
//!
//! Chunks are looked at before anything is read through them: a read repairs what it finds lacking,
//! and that is not to be hidden. A problem ends nothing but what cannot go on without what is wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use gitstratum_catalog::entity::Pack;
use gitstratum_core::limits;
use gitstratum_core::object::{Kind, ObjectId};
use gitstratum_host::compute;

use super::WholeRepository;
use crate::chunk::CHUNK_DATA_BYTES_MAX;
use crate::pack::index::{IndexLimits, Indexed, Indexer, Step};
use crate::pack::meta::PackMeta;
use crate::repository::intake::step_on;
use crate::repository::stored::StoredPack;
use crate::service::RepositoryError;

/// Asks each replica of a chunk for it.
#[async_trait]
pub trait ChunkCheck: Send + Sync {
    /// What is wrong with these chunks, a line for each replica that has no sound copy of one.
    async fn check(&self, chunks: &[ObjectId]) -> Vec<String>;
}

/// Hears how a check goes.
pub trait Report: Send {
    /// Something is wrong: one line that says what, and where.
    fn problem(&mut self, line: String);

    /// So many more objects were checked, which take so many bytes of packs.
    fn checked(&mut self, objects: u64, bytes: u64);
}

/// What was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Packs.
    pub packs: u64,
    /// Chunks, each on all of its replicas.
    pub chunks: u64,
    /// Objects, each hashed anew.
    pub objects: u64,
    /// Refs.
    pub refs: u64,
    /// What was found to be wrong.
    pub problems: u64,
}

/// A check under way.
struct Check<'a> {
    repository: &'a WholeRepository,
    chunks: &'a dyn ChunkCheck,
    report: &'a mut dyn Report,
    checked: Checked,
    /// What is known of the packs that could be opened.
    metas: Vec<PackMeta>,
    /// What objects name and their own pack lacks.
    outside: BTreeMap<ObjectId, Kind>,
}

impl WholeRepository {
    /// Checks all of it.
    pub async fn check(&self, chunks: &dyn ChunkCheck, report: &mut dyn Report) -> Checked {
        let (metas, outside) = (Vec::new(), BTreeMap::new());
        let checked = Checked::default();
        let mut check = Check { repository: self, chunks, report, checked, metas, outside };
        for pack in self.packs() {
            check.pack(pack).await;
        }
        check.links();
        check.refs();
        check.checked
    }
}

impl Check<'_> {
    fn problem(&mut self, line: String) {
        self.checked.problems += 1;
        self.report.problem(line);
    }

    async fn pack(&mut self, pack: &Arc<Pack>) {
        self.checked.packs += 1;
        match self.stored(pack).await {
            Ok(stored) => {
                self.metas.push(stored.meta.clone());
                if let Err(error) = self.objects(pack, &stored).await {
                    self.problem(format!("pack {}: {error}", pack.id));
                }
            }
            Err(error) => {
                self.problem(format!("pack {} cannot be opened: {error}", pack.id));
            }
        }
    }

    /// Opens a pack, after each chunk that takes was looked at.
    async fn stored(&mut self, pack: &Arc<Pack>) -> Result<Arc<StoredPack>, RepositoryError> {
        let opener = &self.repository.gateway.reading.packs;
        let root = opener.root(pack)?;
        self.look_at(pack, &[root]).await;
        let mut meta = opener.meta_chunks(pack).await?;
        meta.retain(|chunk| *chunk != root);
        self.look_at(pack, &meta).await;
        let stored = opener.open(pack).await?;
        self.look_at(pack, stored.body_chunks()).await;
        Ok(stored)
    }

    async fn look_at(&mut self, pack: &Pack, chunks: &[ObjectId]) {
        for batch in chunks.chunks(limits::CHUNKS_CHECKED_AT_ONCE) {
            self.checked.chunks += batch.len() as u64;
            for line in self.chunks.check(batch).await {
                self.problem(format!("pack {}: {line}", pack.id));
            }
        }
    }

    /// Makes all objects of a pack anew, and compares them with what is known of it.
    async fn objects(&mut self, pack: &Pack, stored: &StoredPack) -> Result<(), RepositoryError> {
        let indexed = self.index(stored).await?;
        let mut wrong = 0;
        let found: BTreeMap<ObjectId, (Kind, u64)> =
            indexed.objects.iter().map(|object| (object.id, (object.kind, object.size))).collect();
        for object in stored.meta.objects() {
            if found.get(&object.id) == Some(&(object.kind, object.size)) {
                continue;
            }
            wrong += 1;
            if wrong <= limits::FSCK_FINDINGS_LISTED_MAX {
                let (kind, size, id) = (object.kind, object.size, object.id);
                self.problem(format!(
                    "pack {}: {kind} {id} of {size} bytes is not in its body",
                    pack.id
                ));
            }
        }
        let (count, body) = (stored.meta.len() as u64, stored.meta.body_bytes());
        if found.len() as u64 != count || pack.objects != count || pack.bytes != body {
            self.problem(format!(
                "pack {}: its body has {} objects, its index {count} in {body} bytes, and the catalog \
                 {} in {}",
                pack.id,
                found.len(),
                pack.objects,
                pack.bytes
            ));
        }
        self.checked.objects += count;
        self.report.checked(count, body);
        self.outside.extend(indexed.missing);
        Ok(())
    }

    /// Reads a body as if it came from a client.
    async fn index(&self, stored: &StoredPack) -> Result<Indexed, RepositoryError> {
        let gateway = &self.repository.gateway;
        let (chunks, policy) = (&gateway.reading.chunks, gateway.options.fsck.clone());
        let algorithm = self.repository.object_format();
        let mut indexer = Indexer::of_stored(algorithm, policy, IndexLimits::default());
        let unsound = |error: crate::pack::PackError| RepositoryError::Damaged(error.to_string());
        let (mut at, end) = (0, stored.meta.body_bytes());
        while at < end {
            let next = end.min(at + CHUNK_DATA_BYTES_MAX as u64);
            let part = stored.read(chunks, at..next).await?;
            let fed;
            (indexer, fed) = compute(move || {
                let fed = indexer.feed(&part);
                (indexer, fed)
            })
            .await;
            fed.map_err(unsound)?;
            at = next;
        }
        indexer.finish_input().map_err(unsound)?;
        loop {
            let step;
            (indexer, step) = step_on(indexer).await;
            match step.map_err(unsound)? {
                Step::Done => return Ok(compute(move || indexer.finish()).await),
                Step::Again => {}
                Step::Read { offset, len } => {
                    let range = offset..end.min(offset + len as u64);
                    indexer.provide_body(offset, stored.read(chunks, range).await?);
                }
                Step::Bases(ids) => {
                    return Err(RepositoryError::Damaged(format!(
                        "deltas build on objects that it does not have, such as {}",
                        ids[0]
                    )));
                }
                Step::Append(_) => {
                    unreachable!("bytes are appended for bases that were brought, and none was")
                }
            }
        }
    }

    fn kind_of(&self, id: &ObjectId) -> Option<Kind> {
        self.metas.iter().find_map(|meta| Some(meta.kind(meta.find(id)?)))
    }

    /// Looks for what objects name in all packs.
    fn links(&mut self) {
        let outside = std::mem::take(&mut self.outside);
        let mut wrong = 0;
        for (id, kind) in outside {
            let line = match self.kind_of(&id) {
                Some(found) if found == kind => continue,
                Some(found) => format!("object {id} is a {found}, and named as a {kind}"),
                None => format!("{kind} {id} is missing: an object names it, and no pack has it"),
            };
            wrong += 1;
            if wrong <= limits::FSCK_FINDINGS_LISTED_MAX {
                self.problem(line);
            }
        }
        if wrong > limits::FSCK_FINDINGS_LISTED_MAX {
            let more = wrong - limits::FSCK_FINDINGS_LISTED_MAX;
            self.problem(format!("and {more} more objects that are named are missing or others"));
        }
    }

    fn refs(&mut self) {
        let refs = &self.repository.refs;
        let detached = match &refs.head {
            crate::service::Head::Detached(id) => Some(("HEAD", *id)),
            crate::service::Head::Branch(_) => None,
        };
        let named = refs.refs.iter().map(|found| (found.name.as_str(), found.id));
        for (name, id) in detached.into_iter().chain(named) {
            self.checked.refs += 1;
            let is_branch = name.starts_with("refs/heads/");
            match self.kind_of(&id) {
                None => self.problem(format!("{name} points to {id}, which no pack has")),
                Some(kind) if is_branch && kind != Kind::Commit => {
                    self.problem(format!("branch {name} points to {id}, which is a {kind}"));
                }
                Some(_) => {}
            }
        }
    }
}
