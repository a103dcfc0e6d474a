//! Puts: what is new of a batch is verified, encoded, and given to the committer.

use std::sync::Arc;

use gitstratum_core::limits;
use gitstratum_core::object::Object;
use gitstratum_core::replica::{StoreError, Stored};
use tracing::instrument;

use crate::codec::encode::EncodedRecord;
use crate::read::lookup::which_held;
use crate::state::shared::Shared;

/// Stores objects; one result each, in order.
#[instrument(name = "store_put", level = "debug", skip_all, fields(objects = objects.len()))]
pub(crate) async fn put(
    shared: &Arc<Shared>,
    objects: Vec<Object>,
) -> Vec<Result<Stored, StoreError>> {
    shared.counters.puts.inc_by(objects.len() as u64);
    let ids: Vec<_> = objects.iter().map(Object::id).collect();
    let seen = shared.view().seen();
    let held = which_held(shared, &ids).await;
    let bytes: usize = objects.iter().map(|object| object.data().len()).sum();
    let turn = shared.codecs.turn_to_prepare(bytes).await;
    let mut answers = Vec::with_capacity(objects.len());
    let mut to_write = Vec::with_capacity(objects.len());
    let mut packer = shared.codecs.packer();
    let mut worked = 0;
    for (object, held) in objects.into_iter().zip(held) {
        worked += object.data().len();
        if worked >= limits::PREPARED_BYTES_BEFORE_YIELD {
            worked = 0;
            tokio::task::yield_now().await;
        }
        // Even when it is there: a put of other bytes under a known id is an error.
        let admitted = admit(object).and_then(|object| Ok((object, held?)));
        answers.push(match admitted {
            Err(error) => Some(Err(error)),
            Ok((object, true)) => {
                let (bytes, durability) = (object.size_bytes(), shared.options.durability());
                Some(Ok(Stored { bytes, durability, already_present: true }))
            }
            Ok((object, false)) => {
                to_write.push(EncodedRecord::of_object(object, packer.as_deref_mut()));
                None
            }
        });
    }
    drop(packer);
    drop(turn);
    let mut written = match to_write.is_empty() {
        true => Vec::new(),
        false => shared.queue.write(to_write, seen).await,
    }
    .into_iter();
    let all = answers.into_iter();
    all.map(|answer| {
        answer.unwrap_or_else(|| written.next().expect("one answer for each object written"))
    })
    .collect()
}

/// An object of a put that can be stored: small enough, and what its id stands for.
fn admit(object: Object) -> Result<Object, StoreError> {
    let (size_bytes, limit_bytes) = (object.size_bytes(), limits::OBJECT_BYTES_WHOLE_MAX as u64);
    if size_bytes > limit_bytes {
        return Err(StoreError::TooLarge { size_bytes, limit_bytes });
    }
    Ok(object.verified()?)
}
