//! Set reconciliation session.
//!
//! The asking side: which ranges are still to be compared.
//!
//! Invariant: the ranges on the stack are in order, the lowest on top, and everything below
//! it was compared. So a session that was interrupted is gone on with by beginning another at
//! [`Session::position`], with another key.

use gitstratum_core::object::ObjectId;
use gitstratum_core::replica::StoreError;
use gitstratum_core::replica::compare::{
    Difference, ITEMS_MAX, Item, Key, PARTS_MAX, Question, Reply, Span, Stated, What, Wrong,
};

use super::answer::{is_too_much, parts_for};
use super::listing::Window;
use super::tags::{Tagged, sum, sums};
use super::{LISTED_MAX, Listing, MESSAGE_BYTES, WINDOW_IDS_MAX};

/// Items of the question after one that was compared in part: few, to be compared whole.
const ITEMS_MIN: usize = 32;

/// One comparison with one peer.
pub struct Session {
    key: Key,
    /// Still to be compared; the lowest last.
    stack: Vec<Span>,
    /// The peer has nothing there; the lowest last.
    ours_alone: Vec<Span>,
    /// What is being asked.
    asked: Option<Asked>,
    items_max: usize,
}

struct Asked {
    question: Question,
    /// The listed ids of each item.
    listed: Vec<Vec<ObjectId>>,
}

/// What is to be done next.
pub enum Step {
    /// Send this, and bring the answer to [`Session::take`].
    Ask(Question),
    /// These differ.
    Found(Found),
    /// Everything was compared.
    Done,
}

/// Ids that one side alone has, as far as the comparison saw: either side may have changed
/// meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The peer lacks them.
    pub ours: Vec<ObjectId>,
    /// We lack them.
    pub theirs: Vec<ObjectId>,
}

impl Session {
    /// A session over all positions of these spans.
    ///
    /// # Panics
    /// When they overlap, or do not ascend.
    pub fn new(key: Key, spans: &[Span]) -> Self {
        let ascend = spans.windows(2).all(|pair| pair[0].last < pair[1].first);
        assert!(ascend, "spans are compared in ascending order");
        Session {
            key,
            stack: spans.iter().rev().copied().collect(),
            ours_alone: Vec::new(),
            asked: None,
            items_max: ITEMS_MAX,
        }
    }

    /// Everything below this position was compared, and what differs was given out; `None`
    /// when that is so of all positions.
    pub fn position(&self) -> Option<u64> {
        let asked = self.asked.as_ref().and_then(|asked| asked.question.items.first());
        let ends = [self.stack.last(), self.ours_alone.last(), asked.map(|item| &item.span)];
        ends.into_iter().flatten().map(|span| span.first).min()
    }

    /// What comes next. `listing` is what we hold now, over all positions of the session that
    /// are not yet compared.
    ///
    /// # Errors
    /// [`StoreError`] when the ids cannot be read; the session can go on.
    ///
    /// # Panics
    /// When a question was not answered yet.
    pub async fn next(&mut self, listing: &dyn Listing) -> Result<Step, StoreError> {
        assert!(self.asked.is_none(), "one question at a time");
        while let Some(span) = self.ours_alone.pop() {
            if is_too_much(listing, span) {
                self.ours_alone.extend(divide(span).rev());
                continue;
            }
            let ours = match listing.ids(span).await {
                Ok(ours) => ours,
                Err(error) => {
                    self.ours_alone.push(span);
                    return Err(error);
                }
            };
            if !ours.is_empty() {
                return Ok(Step::Found(Found { ours, theirs: Vec::new() }));
            }
        }
        let asked = self.ask(listing).await?;
        if asked.question.items.is_empty() {
            return Ok(Step::Done);
        }
        let question = asked.question.clone();
        self.asked = Some(asked);
        Ok(Step::Ask(question))
    }

    /// States what we hold in the lowest ranges of the stack.
    async fn ask(&mut self, listing: &dyn Listing) -> Result<Asked, StoreError> {
        let question = Question { key: self.key, items: Vec::new(), count_to: None };
        let mut asked = Asked { question, listed: Vec::new() };
        let mut window = Window::new(listing, self.key);
        let mut bytes = 0;
        while asked.question.items.len() < self.items_max && bytes < MESSAGE_BYTES {
            let Some(span) = self.stack.pop() else { break };
            if span.first < span.last
                && listing.count_max(span) > WINDOW_IDS_MAX * u64::from(PARTS_MAX)
            {
                self.stack.extend(divide(span).rev());
                continue;
            }
            let stated = state(&mut window, listing, span, self.stack.iter().rev().copied()).await;
            let (stated, listed) = match stated {
                Ok(stated) => stated,
                Err(error) => {
                    self.stack.push(span);
                    let spans = asked.question.items.iter().map(|item| item.span);
                    self.stack.extend(spans.rev());
                    return Err(error);
                }
            };
            bytes += 24
                + 8 * match &stated {
                    Stated::Sums(all) | Stated::Tags(all) => all.len(),
                };
            asked.question.items.push(Item { span, stated });
            asked.listed.push(listed);
        }
        Ok(asked)
    }

    /// Takes the answer to the last question.
    ///
    /// # Errors
    /// [`TakeError`]; the question can be asked again.
    ///
    /// # Panics
    /// When nothing was asked.
    pub async fn take(&mut self, listing: &dyn Listing, reply: Reply) -> Result<Found, TakeError> {
        let Asked { question, listed } = self.asked.take().expect("a reply follows a question");
        match self.digest(listing, &question, &listed, &reply).await {
            Ok((found, further, alone)) => {
                let rest = &question.items[reply.compared as usize..];
                self.items_max = match rest.is_empty() {
                    true => (self.items_max * 2).min(ITEMS_MAX),
                    false => (reply.compared as usize).max(ITEMS_MIN),
                };
                self.stack.extend(rest.iter().rev().map(|item| item.span));
                self.stack.extend(further.into_iter().rev());
                self.ours_alone.extend(alone.into_iter().rev());
                Ok(found)
            }
            Err(error) => {
                self.stack.extend(question.items.iter().rev().map(|item| item.span));
                Err(error)
            }
        }
    }

    /// Gives the last question up: it will be asked again, as we stand then.
    pub fn unanswered(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.stack.extend(asked.question.items.iter().rev().map(|item| item.span));
        }
    }

    /// What a reply says: what differs, what is to be compared further, and where the peer has
    /// nothing.
    async fn digest(
        &self,
        listing: &dyn Listing,
        question: &Question,
        listed: &[Vec<ObjectId>],
        reply: &Reply,
    ) -> Result<(Found, Vec<Span>, Vec<Span>), TakeError> {
        reply.check(question)?;
        let mut found = Found::default();
        let (mut further, mut alone) = (Vec::new(), Vec::new());
        let mut window = Window::new(listing, self.key);
        let span_of = |difference: &Difference| {
            let item = &question.items[difference.item as usize];
            item.span.part(difference.part, item.parts())
        };
        for (at, difference) in reply.differences.iter().enumerate() {
            let span = span_of(difference);
            match &difference.what {
                What::Divide => further.extend(divide(span)),
                What::Members { besides, lacking } => {
                    found.theirs.extend(besides);
                    let listed = &listed[difference.item as usize];
                    found.ours.extend(lacking.iter().map(|index| listed[*index as usize]));
                }
                What::Sums(theirs) => {
                    let parts = theirs.len() as u32;
                    let members = match is_too_much(listing, span) {
                        true => None,
                        false => {
                            let next = reply.differences[at + 1..].iter().map(span_of);
                            Some(window.members(span, next).await?)
                        }
                    };
                    for (index, theirs) in (0..parts).zip(theirs) {
                        let part = span.part(index, parts);
                        let ours = members.map(|members| sum(super::tags::in_span(members, part)));
                        match (ours, *theirs) {
                            (Some(ours), theirs) if ours == theirs => {}
                            (_, 0) => alone.push(part),
                            _ => further.push(part),
                        }
                    }
                }
            }
        }
        Ok((found, further, alone))
    }
}

/// Why a reply was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// It says what no reply may say.
    #[error("the peer's answer: {0}")]
    Wrong(#[from] Wrong),
    /// Our own ids cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn divide(span: Span) -> impl DoubleEndedIterator<Item = Span> {
    let parts = span.parts(PARTS_MAX);
    (0..parts).map(move |index| span.part(index, parts))
}

/// What we hold in a range, and the ids if they are listed.
async fn state(
    window: &mut Window<'_>,
    listing: &dyn Listing,
    span: Span,
    next: impl Iterator<Item = Span>,
) -> Result<(Stated, Vec<ObjectId>), StoreError> {
    if is_too_much(listing, span) {
        let parts = span.parts(PARTS_MAX);
        let mut all = Vec::new();
        for index in 0..parts {
            let part = span.part(index, parts);
            // No more than a window each, unless ids are most unevenly spread.
            all.push(sum(window.members(part, std::iter::empty()).await?));
        }
        return Ok((Stated::Sums(all), Vec::new()));
    }
    let members: &[Tagged] = window.members(span, next).await?;
    if members.len() <= LISTED_MAX || span.first == span.last {
        let tags = members.iter().map(|(_, tag)| *tag).collect();
        return Ok((Stated::Tags(tags), members.iter().map(|(id, _)| *id).collect()));
    }
    Ok((Stated::Sums(sums(members, span, parts_for(span, members.len()))), Vec::new()))
}
