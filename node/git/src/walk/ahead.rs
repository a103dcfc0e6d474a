//! Read-ahead of trees.
//!
//! A walk knows which trees it will open next, as far as they are on its stack. They are read
//! together with the one that it needs, as many as the repository cares to answer; those that come
//! too early are kept, within bounds.

use std::collections::BTreeMap;

use bytes::Bytes;
use gitstratum_core::limits::{WALK_TREE_BYTES_AHEAD_MAX, WALK_TREES_AHEAD_MAX};
use gitstratum_core::object::{Kind, ObjectId};

use super::objects::Objects;
use super::selection::Seen;
use crate::service::RepositoryError;

/// Entries of a stack that are looked through for trees to read ahead.
pub(super) const LOOK_AHEAD: usize = 8 * WALK_TREES_AHEAD_MAX;

/// Trees that were read before their turn.
#[derive(Default)]
pub(super) struct Ahead {
    trees: BTreeMap<u32, Option<(Kind, Bytes)>>,
    bytes: usize,
}

impl Ahead {
    /// Reads a tree, and with it those of `next` that fit.
    pub(super) async fn read<O: Objects + ?Sized>(
        &mut self,
        objects: &O,
        seen: &Seen,
        number: u32,
        next: impl Iterator<Item = u32>,
    ) -> Result<Option<(Kind, Bytes)>, RepositoryError> {
        if let Some(found) = self.trees.remove(&number) {
            self.bytes -= found.as_ref().map_or(0, |(_, data)| data.len());
            return Ok(found);
        }
        let mut numbers = vec![number];
        if self.bytes < WALK_TREE_BYTES_AHEAD_MAX && self.trees.len() < LOOK_AHEAD {
            let unread = next.filter(|other| !self.trees.contains_key(other));
            numbers.extend(unread.take(WALK_TREES_AHEAD_MAX - 1));
            numbers[1..].sort_unstable();
            numbers.dedup();
        }
        let ids: Vec<ObjectId> = numbers.iter().map(|&number| seen.id(number)).collect();
        let mut answer = objects.read(&ids).await?.into_iter();
        let first = answer.next().expect("at least the first is answered");
        for (&number, found) in numbers[1..].iter().zip(answer) {
            self.bytes += found.as_ref().map_or(0, |(_, data)| data.len());
            self.trees.insert(number, found);
        }
        Ok(first)
    }
}
