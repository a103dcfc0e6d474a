//! Object access: the objects of a repository's packs.
//!
//! An object is where the earliest pack has it. So whatever a delta builds on is looked for in its
//! own pack or an earlier one, and following bases ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum_core::limits;
use gitstratum_core::object::{HashAlgorithm, Kind, ObjectHead, ObjectId};

use super::numbers::Transferred;
use super::stored::{PackOpener, StoredPack};
use crate::cache::{Cache, Weighed};
use crate::chunk::ChunkReader;
use crate::names::Packs;
use crate::pack::PackError;
use crate::pack::index::Indexed;
use crate::pack::meta::{MetaCommit, MetaObject, PackMeta};
use crate::pack::read::Assembly;
use crate::service::RepositoryError;
use crate::walk::{CommitNode, Objects};

/// Bytes of objects that one answer to a walk has at most, but for the first.
const READ_BYTES_AT_ONCE: usize = 4 << 20;

/// What a gateway reads packs with, and what it keeps of them.
pub(super) struct Reading {
    pub(super) chunks: Arc<ChunkReader>,
    pub(super) packs: PackOpener,
    pub(super) decoded: Cache<Place, Decoded>,
    pub(super) transferred: Transferred,
}

/// An entry: which pack, and where it begins.
pub(super) type Place = (gitstratum_catalog::ids::PackId, u64);

/// An object that was read.
#[derive(Clone)]
pub(super) struct Decoded {
    kind: Kind,
    data: Bytes,
}

impl Weighed for Decoded {
    fn bytes(&self) -> usize {
        self.data.bytes() + size_of::<Place>()
    }
}

/// The objects of a repository, as its packs were at one moment.
pub(super) struct RepositoryObjects {
    pub(super) algorithm: HashAlgorithm,
    pub(super) generation: u64,
    pub(super) packs: Vec<Arc<StoredPack>>,
    pub(super) reading: Arc<Reading>,
}

/// Where an object is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Located {
    /// Which of the packs.
    pub(super) pack: usize,
    /// Its position there.
    pub(super) position: u32,
}

impl RepositoryObjects {
    /// Opens all packs.
    pub(super) async fn open(
        algorithm: HashAlgorithm,
        packs: Packs,
        reading: &Arc<Reading>,
    ) -> Result<Self, RepositoryError> {
        let mut opened = Vec::with_capacity(packs.packs.len());
        for pack in &packs.packs {
            opened.push(reading.packs.open(pack).await?);
        }
        let (generation, reading) = (packs.generation, reading.clone());
        Ok(RepositoryObjects { algorithm, generation, packs: opened, reading })
    }

    /// Where an object is; nothing where the repository does not have it.
    pub(super) fn locate(&self, id: &ObjectId) -> Option<Located> {
        let mut packs = self.packs.iter().enumerate();
        packs.find_map(|(at, pack)| Some(Located { pack: at, position: pack.meta.find(id)? }))
    }

    /// What is known of a located object.
    pub(super) fn known(&self, located: &Located) -> MetaObject {
        self.packs[located.pack].meta.object(located.position)
    }

    /// The generation numbers of commits that a new pack's build on, as far as they are known.
    pub(super) fn generations_of(&self, indexed: &Indexed) -> BTreeMap<ObjectId, u32> {
        let parents = indexed.missing.iter().filter(|(_, kind)| **kind == Kind::Commit);
        let known = parents.filter_map(|(id, _)| Some((*id, self.commit(id)?.1.generation())));
        known.filter(|(_, generation)| *generation > 0).collect()
    }

    /// A commit, with the index that it is in.
    fn commit(&self, id: &ObjectId) -> Option<(&PackMeta, MetaCommit<'_>)> {
        let Located { pack, position } = self.locate(id)?;
        let meta = &self.packs[pack].meta;
        Some((meta, meta.commit(position)?))
    }

    /// Bytes of a located object's entry.
    pub(super) async fn entry_bytes(
        &self,
        pack: usize,
        object: &MetaObject,
        range: std::ops::Range<u64>,
    ) -> Result<Bytes, RepositoryError> {
        let range = object.offset + range.start..object.offset + range.end;
        self.packs[pack].read(&self.reading.chunks, range).await
    }

    /// An object's kind and data; nothing where the repository does not have it.
    pub(super) async fn object(
        &self,
        id: &ObjectId,
    ) -> Result<Option<(Kind, Bytes)>, RepositoryError> {
        match self.locate(id) {
            Some(located) => self.read(located).await.map(Some),
            None => Ok(None),
        }
    }

    /// The object of an entry, whatever it builds on.
    pub(super) async fn read(&self, located: Located) -> Result<(Kind, Bytes), RepositoryError> {
        let Located { pack: at, position } = located;
        let pack = &self.packs[at];
        let wanted = pack.meta.object(position);
        if wanted.size > limits::DELTA_OBJECT_BYTES_MAX {
            let (size, max) = (wanted.size, limits::DELTA_OBJECT_BYTES_MAX);
            return Err(RepositoryError::Refused(format!(
                "an object of {size} bytes is not read whole: {max} is the limit"
            )));
        }
        // From the object down to what is whole, or at hand.
        let (mut chain, mut next, mut made) = (Vec::new(), Some(position), None);
        while let Some(position) = next {
            let entry = pack.meta.object(position);
            made = self.reading.decoded.get(&(pack.id, entry.offset));
            if made.is_some() {
                break;
            }
            next = entry.base;
            chain.push(entry);
        }
        for entry in chain.into_iter().rev() {
            let bytes = self.entry_bytes(at, &entry, 0..entry.packed_len).await?;
            let decoded = self.decode(made, &entry, &bytes);
            let decoded = decoded.map_err(|error| self.damaged(at, &entry, &error.to_string()))?;
            self.reading.decoded.insert((pack.id, entry.offset), decoded.clone());
            made = Some(decoded);
        }
        match made {
            Some(Decoded { kind, data })
                if kind == wanted.kind && data.len() as u64 == wanted.size =>
            {
                Ok((kind, data))
            }
            _ => Err(self.damaged(at, &wanted, "it is not what the pack's index says")),
        }
    }

    /// The object of an entry that builds on this one, or on none.
    fn decode(
        &self,
        base: Option<Decoded>,
        entry: &MetaObject,
        bytes: &[u8],
    ) -> Result<Decoded, PackError> {
        let (algorithm, max) = (self.algorithm, limits::DELTA_OBJECT_BYTES_MAX);
        let mut assembly = match base {
            Some(Decoded { kind, data }) => Assembly::from_base(algorithm, max, kind, data),
            None => Assembly::new(algorithm, max),
        };
        assembly.add(entry.offset, bytes)?;
        let made = assembly.finish().ok_or(PackError::BodyChanged { offset: entry.offset })?;
        Ok(Decoded { kind: made.0, data: made.1 })
    }

    pub(super) fn damaged(
        &self,
        pack: usize,
        entry: &MetaObject,
        problem: &str,
    ) -> RepositoryError {
        let pack = self.packs[pack].id;
        RepositoryError::Damaged(format!(
            "object {} at offset {} of pack {pack}: {problem}",
            entry.id, entry.offset
        ))
    }
}

#[async_trait]
impl Objects for RepositoryObjects {
    fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    async fn heads(&self, ids: &[ObjectId]) -> Result<Vec<Option<ObjectHead>>, RepositoryError> {
        let head = |id: &ObjectId| {
            let MetaObject { kind, size, .. } = self.known(&self.locate(id)?);
            Some(ObjectHead { id: *id, kind, size_bytes: size })
        };
        Ok(ids.iter().map(head).collect())
    }

    async fn commits(&self, ids: &[ObjectId]) -> Result<Vec<Option<CommitNode>>, RepositoryError> {
        let node = |id: &ObjectId| {
            let (meta, commit) = self.commit(id)?;
            Some(commit_node(meta, &commit))
        };
        Ok(ids.iter().map(node).collect())
    }

    async fn read(&self, ids: &[ObjectId]) -> Result<Vec<Option<(Kind, Bytes)>>, RepositoryError> {
        let (mut answers, mut bytes) = (Vec::with_capacity(ids.len()), 0);
        for id in ids {
            let object = self.object(id).await?;
            bytes += object.as_ref().map_or(0, |(_, data)| data.len());
            answers.push(object);
            if bytes >= READ_BYTES_AT_ONCE {
                break;
            }
        }
        Ok(answers)
    }
}

fn commit_node(meta: &PackMeta, commit: &MetaCommit<'_>) -> CommitNode {
    CommitNode {
        tree: meta.id_of(commit.tree()),
        parents: commit.parents().map(|parent| meta.id_of(parent)).collect(),
        committed_at: commit.committed_at(),
        generation: Some(commit.generation()).filter(|generation| *generation > 0),
    }
}
