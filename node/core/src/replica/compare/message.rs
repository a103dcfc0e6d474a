//! Anti-entropy protocol messages.
//!
//! What the two sides of a comparison say to each other.
//!
//! Invariant: a question's ranges are in ascending order and do not overlap, and no message
//! is longer than its bound. Whoever takes one checks that ([`Question::check`],
//! [`Reply::check`]); nothing behind it does.

use super::{ITEMS_MAX, Key, PARTS_MAX, Span};
use crate::object::ObjectId;

/// What one side holds in some ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What tags are computed with.
    pub key: Key,
    /// The ranges.
    pub items: Vec<Item>,
    /// If there: how many ids are held from the first range to this position?
    pub count_to: Option<u64>,
}

/// What the asking side holds in one range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The range.
    pub span: Span,
    /// What it holds there.
    pub stated: Stated,
}

/// What a side says that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stated {
    /// The fingerprint of each of as many equal parts as there are sums.
    Sums(Vec<u64>),
    /// The tag of each id, in the order of the ids.
    Tags(Vec<u64>),
}

/// Where the answering side holds something else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Items that were compared, from the first on; the others are to be asked again.
    pub compared: u32,
    /// The parts that differ, in order. What is not among them is the same on both sides.
    pub differences: Vec<Difference>,
    /// How many ids the answering side has from the first item to [`Question::count_to`].
    pub held: Option<u64>,
}

/// A part that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which item of the question.
    pub item: u32,
    /// Which of its parts; 0 of an item that was listed.
    pub part: u32,
    /// How.
    pub what: What,
}

/// How a part differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// These are the fingerprints of its parts on the answering side. A sum of 0 is that of
    /// no id at all.
    Sums(Vec<u64>),
    /// The list of the asking side was compared.
    Members {
        /// What the answering side has besides.
        besides: Vec<ObjectId>,
        /// Which of the listed it does not have.
        lacking: Vec<u32>,
    },
    /// It has too many ids to be compared at once: ask for its parts.
    Divide,
}

/// A message that says what it must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Wrong(pub &'static str);

impl Item {
    /// Into how many parts it is divided.
    pub fn parts(&self) -> u32 {
        match &self.stated {
            // Checked against a small bound.
            Stated::Sums(sums) => sums.len() as u32,
            Stated::Tags(_) => 1,
        }
    }
}

impl Question {
    /// Whether it is one that may be answered.
    ///
    /// # Errors
    /// [`Wrong`].
    pub fn check(&self) -> Result<(), Wrong> {
        if self.items.len() > ITEMS_MAX {
            return Err(Wrong("too many ranges in one question"));
        }
        if self.items.iter().any(|item| item.span.first > item.span.last) {
            return Err(Wrong("a range that ends before it begins"));
        }
        if self.items.windows(2).any(|two| two[0].span.last >= two[1].span.first) {
            return Err(Wrong("ranges that are not in order"));
        }
        let divided = |item: &Item| match &item.stated {
            Stated::Sums(sums) => {
                (1..=PARTS_MAX as usize).contains(&sums.len())
                    && item.span.parts(PARTS_MAX) >= sums.len() as u32
            }
            Stated::Tags(_) => true,
        };
        match self.items.iter().all(divided) {
            true => Ok(()),
            false => Err(Wrong("a range in too many parts, or in none")),
        }
    }
}

impl Reply {
    /// Whether it answers `question`.
    ///
    /// # Errors
    /// [`Wrong`].
    pub fn check(&self, question: &Question) -> Result<(), Wrong> {
        let compared = self.compared as usize;
        if compared > question.items.len() || (compared == 0 && !question.items.is_empty()) {
            return Err(Wrong("an answer that compared nothing, or what nobody asked for"));
        }
        let mut before = None;
        for Difference { item, part, what } in &self.differences {
            if before.is_some_and(|before| before >= (*item, *part)) {
                return Err(Wrong("differences that are not in order"));
            }
            before = Some((*item, *part));
            let asked = question.items[..compared].get(*item as usize);
            let Some(asked) = asked.filter(|asked| *part < asked.parts()) else {
                return Err(Wrong("a difference where nothing was compared"));
            };
            let span = asked.span.part(*part, asked.parts());
            check_what(span, &asked.stated, what)?;
        }
        Ok(())
    }
}

fn check_what(span: Span, stated: &Stated, what: &What) -> Result<(), Wrong> {
    match (what, stated) {
        (What::Sums(sums), stated) => {
            // What was listed and not compared comes back in parts, or nothing would be gained.
            let least = if matches!(stated, Stated::Tags(_)) { 2 } else { 1 };
            let divided = (least..=PARTS_MAX as usize).contains(&sums.len())
                && span.parts(PARTS_MAX) >= sums.len() as u32;
            if divided { Ok(()) } else { Err(Wrong("a part in too many parts, or in none")) }
        }
        (What::Members { besides, lacking }, Stated::Tags(tags)) => {
            if besides.iter().any(|id| !span.range().contains(&id.prefix_u64())) {
                return Err(Wrong("an id outside of the range that was asked for"));
            }
            match lacking.iter().all(|index| (*index as usize) < tags.len()) {
                true => Ok(()),
                false => Err(Wrong("lacking what was not listed")),
            }
        }
        (What::Members { .. }, Stated::Sums(_)) => Err(Wrong("members of what was not listed")),
        (What::Divide, _) if span.first == span.last => Err(Wrong("one position to be divided")),
        (What::Divide, _) => Ok(()),
    }
}
