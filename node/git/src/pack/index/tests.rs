//! Tests of the indexer.

use std::collections::BTreeMap;

use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};

use super::{IndexLimits, Indexed, IndexedCommit, IndexedObject, Indexer, Step};
use crate::fsck::{Finding, Policy};
use crate::pack::PackError;
use crate::pack::scan::Splitter;

pub(in crate::pack) use against_git::{history, objects};

mod against_git;
mod crafted;
mod damage;

/// What a repository has: bases for thin packs.
pub(in crate::pack) type Objects = BTreeMap<ObjectId, (Kind, Bytes)>;

/// What of an index can be compared.
pub(in crate::pack) type IndexedResult = Result<
    (Vec<IndexedObject>, Vec<IndexedCommit>, BTreeMap<ObjectId, Kind>, Vec<Finding>),
    PackError,
>;

/// An index with the body that it is of.
pub(in crate::pack) struct Outcome {
    pub(in crate::pack) indexed: Indexed,
    pub(in crate::pack) body: Vec<u8>,
}

/// How a pack is fed.
#[derive(Clone, Copy)]
pub(in crate::pack) struct Feed {
    pub(in crate::pack) part: usize,
    pub(in crate::pack) limits: IndexLimits,
    /// Bytes that are brought when some are asked for, at most.
    pub(in crate::pack) read: usize,
}

impl Default for Feed {
    fn default() -> Self {
        Feed { part: 64 << 10, limits: IndexLimits::default(), read: usize::MAX }
    }
}

/// Indexes a pack as a server does.
pub(in crate::pack) fn index(
    algorithm: HashAlgorithm,
    pack: &[u8],
    repository: &Objects,
    feed: Feed,
) -> Result<Outcome, PackError> {
    let mut splitter = Splitter::new(algorithm);
    let mut indexer = None;
    let mut body = Vec::new();
    for part in pack.chunks(feed.part) {
        for piece in splitter.feed(Bytes::copy_from_slice(part))? {
            let header = splitter.header().unwrap();
            if indexer.is_none() {
                let policy = Policy::default();
                indexer = Some(Indexer::new(algorithm, header.objects, policy, feed.limits)?);
            }
            indexer.as_mut().unwrap().feed(&piece)?;
            body.extend_from_slice(&piece);
        }
    }
    let scanned = splitter.finish()?;
    let mut indexer = match indexer {
        Some(indexer) => indexer,
        None => Indexer::new(algorithm, scanned.header.objects, Policy::default(), feed.limits)?,
    };
    assert_eq!(scanned.body_bytes, body.len() as u64);
    indexer.finish_input()?;
    resolve(&mut indexer, &mut body, repository, feed.read)?;
    Ok(Outcome { indexed: indexer.finish(), body })
}

pub(in crate::pack) fn resolve(
    indexer: &mut Indexer,
    body: &mut Vec<u8>,
    repository: &Objects,
    read: usize,
) -> Result<(), PackError> {
    loop {
        match indexer.step()? {
            Step::Again => {}
            Step::Done => return Ok(()),
            Step::Read { offset, len } => {
                let begin = offset as usize;
                assert!(len > 0 && begin + len <= body.len());
                let bytes = &body[begin..begin + len.min(read)];
                indexer.provide_body(offset, Bytes::copy_from_slice(bytes));
            }
            Step::Bases(ids) => {
                for id in ids {
                    let base = repository.get(&id).cloned();
                    indexer.provide_base(id, base)?;
                }
            }
            Step::Append(bytes) => body.extend_from_slice(&bytes),
        }
    }
}
