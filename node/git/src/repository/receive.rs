//! Receiving a push: its pack, the proof that it is complete, and one command of the catalog.
//!
//! The order is what makes it safe: chunks of the body are on W replicas, then what is known of the
//! pack is, then the catalog's command names both. Nothing ever refers to what is not durable.

use std::collections::{BTreeMap, BTreeSet};

use gitstratum_catalog::entity::Pack;
use gitstratum_catalog::ids::PackId;
use gitstratum_core::limits;
use gitstratum_core::object::{Kind, ObjectId};
use tracing::instrument;

use super::intake::{Intake, IntakeError};
use super::objects::RepositoryObjects;
use super::opened::OpenedRepository;
use super::seal::seal;
use super::update::{
    Planned, Tip, Updated, Wanted, first_head, makes_branch, new_values, plan, update,
};
use crate::fsck::{Finding, check_special_blob};
use crate::object::Tag;
use crate::pack::index::Indexed;
use crate::service::{PackBody, ProgressSink, PushOutcome, PushRequest, RepositoryError};
use crate::walk::Objects;

/// How often a push is proved complete anew because objects were dropped meanwhile.
const ATTEMPTS_MAX: usize = 3;

/// A pack that was taken in and is durable, with what is known of its objects.
struct Brought {
    indexed: Indexed,
    pack: Pack,
}

/// Takes a push.
pub(super) async fn receive(
    repository: &OpenedRepository,
    request: PushRequest,
    body: Option<PackBody>,
    progress: &mut dyn ProgressSink,
) -> Result<PushOutcome, RepositoryError> {
    let brought = match body {
        None => None,
        Some(body) => match take(repository, body, progress).await {
            Ok(brought) => brought,
            Err(IntakeError::Repository(error)) => return Err(error),
            Err(IntakeError::Body(error)) => {
                tracing::info!(%error, "a push ended before its pack did");
                return Err(RepositoryError::Gone);
            }
            Err(error) => return Ok(refused(&request, Err(error.to_string()), "unpacker error")),
        },
    };
    for _ in 0..ATTEMPTS_MAX {
        let objects = repository.objects().await?;
        if let Some(Brought { indexed, .. }) = &brought
            && let Some(reason) = incomplete(repository, indexed, &objects, &request).await?
        {
            return Ok(refused(&request, Ok(()), &reason));
        }
        let planned = plan_all(repository, &request, brought.as_ref(), &objects).await?;
        let packs: Vec<Pack> = brought.iter().map(|brought| brought.pack.clone()).collect();
        let wanted = Wanted {
            who: &repository.who,
            repository: repository.id,
            generation: objects.generation,
            atomic: request.atomic,
            packs: &packs,
            message: "push",
        };
        match update(&*repository.gateway.names, &wanted, planned).await? {
            Updated::Decided(mut verdicts) => {
                // Of HEAD nobody asked.
                verdicts.truncate(request.commands.len());
                return Ok(PushOutcome { unpacked: Ok(()), verdicts });
            }
            Updated::Outdated => {}
        }
    }
    Err(RepositoryError::Unavailable(
        "objects were dropped from the repository again and again meanwhile: try again".to_owned(),
    ))
}

/// Takes the pack in and makes it durable; nothing where it has no objects.
#[instrument(name = "take_pack", level = "debug", skip_all)]
async fn take(
    repository: &OpenedRepository,
    body: PackBody,
    progress: &mut dyn ProgressSink,
) -> Result<Option<Brought>, IntakeError> {
    let pack = PackId(repository.gateway.draw_pack_id());
    let intake = Intake {
        chunks: &repository.gateway.reading.chunks,
        repository: repository.id,
        pack,
        algorithm: repository.described.object_format,
        policy: &repository.gateway.options.fsck,
        bytes_max: repository.described.limits.push_bytes_max,
    };
    let objects = repository.objects().await?;
    let taken = intake.take(body, &objects, progress).await?;
    let count = taken.indexed.objects.len() as u64;
    repository.gateway.reading.transferred.received.inc_by(count);
    report(&taken.indexed, progress).await;
    if taken.indexed.objects.is_empty() {
        return Ok(None);
    }
    let (indexed, pack) = seal(&intake, taken, &objects).await?;
    Ok(Some(Brought { indexed, pack }))
}

/// Tells what fsck let pass.
async fn report(indexed: &Indexed, progress: &mut dyn ProgressSink) {
    for warning in &indexed.warnings {
        progress.progress(&format!("{warning}\n")).await;
    }
    let more = indexed.warnings_count.saturating_sub(indexed.warnings.len() as u64);
    if more > 0 {
        progress.progress(&format!("and {more} more warnings\n")).await;
    }
}

/// Why a pack is not complete; nothing where all that its objects name is there.
///
/// Whatever the repository has is complete already, since each of its packs was proved to be when
/// it came: so it is enough that what the new objects name directly is there.
#[instrument(name = "check_connectivity", level = "debug", skip_all)]
async fn incomplete(
    repository: &OpenedRepository,
    indexed: &Indexed,
    objects: &RepositoryObjects,
    request: &PushRequest,
) -> Result<Option<String>, RepositoryError> {
    let missing: Vec<(ObjectId, Kind)> =
        indexed.missing.iter().map(|(id, kind)| (*id, *kind)).collect();
    for batch in missing.chunks(limits::BATCH_OBJECTS_MAX) {
        let ids: Vec<ObjectId> = batch.iter().map(|(id, _)| *id).collect();
        for (head, (id, kind)) in objects.heads(&ids).await?.into_iter().zip(batch) {
            match head {
                Some(head) if head.kind == *kind => {}
                Some(head) => {
                    return Ok(Some(format!(
                        "object {id} is a {}, and named as a {kind}",
                        head.kind
                    )));
                }
                None if !request.client_shallow.is_empty() => {
                    return Ok(Some("shallow update not allowed".to_owned()));
                }
                None => return Ok(Some(format!("missing necessary objects: {kind} {id}"))),
            }
        }
    }
    for (id, names) in &indexed.unchecked {
        let Some((_, data)) = objects.object(id).await? else { continue };
        let mut found = Vec::new();
        check_special_blob(&repository.gateway.options.fsck, *names, *id, Some(&data), &mut found);
        if let Some(error) = found.iter().find(|finding: &&Finding| finding.is_error()) {
            return Ok(Some(error.to_string()));
        }
    }
    Ok(None)
}

/// Looks at each command by itself; what becomes of `HEAD` comes last.
async fn plan_all(
    repository: &OpenedRepository,
    request: &PushRequest,
    brought: Option<&Brought>,
    objects: &RepositoryObjects,
) -> Result<Vec<Planned>, RepositoryError> {
    let mut commands = request.commands.iter();
    let refs = match commands.any(|command| command.new.is_none() || makes_branch(command)) {
        true => Some(repository.gateway.names.refs(repository.id).await?),
        false => None,
    };
    let tips = tips(&new_values(&request.commands), brought, objects).await?;
    let planned = request.commands.iter().map(|command| {
        let tip = command.new.and_then(|id| tips.get(&id).copied());
        plan(command, tip, refs.as_ref())
    });
    let head = refs.as_ref().and_then(|refs| first_head(&request.commands, refs));
    Ok(planned.chain(head.map(Ok)).collect())
}

/// What new values of refs are, as far as they are there.
async fn tips(
    values: &BTreeSet<ObjectId>,
    brought: Option<&Brought>,
    objects: &RepositoryObjects,
) -> Result<BTreeMap<ObjectId, Tip>, RepositoryError> {
    let mut kinds: BTreeMap<ObjectId, Kind> = BTreeMap::new();
    let mut targets: BTreeMap<ObjectId, (ObjectId, Kind)> = BTreeMap::new();
    if let Some(Brought { indexed, .. }) = brought {
        let new = indexed.objects.iter().filter(|object| values.contains(&object.id));
        kinds.extend(new.map(|object| (object.id, object.kind)));
        let id_of = |position: u32| indexed.objects[position as usize].id;
        targets
            .extend(indexed.tags().map(|tag| (id_of(tag.position), (tag.target, tag.target_kind))));
    }
    let known: Vec<ObjectId> =
        values.iter().filter(|id| !kinds.contains_key(id)).copied().collect();
    for batch in known.chunks(limits::BATCH_OBJECTS_MAX) {
        let heads = objects.heads(batch).await?.into_iter().flatten();
        kinds.extend(heads.map(|head| (head.id, head.kind)));
    }
    let mut tips = BTreeMap::new();
    for (id, kind) in kinds {
        let peeled = match kind {
            Kind::Tag => peel(id, &targets, objects).await?,
            _ => None,
        };
        tips.insert(id, Tip { kind, peeled });
    }
    Ok(tips)
}

/// What a tag comes to, however many tags stand between.
async fn peel(
    tag: ObjectId,
    targets: &BTreeMap<ObjectId, (ObjectId, Kind)>,
    objects: &RepositoryObjects,
) -> Result<Option<ObjectId>, RepositoryError> {
    let (mut id, mut kind) = (tag, Kind::Tag);
    while kind == Kind::Tag {
        (id, kind) = match targets.get(&id) {
            Some(target) => *target,
            None => {
                let Some((Kind::Tag, data)) = objects.object(&id).await? else { return Ok(None) };
                let tag = Tag::parse(objects.algorithm(), &data);
                let tag =
                    tag.map_err(|error| RepositoryError::Damaged(format!("{id}: {error}")))?;
                (tag.target, tag.target_kind)
            }
        };
    }
    Ok(Some(id))
}

/// Nothing was done, deletions included, for one reason that all commands are told.
fn refused(request: &PushRequest, unpacked: Result<(), String>, reason: &str) -> PushOutcome {
    let verdicts = request.commands.iter().map(|_| Err(reason.to_owned())).collect();
    PushOutcome { unpacked, verdicts }
}
