//! Puts and gets of the service: objects in messages, in batches and in parts, checked and bounded.

use std::sync::Arc;

use futures_util::{Stream, StreamExt, stream};
use gitstratum_core::limits;
use gitstratum_core::object::{Object, ObjectId};
use gitstratum_core::replica::{LargeReader, LargeWriter};
use gitstratum_proto::v1;
use gitstratum_store::Store;
use tonic::{Response, Status, Streaming};

use super::{Answer, AnswerStream};
use crate::wire::codec::{self, Malformed};
use crate::wire::status::status_of;

pub(super) fn checked(object: Option<v1::Object>) -> Result<Object, Status> {
    let object = object.ok_or_else(|| Malformed("a put without an object".into()))?;
    let object = codec::object_from_wire(object)?;
    let (size, limit) = (object.data().len(), limits::OBJECT_BYTES_WHOLE_MAX);
    if size > limit {
        return Err(Status::invalid_argument(format!(
            "object of {size} bytes is over the limit of {limit} for one message: use PutLarge"
        )));
    }
    Ok(object)
}

pub(super) fn within_batch(objects: usize) -> Result<(), Status> {
    let limit = limits::BATCH_OBJECTS_MAX;
    if objects > limit {
        return Err(Status::invalid_argument(format!("{objects} in one batch, {limit} allowed")));
    }
    Ok(())
}

pub(super) async fn put_batch(
    store: Arc<dyn Store>,
    batch: Result<v1::PutBatchRequest, Status>,
    admit: impl AsyncFnOnce(&[ObjectId]) -> Result<(), Status>,
) -> Result<v1::PutBatchResponse, Status> {
    let batch = batch?;
    within_batch(batch.objects.len())?;
    let objects: Result<Vec<_>, _> =
        batch.objects.into_iter().map(|object| checked(Some(object))).collect();
    let objects = objects?;
    let ids: Vec<_> = objects.iter().map(Object::id).collect();
    admit(&ids).await?;
    let outcomes = store.put(objects).await;
    let outcomes = outcomes.into_iter().map(codec::put_outcome_to_wire).collect();
    Ok(v1::PutBatchResponse { outcomes })
}

/// The answers to one batch of ids, in as many messages as their bytes need.
pub(super) fn get_batch(
    store: Arc<dyn Store>,
    batch: Result<v1::GetBatchRequest, Status>,
) -> impl Stream<Item = Result<v1::GetBatchResponse, Status>> {
    let ids = batch.and_then(|batch| {
        within_batch(batch.ids.len())?;
        Ok(codec::ids_from_wire(&batch.ids)?)
    });
    let (ids, refused) = match ids {
        Ok(ids) => (ids, None),
        Err(status) => (Vec::new(), Some(Err(status))),
    };
    let answers = stream::unfold(ids.into_iter(), move |mut ids| {
        let store = store.clone();
        async move {
            let response = next_answers(&*store, &mut ids).await;
            (!response.outcomes.is_empty()).then_some((Ok(response), ids))
        }
    });
    stream::iter(refused).chain(answers)
}

async fn next_answers(
    store: &dyn Store,
    ids: &mut std::vec::IntoIter<ObjectId>,
) -> v1::GetBatchResponse {
    let mut outcomes = Vec::new();
    let mut bytes = 0;
    while bytes < limits::BATCH_BYTES_MAX {
        let Some(id) = ids.next() else { break };
        let outcome = codec::get_outcome_to_wire(store.get(id).await);
        if let Some(v1::get_outcome::Outcome::Object(object)) = &outcome.outcome {
            bytes += object.data.len();
        }
        outcomes.push(outcome);
    }
    v1::GetBatchResponse { outcomes }
}

pub(super) async fn receive_large(
    mut writer: Box<dyn LargeWriter>,
    mut parts: Streaming<v1::PutLargeRequest>,
) -> Answer<v1::PutResponse> {
    let late = |_| Status::deadline_exceeded("no part of the large object came for too long");
    loop {
        let next = tokio::time::timeout(limits::LARGE_PART_TIMEOUT, parts.message());
        let Some(message) = next.await.map_err(late)?? else { break };
        let Some(v1::put_large_request::Part::Data(part)) = message.part else {
            return Err(Malformed("after the head of a large object comes its data".into()).into());
        };
        writer.write(part).await.map_err(|error| status_of(&error))?;
    }
    let stored = writer.finish().await.map_err(|error| status_of(&error))?;
    Ok(Response::new(v1::PutResponse { stored: Some(codec::stored_to_wire(stored)) }))
}

pub(super) fn send_large(reader: Box<dyn LargeReader>) -> AnswerStream<v1::GetLargeResponse> {
    let head = v1::get_large_response::Part::Head(codec::head_to_wire(reader.head()));
    let parts = stream::unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        match reader.next().await {
            Ok(None) => None,
            Ok(Some(part)) => Some((Ok(v1::get_large_response::Part::Data(part)), Some(reader))),
            Err(error) => Some((Err(status_of(&error)), None)),
        }
    });
    let messages = stream::iter([Ok(head)]).chain(parts);
    Box::pin(messages.map(|part| Ok(v1::GetLargeResponse { part: Some(part?) })))
}
