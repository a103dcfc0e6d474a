//! Sealing of a pack: the rest of its body and what is known of it become durable, in this order;
//! only then is there a descriptor that somebody can name.

use gitstratum_catalog::entity::Pack;
use gitstratum_core::object::{Object, ObjectId};
use gitstratum_host::compute;
use tracing::instrument;

use super::descriptor::{Descriptor, Shape};
use super::intake::{Intake, IntakeError, Taken};
use super::objects::RepositoryObjects;
use crate::chunk::{CHUNK_DATA_BYTES_MAX, ChunkHead, Part};
use crate::pack::index::Indexed;
use crate::pack::meta::{MetaBuilder, MetaError};
use crate::service::RepositoryError;

/// Makes a pack durable; gives what was found in it, and its descriptor.
#[instrument(name = "seal_pack", level = "debug", skip_all)]
pub(super) async fn seal(
    intake: &Intake<'_>,
    taken: Taken,
    objects: &RepositoryObjects,
) -> Result<(Indexed, Pack), IntakeError> {
    let Taken { indexed, mut stored, rest } = taken;
    let generations = objects.generations_of(&indexed);
    let (indexed, built) = compute(move || {
        let built = MetaBuilder::of_indexed(&indexed, |id| generations.get(id).copied());
        (indexed, built)
    })
    .await;
    let Intake { repository, pack: id, chunks, .. } = *intake;
    let head = |part| ChunkHead { repository, pack: id, part, number: 0 };
    let (bytes, count) = (indexed.body_bytes, indexed.objects.len() as u64);
    let pack = |chunks: usize, shape, meta_bytes: usize, root| {
        let descriptor = Descriptor { shape, repository, meta_bytes: meta_bytes as u64, root };
        let (chunks, source) = (chunks as u32, descriptor.encode());
        Pack { id, bytes, objects: count, chunks, source }
    };
    if stored.is_empty() {
        let meta = built.encode().map_err(too_large)?;
        if meta.len() + rest.waiting().len() <= CHUNK_DATA_BYTES_MAX {
            let whole = head(Part::Whole).chunk(&[&meta, rest.waiting()].concat());
            let root = whole.id();
            chunks.put(whole).await?;
            return Ok((indexed, pack(1, Shape::Whole, meta.len(), root)));
        }
    }
    if let Some(last) = rest.finish() {
        stored.push(last.id());
        chunks.put(last).await?;
    }
    let ids: Vec<[u8; 32]> = stored.iter().map(raw).collect();
    let meta = compute(move || {
        let mut built = built;
        built.chunks(CHUNK_DATA_BYTES_MAX as u32, ids);
        built.encode()
    })
    .await
    .map_err(too_large)?;
    let parts = cut(head(Part::Meta), &meta);
    let part_ids: Vec<ObjectId> = parts.iter().map(Object::id).collect();
    for part in parts {
        chunks.put(part).await?;
    }
    let (shape, root) = match part_ids[..] {
        [root] => (Shape::Meta, root),
        _ => {
            let list: Vec<u8> = part_ids.iter().flat_map(raw).collect();
            if list.len() > CHUNK_DATA_BYTES_MAX {
                return Err(too_large(MetaError::TooLarge("as many objects as the pack has")));
            }
            let list = head(Part::MetaList).chunk(&list);
            let root = list.id();
            chunks.put(list).await?;
            (Shape::MetaList, root)
        }
    };
    Ok((indexed, pack(stored.len(), shape, meta.len(), root)))
}

/// All of these bytes as chunks.
fn cut(head: ChunkHead, bytes: &[u8]) -> Vec<Object> {
    let (mut cutter, mut chunks) = (crate::chunk::Cutter::new(head), Vec::new());
    cutter.push(bytes, |chunk| chunks.push(chunk));
    chunks.extend(cutter.finish());
    chunks
}

fn raw(id: &ObjectId) -> [u8; 32] {
    id.as_bytes().try_into().expect("the id of a chunk has 32 bytes")
}

fn too_large(error: MetaError) -> IntakeError {
    IntakeError::Repository(RepositoryError::Refused(format!("{error}: push in parts")))
}
