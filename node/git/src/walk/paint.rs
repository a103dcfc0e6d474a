//! Painting of history: commits that some reach and others do not.
//!
//! The set difference behind `git rev-list A --not B`. Two colours spread from the tips to their
//! ancestors, and the second covers the first. Commits are taken in the order of their generation,
//! so that a commit has its colour before it is looked at, and the walk ends once all that waits
//! has the second colour. Where generations are missing the order is that of time, which may be
//! wrong: a commit that is covered after its turn is taken again to spread that, and the walk goes
//! on until all that waits is older than what was found.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::graph::{Graph, Rank};
use super::objects::Objects;
use super::pace::Pace;
use crate::service::RepositoryError;

/// Reached from the first tips.
const WANTED: u8 = 1;
/// Reached from the second.
pub(super) const HAD: u8 = 2;
/// It waits for its turn.
const QUEUED: u8 = 4;

struct Painter<'g, 'o, O: ?Sized> {
    graph: &'g mut Graph<'o, O>,
    queue: BinaryHeap<(Rank, Reverse<u32>)>,
    /// Commits in the queue that have the first colour alone.
    open: usize,
}

/// The commits that `wanted` reach and `had` do not, newest first. What is older than `since`
/// (seconds since 1970) counts as had. Afterwards commits that `had` reach have the mark [`HAD`],
/// as far as it was needed to look.
pub(super) async fn paint<O: Objects + ?Sized>(
    graph: &mut Graph<'_, O>,
    wanted: &[u32],
    had: &[u32],
    since: u64,
    pace: &mut Pace<'_>,
) -> Result<Vec<u32>, RepositoryError> {
    let mut painter = Painter { graph, queue: BinaryHeap::new(), open: 0 };
    had.iter().for_each(|&number| painter.cover(number));
    wanted.iter().for_each(|&number| painter.reach(number));
    let mut found = Vec::new();
    let mut oldest = u64::MAX;
    while let Some((rank, Reverse(number))) = painter.queue.pop() {
        let settled = painter.graph.is_ordered() || rank.committed_at < oldest;
        if painter.open == 0 && settled {
            break;
        }
        pace.step().await;
        painter.graph.unmark(number, QUEUED);
        if !painter.graph.has(number, HAD) {
            painter.open -= 1;
            if rank.committed_at < since {
                painter.graph.mark(number, HAD);
            } else {
                oldest = oldest.min(rank.committed_at);
                found.push(number);
            }
        }
        painter.spread(number).await?;
    }
    found.retain(|&number| !graph.has(number, HAD));
    found.sort_by_key(|&number| Reverse(graph.committed_at(number)));
    Ok(found)
}

impl<O: Objects + ?Sized> Painter<'_, '_, O> {
    /// Gives a commit's colour to its parents.
    async fn spread(&mut self, number: u32) -> Result<(), RepositoryError> {
        self.graph.load_parents(number).await?;
        for which in 0..self.graph.parents_count(number) {
            if self.graph.has(number, HAD) {
                self.cover(self.graph.parents(number)[which as usize]);
            } else {
                self.reach(self.graph.need_parent(number, which)?);
            }
        }
        Ok(())
    }

    fn reach(&mut self, number: u32) {
        let graph = &mut self.graph;
        if graph.has(number, WANTED | HAD) {
            return;
        }
        graph.mark(number, WANTED | QUEUED);
        self.open += 1;
        self.queue.push((graph.rank(number), Reverse(number)));
    }

    /// What is not there may be: a client can have what was collected here.
    fn cover(&mut self, number: u32) {
        let graph = &mut self.graph;
        if graph.has(number, HAD) || !graph.is_there(number) {
            return;
        }
        graph.mark(number, HAD);
        if graph.has(number, QUEUED) {
            self.open -= 1;
        } else {
            graph.mark(number, QUEUED);
            self.queue.push((graph.rank(number), Reverse(number)));
        }
    }
}
