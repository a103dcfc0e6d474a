//! A node's own commands, and their numbers.
//!
//! A number is a time of day, so that what a process asks for comes after what the one before it
//! did; or the one after the last, where the clock says less: it may have been set back.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use gitstratum_catalog::encode::encode_command;
use gitstratum_catalog::ids::ClientId;
use gitstratum_catalog::{CatalogError, Command, Operation, Reply, Request};
use gitstratum_core::placement::NodeId;
use gitstratum_host::unix_time_ms;

use super::GROUP;

/// The last number that a node gave to a command of its own.
#[derive(Debug, Default)]
pub(super) struct Numbers(AtomicU64);

impl Numbers {
    /// A number that none before it reaches.
    fn next(&self, now: u64) -> u64 {
        let next = |last: u64| now.max(last.saturating_add(1));
        let update = |last| Some(next(last));
        let last = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, update);
        next(last.unwrap_or_else(|last| last))
    }
}

/// Whom commands of a node itself come from.
#[derive(Clone, Copy)]
pub(super) struct Author<'a> {
    pub(super) node: &'a NodeId,
    pub(super) client: ClientId,
    pub(super) numbers: &'a Numbers,
}

impl Author<'_> {
    /// A command, which is another one whenever it is made later.
    pub(super) fn command(self, operation: Operation) -> Bytes {
        let now = unix_time_ms();
        let command = Command {
            group: GROUP,
            request: Request { client: self.client, number: self.numbers.next(now) },
            at_ms: now,
            who: self.node.to_string(),
            operation,
        };
        encode_command(&command).expect("a node says little of itself").into()
    }

    /// Whether a reply is that the command's number was passed before: by an earlier process, whose
    /// clock was ahead. From here on numbers are greater than that one's.
    pub(super) fn is_behind(self, reply: &Reply) -> bool {
        let Reply::Refused(CatalogError::OldRequest { last, .. }) = reply else { return false };
        self.numbers.0.fetch_max(*last, Ordering::SeqCst);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_grow_though_the_clock_stands_still_or_goes_back_or_another_was_ahead() {
        let numbers = Numbers::default();
        assert_eq!([7, 7, 9, 3].map(|now| numbers.next(now)), [7, 8, 9, 10]);
        let (node, client) = (NodeId::new("n1"), ClientId([1; 16]));
        let author = Author { node: &node, client, numbers: &numbers };
        let refused = CatalogError::OldRequest { given: 10, last: 500 };
        assert!(author.is_behind(&Reply::Refused(refused)));
        assert!(!author.is_behind(&Reply::Refused(CatalogError::AtomicAborted)));
        assert_eq!([11, 600].map(|now| numbers.next(now)), [501, 600]);
    }
}
