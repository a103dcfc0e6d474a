//! Compression of objects where that pays, and decompression.

use bytes::{Bytes, BytesMut};
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::compress_bound;

use crate::codec::pool::{Pool, Pooled};
use crate::format::record::Codec;
use crate::options::Compression;

/// Data below this is not worth an LZ4 block: of real repositories a hundredth of the bytes,
/// which shrink by a tenth.
const LZ4_BYTES_MIN: usize = 512;
/// Data below this is not worth a zstd frame: of real repositories two to ten hundredths of
/// the bytes but most of the objects, and so of the gets, which a frame would make twice as
/// long.
const ZSTD_BYTES_MIN: usize = 4 << 10;
/// Level 3 takes a third longer to save a twentieth more.
const ZSTD_LEVEL: i32 = 1;

/// Data above this is tried without a look at it first: coders hurry over long noise by
/// themselves.
const LOOKED_AT_BYTES_MAX: usize = 16 << 10;
/// Bytes that are looked at, evenly spread over the data.
const LOOKS: usize = 128;
/// Different values among them from which on they are noise: 128 bytes drawn evenly have 101,
/// and fewer than 92 once in seventy times. English has some 30, machine code 70, a tree's
/// names and ids 85.
const NOISE_VALUES_MIN: u32 = 92;

/// Room for packed data that is made at a time.
const ARENA_BYTES: usize = 256 << 10;

/// Packs one object after another with the same tables and buffers.
pub(crate) struct Packer {
    coder: Coder,
    arena: BytesMut,
}

enum Coder {
    Lz4(CompressTable),
    Zstd(Compressor<'static>),
}

impl Coder {
    fn codec(&self) -> Codec {
        match self {
            Coder::Lz4(_) => Codec::Lz4,
            Coder::Zstd(_) => Codec::Zstd,
        }
    }

    /// Data of fewer bytes is left as it is.
    fn bytes_min(&self) -> usize {
        match self {
            Coder::Lz4(_) => LZ4_BYTES_MIN,
            Coder::Zstd(_) => ZSTD_BYTES_MIN,
        }
    }

    /// The most that can come of data of this length.
    fn worst(&self, len: usize) -> usize {
        match self {
            Coder::Lz4(_) => get_maximum_output_size(len),
            Coder::Zstd(_) => compress_bound(len),
        }
    }

    /// Packs into `room`, which has the worst case's; how many bytes that took.
    fn pack(&mut self, raw: &[u8], room: &mut [u8]) -> usize {
        match self {
            Coder::Lz4(table) => compress_into_with_table(raw, room, table)
                .expect("there is room for the worst case"),
            Coder::Zstd(frames) => {
                frames.compress_to_buffer(raw, room).expect("there is room for the worst case")
            }
        }
    }
}

impl Packer {
    fn new(coder: Coder) -> Self {
        Packer { coder, arena: BytesMut::new() }
    }

    /// The packed data and how it is packed, if that is worth it.
    pub(crate) fn pack(&mut self, raw: &[u8]) -> Option<(Codec, Bytes)> {
        let short = raw.len() < self.coder.bytes_min();
        if short || raw.len() <= LOOKED_AT_BYTES_MAX && is_noise(raw) {
            return None;
        }
        let worst = self.coder.worst(raw.len());
        if self.arena.capacity() < worst {
            // What was packed into the old room keeps it for as long as that is needed.
            self.arena = BytesMut::with_capacity(worst.max(ARENA_BYTES));
        }
        self.arena.resize(worst, 0);
        let len = self.coder.pack(raw, &mut self.arena);
        let gains = len <= raw.len() - raw.len() / 16;
        self.arena.truncate(if gains { len } else { 0 });
        gains.then(|| (self.coder.codec(), self.arena.split().freeze()))
    }
}

/// Whether bytes are spread as evenly as those of what is packed or encrypted already.
fn is_noise(data: &[u8]) -> bool {
    let mut seen = [0_u64; 4];
    for byte in data.iter().step_by(data.len() / LOOKS).take(LOOKS) {
        seen[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }
    seen.iter().map(|word| word.count_ones()).sum::<u32>() >= NOISE_VALUES_MIN
}

/// Packers into one form, kept from put to put.
pub(crate) struct Packers {
    form: Compression,
    pool: Pool<Packer>,
}

impl Packers {
    /// Those that bring objects into this form.
    pub(crate) fn new(form: Compression) -> Self {
        Packers { form, pool: Pool::default() }
    }

    /// A packer; `None` where objects are kept as they are.
    pub(crate) fn take(&self) -> Option<Pooled<'_, Packer>> {
        let make = match self.form {
            Compression::None => return None,
            Compression::Lz4 => || Coder::Lz4(CompressTable::default()),
            Compression::Zstd => {
                || Coder::Zstd(Compressor::new(ZSTD_LEVEL).expect("zstd has this level"))
            }
        };
        Some(self.pool.take(|| Packer::new(make())))
    }
}

/// Takes objects out of the forms in which records have them. A decoder is a hundred
/// kilobytes: they are kept from get to get.
#[derive(Default)]
pub(crate) struct Unpacker {
    frames: Pool<Decompressor<'static>>,
}

impl Unpacker {
    /// The object's data, of which the record says that it is so long: what is asked of memory.
    ///
    /// # Errors
    /// What is wrong with the form in the file.
    pub(crate) fn unpack(
        &self,
        codec: Codec,
        stored: Bytes,
        size: usize,
    ) -> Result<Bytes, &'static str> {
        let unpacked = match codec {
            Codec::Raw => return Ok(stored),
            Codec::Lz4 => lz4_flex::block::decompress(&stored, size).ok(),
            Codec::Zstd => {
                let make = || Decompressor::new().expect("there is no dictionary to fail at");
                self.frames.take(make).decompress(&stored, size).ok()
            }
        };
        let unpacked = unpacked.ok_or("its record does not unpack")?;
        match unpacked.len() == size {
            true => Ok(unpacked.into()),
            false => Err("its record unpacks to another length"),
        }
    }
}
