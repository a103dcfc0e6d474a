//! The contenders behind one interface. Every one of them acknowledges a put only when a
//! flush has covered it, and is used as its own documentation recommends for many
//! concurrent writers; each file says what was chosen and why.
//!
//! All engines get caches of the same size: for loads that of the engine which wants most
//! ([`LOAD_CACHE_BYTES`]), for reading a small one ([`READ_CACHE_BYTES`]), because what is
//! read is in the page cache and memory is one of the rows. Our store has none beside
//! the page cache. Each compresses as it does by default, or as its documentation
//! recommends where the default is not to.

mod bare;
mod fjall;
mod group;
mod ours;
mod redb;
#[cfg(feature = "rocksdb")]
mod rocksdb;

use std::path::Path;

use clap::ValueEnum;
use gitstratum_core::object::{Kind, Object, ObjectId};

use crate::Outcome;

pub use self::bare::{APPENDED, append_in_groups};
pub use self::fjall::Fjall;
pub use self::ours::Ours;
pub use self::redb::Redb;
#[cfg(feature = "rocksdb")]
pub use self::rocksdb::Rocksdb;

/// What an engine may keep of its files in memory of its own while it is loaded: redb's
/// default, which it writes through. The others' block caches matter little then.
pub const LOAD_CACHE_BYTES: usize = 1 << 30;
/// The same while objects are read.
pub const READ_CACHE_BYTES: usize = 64 << 20;

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Contender {
    /// The store of this project.
    Ours,
    /// The bare append loop.
    Bare,
    /// redb.
    Redb,
    /// fjall.
    Fjall,
    /// RocksDB.
    #[cfg(feature = "rocksdb")]
    Rocksdb,
}

impl Contender {
    /// Its name, also that of its directory.
    pub fn name(self) -> &'static str {
        match self {
            Contender::Ours => "ours",
            Contender::Bare => "bare",
            Contender::Redb => "redb",
            Contender::Fjall => "fjall",
            #[cfg(feature = "rocksdb")]
            Contender::Rocksdb => "rocksdb",
        }
    }
}

/// Runs `$body` with `$engine` standing for the type of a contender, `$bare` for the loop.
#[macro_export]
macro_rules! with_engine {
    ($contender:expr, $engine:ident => $body:expr, bare => $bare:expr) => {
        match $contender {
            $crate::contenders::Contender::Bare => $bare,
            $crate::contenders::Contender::Ours => {
                type $engine = $crate::contenders::Ours;
                $body
            }
            $crate::contenders::Contender::Redb => {
                type $engine = $crate::contenders::Redb;
                $body
            }
            $crate::contenders::Contender::Fjall => {
                type $engine = $crate::contenders::Fjall;
                $body
            }
            #[cfg(feature = "rocksdb")]
            $crate::contenders::Contender::Rocksdb => {
                type $engine = $crate::contenders::Rocksdb;
                $body
            }
        }
    };
}

/// A store that is measured.
pub trait Engine: Send + Sync + Sized + 'static {
    /// Its puts stop the thread that makes them, so each writer gets a thread of its own.
    const PUT_BLOCKS: bool = false;

    /// Opens the store in an existing directory, making it if the directory is empty, with
    /// a cache of so many bytes if it has one.
    fn open(dir: &Path, cache_bytes: usize) -> impl Future<Output = Outcome<Self>> + Send;

    /// Stores objects, and returns when all of them are durable.
    fn put(&self, objects: Vec<Object>) -> impl Future<Output = Outcome<()>> + Send;

    /// Shows an object's kind and data to `look`; `None` when there is no such object. An
    /// engine may show what it holds in its cache, without a copy.
    fn get<R: Send>(
        &self,
        id: ObjectId,
        look: impl FnOnce(Kind, &[u8]) -> R + Send,
    ) -> impl Future<Output = Outcome<Option<R>>> + Send;

    /// Calls of `fdatasync` since opening, where the store counts them.
    fn syncs(&self) -> Option<u64> {
        None
    }

    /// Waits for what goes on in the background by itself after a load.
    fn settle(&self) -> impl Future<Output = Outcome<()>> + Send {
        async { Ok(()) }
    }

    /// Closes it in an orderly way.
    fn close(self) -> impl Future<Output = Outcome<()>> + Send;
}

/// What an engine stores under an id: a byte for the kind, then the data.
fn value_of(object: &Object) -> Vec<u8> {
    let mut value = Vec::with_capacity(1 + object.data().len());
    value.push(tag_of(object.kind()));
    value.extend_from_slice(object.data());
    value
}

fn tag_of(kind: Kind) -> u8 {
    match kind {
        Kind::Blob => 1,
        Kind::Tree => 2,
        Kind::Commit => 3,
        Kind::Tag => 4,
        Kind::Chunk => 5,
    }
}

/// The kind and data in what an engine found.
fn parts_of(value: &[u8]) -> Outcome<(Kind, &[u8])> {
    match value.split_first() {
        Some((1, data)) => Ok((Kind::Blob, data)),
        Some((2, data)) => Ok((Kind::Tree, data)),
        Some((3, data)) => Ok((Kind::Commit, data)),
        Some((4, data)) => Ok((Kind::Tag, data)),
        Some((5, data)) => Ok((Kind::Chunk, data)),
        _ => Err("an engine returned a value that nobody stored".into()),
    }
}
