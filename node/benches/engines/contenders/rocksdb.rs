//! RocksDB: `WriteOptions::sync` from one thread for each writer, which is what its own
//! group commit is made for. Options are those that its tuning guide gives to begin with:
//! as many background jobs as cores, levels sized dynamically, a Bloom filter of 10 bits
//! that lives in the block cache with the index, lz4. Values of a kibibyte and more go to
//! blob files, as it advises for data that compaction would otherwise copy again and again.
//! Blocks keep their default 4 KiB, which suits single gets better than the guide's 16.

use std::path::Path;

use gitstratum_core::object::{Kind, Object, ObjectId};
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Options, WaitForCompactOptions, WriteBatch,
    WriteOptions,
};

use super::{Engine, parts_of, value_of};
use crate::Outcome;

/// Smaller values stay in the tree.
const BLOB_BYTES_MIN: u64 = 1 << 10;
/// What flushes and compactions write between two hints to the kernel, as the guide has it.
const BYTES_PER_SYNC: u64 = 1 << 20;
/// Bits of the Bloom filter for each key, as the guide has it.
const BLOOM_BITS: f64 = 10.0;

/// RocksDB.
pub struct Rocksdb(DB);

fn options(cache_bytes: usize) -> Outcome<Options> {
    let cores = std::thread::available_parallelism()?.get();
    let cache = Cache::new_lru_cache(cache_bytes);
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&cache);
    table.set_bloom_filter(BLOOM_BITS, false);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.increase_parallelism(i32::try_from(cores)?);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_bytes_per_sync(BYTES_PER_SYNC);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_enable_blob_files(true);
    options.set_min_blob_size(BLOB_BYTES_MIN);
    options.set_blob_compression_type(DBCompressionType::Lz4);
    options.set_block_based_table_factory(&table);
    Ok(options)
}

impl Engine for Rocksdb {
    const PUT_BLOCKS: bool = true;

    async fn open(dir: &Path, cache_bytes: usize) -> Outcome<Self> {
        Ok(Rocksdb(DB::open(&options(cache_bytes)?, dir)?))
    }

    async fn put(&self, objects: Vec<Object>) -> Outcome<()> {
        let mut batch = WriteBatch::default();
        for object in &objects {
            batch.put(object.id().as_bytes(), value_of(object));
        }
        let mut durable = WriteOptions::default();
        durable.set_sync(true);
        Ok(self.0.write_opt(batch, &durable)?)
    }

    async fn get<R: Send>(
        &self,
        id: ObjectId,
        look: impl FnOnce(Kind, &[u8]) -> R + Send,
    ) -> Outcome<Option<R>> {
        let Some(value) = self.0.get_pinned(id.as_bytes())? else { return Ok(None) };
        let (kind, data) = parts_of(&value)?;
        Ok(Some(look(kind, data)))
    }

    async fn settle(&self) -> Outcome<()> {
        Ok(self.0.wait_for_compact(&WaitForCompactOptions::default())?)
    }

    async fn close(self) -> Outcome<()> {
        Ok(())
    }
}
