//! Anti-entropy message conversion.
//!
//! The messages of a comparison between replicas ↔ the types of `repair::reconcile`.

use bytes::{Bytes, BytesMut};
use gitstratum_core::object::{HashAlgorithm, ObjectId};
use gitstratum_core::placement::Versions;
use gitstratum_core::replica::Standing;
use gitstratum_core::replica::compare::{
    Difference, Item, Key, Question, Reply, Span, Stated, What, Wrong,
};
use gitstratum_proto::v1;

use super::codec::Malformed;

impl From<Wrong> for Malformed {
    fn from(wrong: Wrong) -> Self {
        Malformed(wrong.to_string())
    }
}

/// A question of `caller`, which goes by these layouts.
pub fn question_to_wire(
    question: &Question,
    caller: &str,
    versions: &Versions,
) -> v1::CompareRequest {
    let items = question.items.iter().map(|item| {
        let numbers = |numbers: &Vec<u64>| v1::Numbers { numbers: numbers.clone() };
        let stated = match &item.stated {
            Stated::Sums(sums) => v1::compare_item::Stated::Sums(numbers(sums)),
            Stated::Tags(tags) => v1::compare_item::Stated::Tags(numbers(tags)),
        };
        v1::CompareItem { first: item.span.first, last: item.span.last, stated: Some(stated) }
    });
    v1::CompareRequest {
        caller: caller.to_owned(),
        layout_version: versions.in_force,
        unsettled: versions.unsettled.clone(),
        key_low: question.key.low,
        key_high: question.key.high,
        items: items.collect(),
        count_to: question.count_to,
    }
}

/// The question, checked.
pub fn question_from_wire(request: v1::CompareRequest) -> Result<Question, Malformed> {
    let items = request.items.into_iter().map(|item| {
        let stated = match item.stated {
            Some(v1::compare_item::Stated::Sums(sums)) => Stated::Sums(sums.numbers),
            Some(v1::compare_item::Stated::Tags(tags)) => Stated::Tags(tags.numbers),
            None => return Err(Malformed("a range of which nothing is stated".into())),
        };
        Ok(Item { span: Span { first: item.first, last: item.last }, stated })
    });
    let items = items.collect::<Result<_, _>>()?;
    let key = Key { low: request.key_low, high: request.key_high };
    let question = Question { key, items, count_to: request.count_to };
    question.check()?;
    Ok(question)
}

/// By which layouts a question is meant.
pub fn versions_from_wire(request: &v1::CompareRequest) -> Versions {
    Versions { in_force: request.layout_version, unsettled: request.unsettled.clone() }
}

/// A reply as a message, of a node that compared by these layouts.
pub fn reply_to_wire(reply: Reply, versions: Versions) -> v1::CompareResponse {
    let differences = reply.differences.into_iter().map(|Difference { item, part, what }| {
        let what = match what {
            What::Sums(numbers) => v1::compare_difference::What::Sums(v1::Numbers { numbers }),
            What::Members { besides, lacking } => {
                let (besides_sha1, besides_sha256) = joined(&besides);
                let members = v1::CompareMembers { besides_sha1, besides_sha256, lacking };
                v1::compare_difference::What::Members(members)
            }
            What::Divide => v1::compare_difference::What::Divide(v1::Divide {}),
        };
        v1::CompareDifference { item, part, what: Some(what) }
    });
    let differences = differences.collect();
    let Versions { unsettled, .. } = versions;
    v1::CompareResponse { compared: reply.compared, differences, held: reply.held, unsettled }
}

/// The reply; whether it answers its question is for whoever asked to check. One that leaves
/// out what layouts before the one in force placed there is no answer.
pub fn reply_from_wire(
    response: v1::CompareResponse,
    versions: &Versions,
) -> Result<Reply, Malformed> {
    if response.unsettled != versions.unsettled {
        let reason = "the peer compares by the layout in force alone: it runs an earlier version";
        return Err(Malformed(reason.into()));
    }
    let differences = response.differences.into_iter().map(|difference| {
        let what = match difference.what {
            Some(v1::compare_difference::What::Sums(sums)) => What::Sums(sums.numbers),
            Some(v1::compare_difference::What::Members(members)) => {
                let mut besides = parted(&members.besides_sha1, HashAlgorithm::Sha1)?;
                besides.extend(parted(&members.besides_sha256, HashAlgorithm::Sha256)?);
                What::Members { besides, lacking: members.lacking }
            }
            Some(v1::compare_difference::What::Divide(_)) => What::Divide,
            None => return Err(Malformed("a difference that does not say which".into())),
        };
        Ok(Difference { item: difference.item, part: difference.part, what })
    });
    let differences = differences.collect::<Result<_, _>>()?;
    Ok(Reply { compared: response.compared, differences, held: response.held })
}

/// Ids of either algorithm, one after another.
fn joined(ids: &[ObjectId]) -> (Bytes, Bytes) {
    let (mut sha1, mut sha256) = (BytesMut::new(), BytesMut::new());
    for id in ids {
        let bytes = match id.algorithm() {
            HashAlgorithm::Sha1 => &mut sha1,
            HashAlgorithm::Sha256 => &mut sha256,
        };
        bytes.extend_from_slice(id.as_bytes());
    }
    (sha1.freeze(), sha256.freeze())
}

fn parted(bytes: &[u8], algorithm: HashAlgorithm) -> Result<Vec<ObjectId>, Malformed> {
    let ids = bytes.chunks_exact(algorithm.id_len());
    if !ids.remainder().is_empty() {
        return Err(Malformed(format!("{} bytes are no number of ids", bytes.len())));
    }
    ids.map(|raw| Ok(ObjectId::from_bytes(raw)?)).collect()
}

/// How a replica stands to an object, as a message.
pub fn want_to_wire(standing: Standing) -> v1::Want {
    match standing {
        Standing::Held => v1::Want::Held,
        Standing::Lacking => v1::Want::Lacking,
        Standing::Deleted => v1::Want::Deleted,
    }
}

/// How a replica stands to an object.
pub fn want_from_wire(want: i32) -> Result<Standing, Malformed> {
    match v1::Want::try_from(want) {
        Ok(v1::Want::Held) => Ok(Standing::Held),
        Ok(v1::Want::Lacking) => Ok(Standing::Lacking),
        Ok(v1::Want::Deleted) => Ok(Standing::Deleted),
        Ok(v1::Want::Unspecified) | Err(_) => {
            Err(Malformed(format!("{want} does not say whether an object is wanted")))
        }
    }
}
