//! Encoding of objects into records and back: compression, and records before they are written.
//! Pure: nothing here does I/O.

pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod pack;
pub(crate) mod pool;

use gitstratum_core::limits;
use gitstratum_host::processors;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::options::Compression;
use pack::{Packer, Packers, Unpacker};
use pool::Pooled;

/// What objects are encoded and decoded with.
pub(crate) struct Codecs {
    /// A large put has one while it prepares its records: there are as many as processors, but
    /// for the one that the committer needs.
    pub(crate) preparing: Semaphore,
    packers: Packers,
    pub(crate) unpacker: Unpacker,
}

impl Codecs {
    /// New objects are brought into this form.
    pub(crate) fn new(compression: Compression) -> Self {
        Codecs {
            preparing: Semaphore::new(processors().saturating_sub(1).max(1)),
            packers: Packers::new(compression),
            unpacker: Unpacker::default(),
        }
    }

    /// What objects are packed with, if new ones are to be.
    pub(crate) fn packer(&self) -> Option<Pooled<'_, Packer>> {
        self.packers.take()
    }

    /// Waits for the turn of a put of so many bytes to prepare its records, if that takes long.
    ///
    /// Large puts that share the processors are all ready at the same late moment, and the disk
    /// waits for them and then they for the disk. One after another they keep both busy.
    pub(crate) async fn turn_to_prepare(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        match bytes > limits::PREPARED_BYTES_BEFORE_YIELD {
            true => Some(self.preparing.acquire().await.expect("nobody closes it")),
            false => None,
        }
    }
}
