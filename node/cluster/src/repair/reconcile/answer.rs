//! Anti-entropy responder.
//!
//! The answering side: it keeps nothing, so any number of sessions may ask it.

use std::collections::BTreeSet;

use gitstratum_core::replica::StoreError;
use gitstratum_core::replica::compare::{
    Difference, Item, PARTS_MAX, Question, Reply, Span, Stated, What,
};

use super::listing::Window;
use super::tags::{Tagged, sum, sums};
use super::{IDS_PER_PART, Listing, MESSAGE_BYTES, NAMED_MAX, SCANNED_IDS_MAX, WINDOW_IDS_MAX};

/// Compares what a question states with what `listing` holds. The question was checked.
///
/// # Errors
/// [`StoreError`] when the ids cannot be read.
pub async fn answer(listing: &dyn Listing, question: &Question) -> Result<Reply, StoreError> {
    let mut window = Window::new(listing, question.key);
    let mut reply = Reply::default();
    if let (Some(first), Some(last)) = (question.items.first(), question.count_to) {
        reply.held = Some(listing.count_about(Span { first: first.span.first, last }));
    }
    let mut reply_bytes = 0;
    for (index, item) in question.items.iter().enumerate() {
        let parts = item.parts();
        for part in 0..parts {
            let span = item.span.part(part, parts);
            let what = if is_too_much(listing, span) {
                Some(What::Divide)
            } else {
                let rest = (part + 1..parts).map(|part| item.span.part(part, parts));
                let others = question.items[index + 1..].iter().map(|item| item.span);
                let members = window.members(span, rest.chain(others)).await?;
                compare(item, part, span, members)
            };
            if let Some(what) = what {
                reply_bytes += bytes_of(&what);
                reply.differences.push(Difference { item: index as u32, part, what });
            }
        }
        reply.compared += 1;
        if reply_bytes >= MESSAGE_BYTES || window.scanned >= SCANNED_IDS_MAX {
            break;
        }
    }
    Ok(reply)
}

/// Whether a range has more ids than are listed at once, and can be divided.
pub(super) fn is_too_much(listing: &dyn Listing, span: Span) -> bool {
    span.first < span.last && listing.count_max(span) > WINDOW_IDS_MAX
}

/// About what it takes in a message.
fn bytes_of(what: &What) -> usize {
    const AROUND: usize = 10;
    AROUND
        + match what {
            What::Sums(sums) => sums.len() * 8,
            What::Members { besides, lacking } => besides.len() * 34 + lacking.len() * 2,
            What::Divide => 0,
        }
}

/// How our members of a part differ from what is stated, if they do.
fn compare(item: &Item, part: u32, span: Span, members: &[Tagged]) -> Option<What> {
    match &item.stated {
        Stated::Sums(stated) => {
            let same = stated[part as usize] == sum(members);
            (!same).then(|| divided(span, members))
        }
        Stated::Tags(tags) => {
            let theirs: BTreeSet<u64> = tags.iter().copied().collect();
            let ours: BTreeSet<u64> = members.iter().map(|(_, tag)| *tag).collect();
            if theirs == ours {
                return None;
            }
            let besides = members.iter().filter(|(_, tag)| !theirs.contains(tag));
            let besides: Vec<_> = besides.map(|(id, _)| *id).collect();
            if besides.len() > NAMED_MAX && span.first < span.last {
                return Some(divided(span, members));
            }
            let listed = (0_u32..).zip(tags);
            let lacking = listed.filter(|(_, tag)| !ours.contains(tag));
            Some(What::Members { besides, lacking: lacking.map(|(index, _)| index).collect() })
        }
    }
}

fn divided(span: Span, members: &[Tagged]) -> What {
    What::Sums(sums(members, span, parts_for(span, members.len())))
}

/// Into how many parts a range of so many ids is divided.
pub(super) fn parts_for(span: Span, ids: usize) -> u32 {
    let wanted = ids.div_ceil(IDS_PER_PART).clamp(1, PARTS_MAX as usize);
    span.parts(wanted as u32)
}
