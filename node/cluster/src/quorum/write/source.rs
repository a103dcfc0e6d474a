//! Replay buffer.
//!
//! Where the parts of a large object come from: from whoever puts it, once, or from a replica that
//! stored it.
//!
//! What has come of the caller's parts is kept for another attempt as long as it is no more than a
//! connection takes before the other side has to answer. Beyond that bound nothing is kept: so a
//! put holds so much of an object at most, whatever its size.

use bytes::Bytes;
use gitstratum_core::limits;
use gitstratum_core::replica::{LargeReader, Parts};

/// The parts of one large object, in order.
pub struct Source {
    rest: Rest,
    /// All that came of the rest so far; `None` when it is more than may be kept, and of a
    /// replica's parts, which can be read anew.
    kept: Option<Kept>,
    /// Of the parts that are kept, those that were handed over since the source was rewound.
    handed_over: usize,
}

enum Rest {
    Caller(Parts),
    Replica(Box<dyn LargeReader>),
}

#[derive(Default)]
struct Kept {
    parts: Vec<Bytes>,
    bytes: usize,
}

impl Source {
    /// The parts of whoever puts the object.
    pub fn caller(parts: Parts) -> Self {
        Source { rest: Rest::Caller(parts), kept: Some(Kept::default()), handed_over: 0 }
    }

    /// Those of replicas that stored it.
    pub fn stored(reader: Box<dyn LargeReader>) -> Self {
        Source { rest: Rest::Replica(reader), kept: None, handed_over: 0 }
    }

    /// The next part. The end of the parts, come early or not, is judged by who stores them.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        let again = self.kept.as_ref().and_then(|kept| kept.parts.get(self.handed_over));
        if let Some(part) = again.cloned() {
            self.handed_over += 1;
            return Some(part);
        }
        let part = match &mut self.rest {
            Rest::Caller(parts) => parts.recv().await?,
            Rest::Replica(reader) => reader.next().await.ok().flatten()?,
        };
        self.keep(&part);
        Some(part)
    }

    fn keep(&mut self, part: &Bytes) {
        let Some(kept) = &mut self.kept else { return };
        kept.bytes += part.len();
        if kept.bytes > limits::LARGE_BYTES_KEPT_MAX {
            self.kept = None;
            return;
        }
        kept.parts.push(part.clone());
        self.handed_over = kept.parts.len();
    }

    /// Whether it can begin again.
    pub(super) fn is_whole(&self) -> bool {
        self.kept.is_some()
    }

    /// The same from the beginning.
    pub(super) fn rewound(self) -> Self {
        Source { handed_over: 0, ..self }
    }
}
