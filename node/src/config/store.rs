//! The `[store]` part of a configuration.

use std::time::Duration;

use gitstratum_core::limits;
use gitstratum_store::{Compression, Fsync};
use serde::{Deserialize, Serialize};

/// How a node's store works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// When puts are made durable.
    #[serde(with = "fsync")]
    pub fsync: Fsync,
    /// The form in which new objects are kept.
    #[serde(with = "compression")]
    pub compression: Compression,
    /// Puts are refused while the disk has less room than this.
    pub reserve_bytes: u64,
    /// Share of a segment that must be garbage before it is written again.
    pub compact_garbage_share: f64,
    /// Days between the beginnings of two scrubs; 0 for none.
    pub scrub_interval_days: u32,
    /// Bytes that compaction and scrub read in a second.
    pub maintenance_bytes_per_second: u64,
    /// A segment ends at so many bytes; a smaller one is rewritten sooner, and has an index
    /// of its own.
    pub segment_bytes: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        StoreConfig {
            fsync: Fsync::Always,
            compression: Compression::Zstd,
            reserve_bytes: limits::STORE_RESERVE_BYTES,
            compact_garbage_share: 0.5,
            scrub_interval_days: 7,
            maintenance_bytes_per_second: 16 << 20,
            segment_bytes: limits::SEGMENT_BYTES_MAX,
        }
    }
}

impl StoreConfig {
    /// The first field that is wrong, and why.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if !(0.05..=1.0).contains(&self.compact_garbage_share) {
            let problem = format!("{} is not between 0.05 and 1", self.compact_garbage_share);
            return Err(("store.compact_garbage_share", problem));
        }
        if self.maintenance_bytes_per_second < 4096 {
            let problem = format!("{} is less than 4096", self.maintenance_bytes_per_second);
            return Err(("store.maintenance_bytes_per_second", problem));
        }
        let (least, most) = (limits::SEGMENT_BYTES_MIN, limits::SEGMENT_BYTES_MAX);
        if !(least..=most).contains(&self.segment_bytes) {
            let problem = format!("{} is not between {least} and {most}", self.segment_bytes);
            return Err(("store.segment_bytes", problem));
        }
        Ok(())
    }
}

mod fsync {
    //! `"always"`, `"never"`, or an interval such as `"100ms"` or `"1s"`.

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Duration, Fsync};

    pub(super) fn serialize<S: Serializer>(fsync: &Fsync, out: S) -> Result<S::Ok, S::Error> {
        match fsync {
            Fsync::Always => out.serialize_str("always"),
            Fsync::Never => out.serialize_str("never"),
            Fsync::Every(interval) => out.collect_str(&format_args!("{}ms", interval.as_millis())),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Fsync, D::Error> {
        let text = String::deserialize(from)?;
        let interval = || {
            let (number, unit) = match text.strip_suffix("ms") {
                Some(number) => (number, 1),
                None => (text.strip_suffix('s')?, 1000),
            };
            let ms = number.parse::<u64>().ok()?.checked_mul(unit)?;
            (1..=60_000).contains(&ms).then(|| Duration::from_millis(ms))
        };
        match &*text {
            "always" => Ok(Fsync::Always),
            "never" => Ok(Fsync::Never),
            _ => interval().map(Fsync::Every).ok_or_else(|| {
                D::Error::custom(format!(
                    "{text:?} is none of \"always\", \"never\" and an interval from \"1ms\" to \"60s\""
                ))
            }),
        }
    }
}

mod compression {
    //! `"none"`, `"lz4"` or `"zstd"`.

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Compression;

    pub(super) fn serialize<S: Serializer>(form: &Compression, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(match form {
            Compression::None => "none",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Compression, D::Error> {
        match &*String::deserialize(from)? {
            "none" => Ok(Compression::None),
            "lz4" => Ok(Compression::Lz4),
            "zstd" => Ok(Compression::Zstd),
            other => Err(D::Error::custom(format!(
                "{other:?} is none of \"none\", \"lz4\" and \"zstd\""
            ))),
        }
    }
}
