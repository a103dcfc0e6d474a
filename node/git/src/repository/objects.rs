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

use super::stored::{PackOpener, StoredPack};
use crate::cache::{Cache, Weighed};
use crate::chunk::ChunkReader;
use crate::names::Packs;
use crate::pack::delta;
use crate::pack::entry::{EntryHeader, EntryKind};
use crate::pack::index::Indexed;
use crate::pack::inflate::Inflater;
use crate::pack::meta::{MetaCommit, MetaObject, PackMeta};
use crate::service::RepositoryError;
use crate::walk::{CommitNode, Objects};

/// Bytes of objects that one answer to a walk has at most, but for the first.
const READ_BYTES_AT_ONCE: usize = 4 << 20;

/// What a gateway reads packs with, and what it keeps of them.
pub(super) struct Reading {
    pub(super) chunks: Arc<ChunkReader>,
    pub(super) packs: PackOpener,
    pub(super) decoded: Cache<Place, Decoded>,
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
    algorithm: HashAlgorithm,
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
        let known = parents.filter_map(|(id, _)| Some((*id, self.commit(id)?.generation())));
        known.filter(|(_, generation)| *generation > 0).collect()
    }

    fn commit(&self, id: &ObjectId) -> Option<MetaCommit<'_>> {
        self.packs.iter().find_map(|pack| pack.meta.commit(pack.meta.find(id)?))
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
        let place = |entry: &MetaObject| (pack.id, entry.offset);
        // Deltas from the object down to what is whole, or at hand.
        let mut deltas: Vec<(MetaObject, Bytes)> = Vec::new();
        let entry = pack.meta.object(position);
        let mut next = entry;
        let mut base = loop {
            if let Some(decoded) = self.reading.decoded.get(&place(&next)) {
                break decoded;
            }
            let (header, data) = self.inflate(at, &next).await?;
            match (header.kind, next.base) {
                (EntryKind::Whole(kind), _) => break Decoded { kind, data },
                (_, Some(position)) => {
                    deltas.push((next, data));
                    next = pack.meta.object(position);
                }
                (_, None) => return Err(self.damaged(at, &next, "its base is not known")),
            }
        };
        self.reading.decoded.insert(place(&next), base.clone());
        for (entry, delta) in deltas.into_iter().rev() {
            let data = delta::apply(&base.data, &delta, limits::DELTA_OBJECT_BYTES_MAX);
            let data = data.map_err(|error| self.damaged(at, &entry, &error.to_string()))?;
            base = Decoded { kind: base.kind, data: data.into() };
            self.reading.decoded.insert(place(&entry), base.clone());
        }
        if base.kind != entry.kind || base.data.len() as u64 != entry.size {
            return Err(self.damaged(at, &entry, "it is not what the pack's meta says"));
        }
        Ok((base.kind, base.data))
    }

    /// An entry's header, and its data inflated: an object, or a delta.
    async fn inflate(
        &self,
        pack: usize,
        entry: &MetaObject,
    ) -> Result<(EntryHeader, Bytes), RepositoryError> {
        let bytes = self.entry_bytes(pack, entry, 0..entry.packed_len).await?;
        let damaged = |problem: String| self.damaged(pack, entry, &problem);
        let header = EntryHeader::parse(self.algorithm, entry.offset, &bytes);
        let header = header.map_err(|error| damaged(error.to_string()))?;
        let header = header.ok_or_else(|| damaged("its header is cut".to_owned()))?;
        if header.size > limits::DELTA_OBJECT_BYTES_MAX {
            let max = limits::DELTA_OBJECT_BYTES_MAX;
            return Err(RepositoryError::Refused(format!(
                "an object of {} bytes is not read whole: {max} is the limit",
                header.size
            )));
        }
        let mut data = Vec::with_capacity(header.size as usize);
        let inflated = Inflater::new().hold(&bytes[header.len..], &mut data, header.size);
        match inflated {
            Ok(inflated) if inflated.finished && data.len() as u64 == header.size => {
                Ok((header, data.into()))
            }
            Ok(_) => Err(damaged("its data is cut".to_owned())),
            Err(error) => Err(damaged(format!("{error:?}"))),
        }
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
            let found = self.packs.iter().find_map(|pack| Some((pack, pack.meta.find(id)?)));
            let (pack, position) = found?;
            Some(commit_node(&pack.meta, &pack.meta.commit(position)?))
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
