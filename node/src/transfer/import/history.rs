//! History in the order in which it is sent: parents before their children.
//!
//! The walk goes to the end of a line of history before it follows the next one (a depth-first
//! post-order), so that wherever it is cut, few commits are not reached by others: those that a merge
//! waits for. It keeps no more of a commit on its way than its id, since a line can be as long as the
//! history.

use gix::ObjectId;
use gix::hashtable::HashSet;

use super::error::ImportError;
use super::source::{Commit, Source};

/// A commit whose parents are under way.
struct Frame {
    id: ObjectId,
    /// The parent to follow next.
    next: usize,
}

/// A walk over commits.
#[derive(Default)]
pub(super) struct History {
    /// Commits that the cluster has.
    there: HashSet<ObjectId>,
    /// All others that were met.
    met: HashSet<ObjectId>,
    stack: Vec<Frame>,
}

impl History {
    /// Leaves out these commits, with all that they reach: the cluster has them.
    pub(super) fn leave_out(
        &mut self,
        source: &Source,
        commits: impl IntoIterator<Item = ObjectId>,
    ) -> Result<(), ImportError> {
        let mut pending: Vec<ObjectId> = commits.into_iter().collect();
        while let Some(id) = pending.pop() {
            if self.there.insert(id) {
                pending.extend(source.commit(id)?.parents);
            }
        }
        Ok(())
    }

    /// Whether the cluster had a commit before.
    pub(super) fn was_there(&self, id: &ObjectId) -> bool {
        self.there.contains(id)
    }

    /// Begins with this commit, when what came before is done.
    pub(super) fn begin(&mut self, tip: ObjectId) {
        self.enter(tip);
    }

    fn enter(&mut self, id: ObjectId) {
        if !self.there.contains(&id) && self.met.insert(id) {
            self.stack.push(Frame { id, next: 0 });
        }
    }

    /// The next commit, all of whose parents came before or are there.
    pub(super) fn next(&mut self, source: &Source) -> Result<Option<Commit>, ImportError> {
        while let Some(frame) = self.stack.last_mut() {
            let commit = source.commit(frame.id)?;
            match commit.parents.get(frame.next) {
                Some(parent) => {
                    frame.next += 1;
                    self.enter(*parent);
                }
                None => {
                    self.stack.pop();
                    return Ok(Some(commit));
                }
            }
        }
        Ok(None)
    }
}
